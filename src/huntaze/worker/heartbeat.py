"""Says, every few seconds, that this process is there."""

import os
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

from celery import Celery
from celery.beat import Scheduler

from huntaze.logs import logger
from huntaze.models import job_claim, job_rescue, job_store, node_store
from huntaze.models.database import DatabaseAway, build_engine, build_sessions
from huntaze.models.node_store import Worker
from huntaze.setting_groups import DatabaseSettings

_log = logger(__name__)


class Heartbeat:
    """One node's voice, on a connection of its own."""

    def __init__(self, settings: DatabaseSettings, name: str, process: str, worker: Worker | None = None) -> None:
        engine = build_engine(
            settings.sqlalchemy_url, pool_size=1, connect_timeout_s=2, statement_timeout_s=2, application="huntaze-node"
        )
        # The main process forks. A child forgets the connection; closing it would end the parent's session.
        os.register_at_fork(after_in_child=partial(engine.dispose, close=False))
        self._sessions = build_sessions(engine)
        self._name, self._process, self._worker = name, process, worker or Worker()
        self.behind = timedelta()  # how far this node's clock is behind the database's, as of the last beat

    def beat(self) -> None:
        """Never raises: a node that cannot say so goes on working."""
        try:
            with self._sessions.begin() as session:
                node_store.beat(session, self._name, self._process, self._worker)
                self.behind = job_store.db_now(session) - datetime.now(UTC)
        except DatabaseAway as error:
            _log.warning("no heartbeat", error=type(error).__name__)

    def keep_beating(self) -> None:
        """Beats at once, and from now on from a thread: a database that hangs must not hold up a node's main loop."""
        self.beat()

        def run() -> None:
            while True:
                time.sleep(node_store.HEARTBEAT_S)
                self.beat()

        threading.Thread(target=run, name="heartbeat", daemon=True).start()

    def decline(self, job_id: str) -> bool:
        """Puts a job back that this node does not know; never raises: the row is sent again anyway, later."""
        try:
            with self._sessions.begin() as session:
                return job_claim.decline(session, uuid.UUID(job_id))
        except (ValueError, *DatabaseAway) as error:
            _log.warning("not handed back", job_id=job_id, error=type(error).__name__)
            return False

    def expire(self, job_id: str, alive: list[int]) -> None:
        """Ends the lease of a job whose process died (`alive`: the pids of those that live); never raises."""
        try:
            with self._sessions.begin() as session:
                expired = job_rescue.expire(session, uuid.UUID(job_id), self._name, alive)
            _log.warning("a process died under its job", job_id=job_id, expired=expired)
        except DatabaseAway as error:
            _log.warning("the lease will run out by itself", job_id=job_id, error=type(error).__name__)

    def leave(self) -> None:
        """The last word at an orderly stop; never raises."""
        try:
            with self._sessions.begin() as session:
                node_store.leave(session, self._name)
        except DatabaseAway as error:
            _log.warning("left without a word", error=type(error).__name__)


class BeatScheduler(Scheduler):  # type: ignore[misc]
    """Celery's scheduler without its file: slots and catch-up live in PostgreSQL, so beat remembers nothing.

    Its time is the database's. By a clock that is ahead, however little, it would fire before the slot is due, find
    nothing to do, and leave the slot to the next sweep.
    """

    max_interval = node_store.HEARTBEAT_S

    def setup_schedule(self) -> None:
        self.app.now = lambda: Celery.now(self.app) + self.app.huntaze_heartbeat.behind
        self.app.huntaze_heartbeat.beat()  # before the entries note when they begin
        super().setup_schedule()

    def tick(self, *args: object, **options: object) -> float:
        self.app.huntaze_heartbeat.beat()
        return float(super().tick(*args, **options))
