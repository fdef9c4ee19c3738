"""The only sender: due rows to the broker, lost rows back into the ledger, events into their stream.

Any number may run. Nothing that matters is remembered between two rounds, so one may die at any instruction.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import psycopg
import redis
from celery import Celery
from kombu.exceptions import KombuError
from psycopg.conninfo import make_conninfo

from huntaze.logs import logger
from huntaze.models import channels, event_store, flow_store, job_dispatch, job_rescue, node_store
from huntaze.models.database import KEEPALIVES, DatabaseAway, Sessions
from huntaze.models.job_dispatch import Hint, Turns
from huntaze.models.node_store import HEARTBEAT_S
from huntaze.settings import WorkerSettings
from huntaze.worker.depth import Depth
from huntaze.worker.sentinel import Sentinel

_log = logger(__name__)

POLL_S = 1.0  # how late a lost notification or an expired lease is noticed at most
BUSY_S = 0.02  # how soon the next round comes while jobs leave the broker as fast as they are sent
BLOCKED_S = 0.1  # how soon while jobs wait, but none could be sent: all slots are taken, or a limit holds
_SWEEP_S = 1.0

Send = Callable[[Sequence[Hint]], None]


def celery_sender(app: Celery) -> Send:
    """Sends hints as Celery's messages, many in one round trip. The task id is the job id, so that Flower shows it.

    Not by `send_task`: routes, options and events, which a hint has none of, are most of its time.
    """

    def send(hints: Sequence[Hint]) -> None:
        with app.producer_or_acquire() as producer, producer.batch():
            for hint in hints:
                job_id = str(hint.job_id)
                message = app.amqp.as_task_v2(job_id, hint.kind, args=[job_id], origin=app.huntaze_node)
                properties = {**message.properties, "headers": message.headers}
                producer.publish(message.body, exchange="", routing_key=hint.queue, serializer="json", **properties)

    return send


class Dispatcher:
    """One loop: wait for a notification, at most `POLL_S`; then do what is due."""

    def __init__(
        self,
        sessions: Sessions,
        send: Send,
        settings: WorkerSettings,
        listen_url: str,
        *,
        sentinel: Sentinel | None = None,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self._sessions = sessions
        self._send = send
        self._settings = settings
        self._listen_url = listen_url
        self._sentinel = sentinel
        self._heartbeat = heartbeat
        self._turns = Turns()
        self._depths: dict[str, Depth] = defaultdict(lambda: Depth(settings.queue_depth))
        self._swept_at = self._beaten_at = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. A database or a broker that is away is waited for."""
        while not stop.is_set():
            try:
                self._listen(stop)
            except (psycopg.OperationalError, *DatabaseAway) as error:
                _log.warning("database away", error=type(error).__name__)
                stop.wait(POLL_S)
            except (KombuError, redis.RedisError, OSError) as error:
                _log.warning("broker away: rows wait", error=type(error).__name__)
                stop.wait(POLL_S)

    def _listen(self, stop: threading.Event) -> None:
        where = make_conninfo(self._listen_url, connect_timeout=5, **KEEPALIVES)
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(f"LISTEN {channels.JOBS}")
            connection.execute(f"LISTEN {channels.EVENTS_WRITTEN}")
            heard: set[str] = {channels.EVENTS_WRITTEN}  # what was written before we listened
            while not stop.is_set():
                wait = self.round(events=channels.EVENTS_WRITTEN in heard)
                heard = {news.channel for news in connection.notifies(timeout=wait, stop_after=1)}

    def round(self, *, events: bool = True) -> float:
        """Does what is due now; returns how long to wait for news, in seconds. Raises what the stores raise.

        `events`: some were written. The sweep looks after those whose notification was lost.
        """
        swept = time.monotonic() - self._swept_at >= _SWEEP_S
        if events or swept:
            with self._sessions.begin() as session:
                event_store.place(session)
        with self._sessions.begin() as session:
            next_due = job_dispatch.promote(session)
            waiting = job_dispatch.queues_waiting(session)
        # What needs the ledger alone comes first: a broker that is away must hold up neither rescue nor streams.
        if swept:
            self._swept_at = time.monotonic()
            self._sweep()
        sent, more = self._dispatch(waiting) if waiting else (0, False)
        if swept:
            self._send_again()
        if more:
            return BUSY_S if sent else BLOCKED_S
        return POLL_S if next_due is None else min(max(next_due, 0.0), POLL_S)

    def _dispatch(self, waiting: Sequence[str]) -> tuple[int, bool]:
        """Fills these queues to their depth. Returns how many were sent, and whether more wait, for room or a limit."""
        with self._sessions() as session:
            capacity = node_store.capacity(session)
            under_way = job_dispatch.under_way(session, self._settings.lease_s)
            paused = flow_store.paused_queues(session)
        sent, more = 0, False
        for queue in waiting:
            workers = capacity.get(queue)
            if workers is None or queue in paused:
                continue
            queued, running = under_way.get(queue, (0, 0))
            room = self._depths[queue].room(time.monotonic(), workers.slots, queued, running)
            with self._sessions.begin() as session:
                taken = job_dispatch.take_due(session, queue, room, workers.kinds, self._turns)
            # Between this commit and the send a crash loses the hints; `take_overdue` sends them again.
            self._send_or_return(taken.hints)
            self._depths[queue].sent(len(taken.hints))
            sent += len(taken.hints)
            more |= taken.more
        return sent, more

    def _send_or_return(self, hints: Sequence[Hint]) -> None:
        if not hints:
            return
        try:
            self._send(hints)
        except Exception:
            # What did arrive finds a row that is queued again, or running: a hint is never wrong, only superfluous.
            with self._sessions.begin() as session:
                job_dispatch.put_back(session, [hint.job_id for hint in hints])
            raise

    def _sweep(self) -> None:
        """Says that we are there, and takes jobs from workers that are not."""
        if time.monotonic() - self._beaten_at >= HEARTBEAT_S:
            self._beaten_at = time.monotonic()
            self._heartbeat()
        with self._sessions.begin() as session:
            for job in job_rescue.rescue(session):
                _log.warning("lease ran out", job_id=str(job.id), kind=job.kind, crashes=job.crashes, state=job.state)

    def _send_again(self) -> None:
        """Sends the hints again that the broker has lost: all of them where it lost its memory, else the overdue."""
        if self._sentinel is None:
            return
        lost = self._sentinel.gone()
        with self._sessions() as session:
            under_way = job_dispatch.under_way(session, self._settings.lease_s)
        for queue, (queued, _) in under_way.items():
            # As long as so many lie there, none is lost: workers are busy, or away. More would only pile up.
            if lost or self._sentinel.waiting(queue) < queued:
                with self._sessions.begin() as session:
                    hints = job_dispatch.take_overdue(session, queue, 0 if lost else self._settings.queued_timeout_s)
                if hints:
                    _log.warning("the broker lost its memory" if lost else "hints lost", sent_again=len(hints))
                    self._send(hints)
        if lost:
            self._sentinel.plant()
