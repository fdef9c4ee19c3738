"""How each kind of job is run: data, read by every door."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from huntaze.models import content_store
from huntaze.models.job_args import EventsPlace, JobArgs, Noop, VideoAnalyze, VideoExtract
from huntaze.models.jobs import Job

Follow = Callable[[Session, Job], None]


@dataclass(frozen=True)
class JobKind:
    """The policy of one kind.

    `soft_limit_s` and `hard_limit_s` bound one attempt (prefork only: threads cannot be interrupted).
    `follow` is called in the transaction that moves a job of this kind to an end it did not write itself
    (failed, cancelled) or back to life (replayed), so that the row it works on tells the same story.
    """

    args: type[JobArgs]
    queue: str
    max_attempts: int = 5
    backoff_base_s: float = 2.0  # first retry within this, doubling, full jitter
    backoff_cap_s: float = 600.0
    soft_limit_s: float = 300.0
    hard_limit_s: float = 330.0
    follow: Follow | None = None


_ALL = (
    JobKind(VideoExtract, queue="video", follow=content_store.follow_job),
    JobKind(VideoAnalyze, queue="ai", max_attempts=8, follow=content_store.follow_job),
    JobKind(EventsPlace, queue="default"),
    JobKind(Noop, queue="default"),
)

KINDS: dict[str, JobKind] = {kind.args.kind: kind for kind in _ALL}
QUEUES: tuple[str, ...] = tuple(sorted({kind.queue for kind in _ALL}))
MAX_HARD_LIMIT_S = max(kind.hard_limit_s for kind in _ALL)


def parse_args(job: Job) -> JobArgs:
    """The typed arguments of a row.

    Raises KeyError for a kind this code does not know and pydantic.ValidationError for arguments it cannot read.
    """
    parsed: Any = KINDS[job.kind].args.model_validate(job.args)
    args: JobArgs = parsed
    return args
