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
from huntaze.models import (
    batch_store,
    channels,
    dispatch_board,
    job_dispatch,
    job_rescue,
    webhook_deliveries,
)
from huntaze.models.database import KEEPALIVES, DatabaseAway, Sessions, build_statements
from huntaze.models.dispatch_board import Board
from huntaze.models.job_dispatch import Hint, Turns
from huntaze.models.node_store import HEARTBEAT_S
from huntaze.setting_groups import WorkerSettings
from huntaze.worker.depth import Depth
from huntaze.worker.metrics import DispatcherMetrics
from huntaze.worker.sentinel import Sentinel

_log = logger(__name__)

POLL_S = 1.0  # how late a lost notification or an expired lease is noticed at most
BUSY_S = 0.05  # how soon the next round comes while jobs leave the broker as fast as they are sent
BLOCKED_S = 0.1  # how soon while jobs wait, but none could be sent: all slots are taken, or a limit holds
_SWEEP_S = 1.0
_BREATH_S = 0.01  # news that come in a stream are answered in bundles

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
        metrics: DispatcherMetrics | None = None,
    ) -> None:
        self._sessions = sessions
        self._statements = build_statements(sessions.kw["bind"])
        self._send = send
        self._settings = settings
        self._listen_url = listen_url
        self._sentinel = sentinel
        self._heartbeat = heartbeat
        self._metrics = metrics or DispatcherMetrics()
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
            heard = {channels.EVENTS_WRITTEN}  # what was written before we listened
            round_at = place_at = 0.0  # the earliest times for the next ones
            due_at = 0.0
            while not stop.is_set():
                now = time.monotonic()
                if channels.EVENTS_WRITTEN in heard and now >= place_at:
                    heard.remove(channels.EVENTS_WRITTEN)
                    self._place()
                    place_at = time.monotonic() + _BREATH_S
                if now >= due_at or (channels.JOBS in heard and now >= round_at):
                    heard.discard(channels.JOBS)
                    with self._metrics.round():
                        due_at = time.monotonic() + self.round()
                    round_at = time.monotonic() + _BREATH_S
                wake_at = min(
                    due_at,
                    place_at if channels.EVENTS_WRITTEN in heard else due_at,
                    round_at if channels.JOBS in heard else due_at,
                )
                wait = max(wake_at - time.monotonic(), 0.0)
                heard |= {news.channel for news in connection.notifies(timeout=wait, stop_after=1)}

    def round(self) -> float:
        """Does what is due now; returns how long to wait for news, in seconds. Raises what the stores raise."""
        board = self._look()
        if self._tidy(board):
            board = self._look()
        swept = time.monotonic() - self._swept_at >= _SWEEP_S
        if swept:
            self._swept_at = time.monotonic()
            self._sweep(board)
        sent, more, cut = self._dispatch(board)
        if swept:
            self._send_again(board)
        if cut:
            return 0.0
        if more:
            return BUSY_S if sent else BLOCKED_S
        return POLL_S if board.next_due_s is None else min(max(board.next_due_s, 0.0), POLL_S)

    def _look(self) -> Board:
        with self._statements.connect() as connection:
            return dispatch_board.look(connection, self._settings.lease_s)

    def _tidy(self, board: Board) -> bool:
        """What needs the ledger alone, before anything is sent: a broker that is away must hold up neither rescue nor
        streams. Returns whether more may be due by now."""
        if board.unplaced:
            self._place()
        promote = board.next_due_s is not None and board.next_due_s <= 0
        if promote:
            with self._statements.connect() as connection:
                job_dispatch.promote(connection)
        if board.expired:
            self._rescue()
        return promote or board.expired

    def _place(self) -> None:
        more = True
        while more:
            with self._sessions.begin() as session:
                more = webhook_deliveries.place(session) >= webhook_deliveries.MOST_AT_ONCE

    def _rescue(self) -> None:
        with self._sessions.begin() as session:
            rescued = job_rescue.rescue(session)
        for job in rescued:
            self._metrics.jobs.crashed(job.kind)
            _log.warning("lease ran out", job_id=str(job.id), kind=job.kind, crashes=job.crashes, state=job.state)

    def _dispatch(self, board: Board) -> tuple[int, bool, bool]:
        """Fills the queues to their depth. Returns how many were sent, whether more wait, for room or a limit, and
        whether only the bound of a round ended it."""
        sent, more, cut = 0, False, False
        for queue in board.queues:
            workers = board.capacity.get(queue)
            if workers is None:
                continue
            queued, running = board.under_way.get(queue, (0, 0))
            room = self._depths[queue].room(time.monotonic(), workers.slots, queued, running)
            with self._sessions.begin() as session:
                taken = job_dispatch.take_due(session, queue, room, workers.kinds, self._turns)
            # Between this commit and the send a crash loses the hints; `take_overdue` sends them again.
            self._send_or_return(taken.hints)
            self._metrics.sent(taken.hints)
            self._depths[queue].sent(len(taken.hints))
            sent += len(taken.hints)
            more |= taken.more
            cut |= len(taken.hints) >= job_dispatch.MOST_JOBS
        return sent, more, cut

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

    def _sweep(self, board: Board) -> None:
        """What is done every second: closing batches whose jobs have ended, and saying that we are there."""
        if board.batches:
            with self._sessions.begin() as session:
                ended = batch_store.close(session)
            for batch in ended:
                _log.info("batch ended", batch_id=str(batch.id), jobs=batch.total)
        if time.monotonic() - self._beaten_at >= HEARTBEAT_S:
            self._beaten_at = time.monotonic()
            self._heartbeat()

    def _send_again(self, board: Board) -> None:
        """Sends the hints again that the broker has lost: all of them where it lost its memory, else the overdue."""
        if self._sentinel is None:
            return
        lost = self._sentinel.gone()
        for queue in {*board.queues, *board.under_way}:  # what was sent in this round may be lost as well
            queued, _ = board.under_way.get(queue, (0, 0))
            # As long as so many lie there, none is lost: workers are busy, or away. More would only pile up.
            if lost or self._sentinel.waiting(queue) < queued:
                with self._sessions.begin() as session:
                    hints = job_dispatch.take_overdue(session, queue, 0 if lost else self._settings.queued_timeout_s)
                if hints:
                    _log.warning("the broker lost its memory" if lost else "hints lost", sent_again=len(hints))
                    self._send(hints)
                    self._metrics.sent(hints, again=True)
        if lost:
            self._sentinel.plant()
