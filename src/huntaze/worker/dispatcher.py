"""The only sender: due rows to the broker, lost rows back into the ledger, events into their stream.

Any number may run. Nothing here is remembered between two rounds, so one may die at any instruction.
"""

import threading
import time
from collections.abc import Callable, Sequence

import psycopg
from celery import Celery
from kombu.exceptions import OperationalError as BrokerAway

from huntaze.logs import logger
from huntaze.models import channels, event_store, job_dispatch
from huntaze.models.database import DatabaseAway, Sessions
from huntaze.models.job_dispatch import Hint
from huntaze.models.job_kinds import QUEUES
from huntaze.models.node_store import HEARTBEAT_S
from huntaze.settings import WorkerSettings

_log = logger(__name__)

POLL_S = 1.0  # how late a lost notification, an expired lease or a due retry is noticed at most
BUSY_S = 0.02  # how soon a full broker is looked at again while a backlog waits
_SWEEP_S = 1.0

Send = Callable[[Sequence[Hint]], None]


def celery_sender(app: Celery) -> Send:
    """Sends hints through Celery, many in one round trip. The task id is the job id, so that Flower shows it."""

    def send(hints: Sequence[Hint]) -> None:
        with app.producer_or_acquire() as producer, producer.batch():
            for hint in hints:
                job_id = str(hint.job_id)
                app.send_task(hint.kind, args=[job_id], task_id=job_id, queue=hint.queue, producer=producer)

    return send


class Dispatcher:
    """One loop: wait for a notification, at most `POLL_S`; then do what is due."""

    def __init__(
        self,
        sessions: Sessions,
        send: Send,
        settings: WorkerSettings,
        listen_url: str,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self._sessions = sessions
        self._send = send
        self._settings = settings
        self._listen_url = listen_url
        self._heartbeat = heartbeat
        self._swept_at = self._beaten_at = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. A database or a broker that is away is waited for."""
        while not stop.is_set():
            try:
                with psycopg.connect(self._listen_url, autocommit=True, connect_timeout=5) as connection:
                    connection.execute(f"LISTEN {channels.JOBS}")
                    connection.execute(f"LISTEN {channels.EVENTS_WRITTEN}")
                    while not stop.is_set():
                        self._wait(connection, self.round())
            except (psycopg.OperationalError, *DatabaseAway) as error:
                _log.warning("database away", error=type(error).__name__)
                stop.wait(POLL_S)
            except (BrokerAway, OSError) as error:
                _log.warning("broker away: rows wait", error=type(error).__name__)
                stop.wait(POLL_S)

    @staticmethod
    def _wait(connection: psycopg.Connection, seconds: float) -> None:
        for _ in connection.notifies(timeout=seconds, stop_after=1):
            pass

    def round(self) -> float:
        """Does what is due now; returns how long to wait for news, in seconds. Raises what the stores raise."""
        full = False
        for queue in QUEUES:
            full |= self._dispatch(queue)
        with self._sessions.begin() as session:
            event_store.place(session)
        if time.monotonic() - self._swept_at >= _SWEEP_S:
            self._swept_at = time.monotonic()
            self._sweep()
        return BUSY_S if full else POLL_S

    def _dispatch(self, queue: str) -> bool:
        """Fills the broker's queue up to its depth. True: more may be waiting."""
        with self._sessions.begin() as session:
            taken = job_dispatch.take_due(session, queue, self._settings.queue_depth)
        # Between this commit and the send a crash loses the hints; `take_overdue` sends them again.
        self._send_or_return(taken.hints)
        return taken.full

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
        if time.monotonic() - self._beaten_at >= HEARTBEAT_S:
            self._beaten_at = time.monotonic()
            self._heartbeat()
        with self._sessions.begin() as session:
            overdue = job_dispatch.take_overdue(session, self._settings.queued_timeout_s)
        if overdue:
            _log.warning("hints lost: sent again", jobs=len(overdue))
            self._send_or_return(overdue)
        with self._sessions.begin() as session:
            for job in job_dispatch.rescue(session):
                _log.warning("lease ran out", job_id=str(job.id), kind=job.kind, crashes=job.crashes, state=job.state)
