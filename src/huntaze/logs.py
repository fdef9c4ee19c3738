"""Logs: one JSON object a line on standard error, from our code and from the libraries alike."""

import logging
import sys
from collections.abc import Set
from typing import TextIO

import structlog

# Celery says of each job what our own lines say with its context.
_REPEATED = ("celery.worker.strategy", "celery.app.trace")
# Libraries that narrate each request, with URLs that carry signatures.
_QUIET = (*_REPEATED, "botocore", "boto3", "urllib3", "s3transfer", "httpx", "httpcore", "kombu", "amqp")


def configure(level: str = "INFO", stream: TextIO | None = None, *, without: Set[str] = frozenset()) -> None:
    """Sets up structlog and the standard library's logging with the same form. Bound context (job id, kind, attempt,
    creator) is on every line, those of Celery included. `without`: fields that are left out.

    A traceback is its text, never with the local variables: among those are keys.
    """

    def name_job(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Celery's own lines name the job in a copy of all that it knows, the traceback once more included."""
        told = event.get("data")
        if isinstance(told, dict) and {"id", "name"} <= told.keys():
            del event["data"]
            event = {"job_id": told["id"], "kind": told["name"], **event}
        return event

    def leave_out(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {name: value for name, value in event.items() if name not in without}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        name_job,
        leave_out,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    # billiard's: it says how a pool's child died, and passes nothing on to the root.
    pool = logging.getLogger("multiprocessing")
    pool.handlers[:], pool.propagate = [handler], False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of ours."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return bound
