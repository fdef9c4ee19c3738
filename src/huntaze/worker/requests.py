"""What a pool's parent says of a job that one of its children runs."""

from typing import Any

from celery.worker.request import Request
from structlog.contextvars import bound_contextvars


class JobRequest(Request):  # type: ignore[misc]
    """Celery's view of a message, whose lines name the job: a time limit that struck, a child that died. The parent has
    not read the row, so attempt and creator stand in the child's lines alone."""

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        with bound_contextvars(job_id=self.id, kind=self.name):
            return super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        with bound_contextvars(job_id=self.id, kind=self.name):
            return super().on_failure(exc_info, send_failed_event, return_ok)
