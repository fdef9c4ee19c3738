"""Which function runs which kind."""

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import KINDS
from huntaze.tasks.context import JobContext

Args = TypeVar("Args", bound=JobArgs)
Handler = Callable[[JobContext, Any], None]

_HANDLERS: dict[str, Handler] = {}
_MODULES = (
    "ai",
    "analytics",
    "billing",
    "events",
    "insights",
    "jobs",
    "noop",
    "offers",
    "payments",
    "recommendations",
    "reports",
    "trend_collect",
    "trend_detection",
    "trend_privacy",
    "trend_reports",
    "trend_scrapes",
    "video",
    "webhooks",
)


def job(args: type[Args]) -> Callable[[Callable[[JobContext, Args], None]], Callable[[JobContext, Args], None]]:
    """Registers a handler for the kind of `args` and returns it unchanged: a test just calls it."""

    def register(handler: Callable[[JobContext, Args], None]) -> Callable[[JobContext, Args], None]:
        if args.kind not in KINDS:
            raise LookupError(f"{args.kind} has no policy: add it to models/job_kinds.py")
        _HANDLERS[args.kind] = handler
        return handler

    return register


def handlers() -> dict[str, Handler]:
    """All handlers by kind. Raises LookupError for a kind that nobody handles."""
    for module in _MODULES:
        importlib.import_module(f"huntaze.tasks.{module}")
    missing = KINDS.keys() - _HANDLERS.keys()
    if missing:
        raise LookupError(f"no handler for {', '.join(sorted(missing))}")
    return dict(_HANDLERS)
