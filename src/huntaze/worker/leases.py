"""Keeps the leases of the jobs that this process runs."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from huntaze.logs import logger
from huntaze.models import job_settle
from huntaze.models.database import Sessions

_log = logger(__name__)


@dataclass
class HeldLease:
    """One job's hold, as the keeper last saw it; the handler looks at it at its checkpoints."""

    attempt: int
    lost: bool = False
    cancelled: bool = False


class LeaseKeeper:
    """Renews all held leases with one statement every third of a lease, from a thread of its own.

    A handler deep in a decoder keeps its lease: PyAV and the network calls release the interpreter lock.
    """

    def __init__(self, sessions: Sessions, lease_s: float) -> None:
        self._sessions = sessions
        self._lease_s = lease_s
        self._held: dict[uuid.UUID, HeldLease] = {}
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, job_id: uuid.UUID, attempt: int) -> Iterator[HeldLease]:
        """Keeps the lease of a job that was just claimed, until the block ends."""
        lease = HeldLease(attempt)
        with self._lock:
            self._held[job_id] = lease
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        try:
            yield lease
        finally:
            with self._lock:
                self._held.pop(job_id, None)

    def _run(self) -> None:
        renewed_at = time.monotonic()
        while True:
            with self._wake:
                self._wake.wait(self._lease_s / 3)
                held = dict(self._held)
            if not held:
                renewed_at = time.monotonic()
                continue
            try:
                self.renew(held)
                renewed_at = time.monotonic()
            except Exception as error:
                # The jobs go on: the database may be back before the lease is over, and the fence decides anyway.
                _log.warning("leases could not be renewed", error=type(error).__name__)
                if time.monotonic() - renewed_at > self._lease_s:
                    for lease in held.values():
                        lease.lost = True

    def renew(self, held: dict[uuid.UUID, HeldLease]) -> None:
        """One renewal of these leases. Raises what the database raises."""
        with self._sessions.begin() as session:
            seen = job_settle.renew(session, {id: lease.attempt for id, lease in held.items()}, self._lease_s)
        for job_id, lease in held.items():
            lease.lost = job_id not in seen
            lease.cancelled = seen.get(job_id, False)
