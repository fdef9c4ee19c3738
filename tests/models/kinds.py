"""Job kinds of these tests, known while a block runs and in this process alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from huntaze.models.batch_store import Counts
from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import KINDS, JobKind, Unique


class Scrape(JobArgs):
    """Something that is done once, however often it is asked for."""

    kind: ClassVar[str] = "test.scrape"

    url: str
    depth: int = 1


class Report(JobArgs):
    """What follows a batch."""

    kind: ClassVar[str] = "test.report"

    title: str
    counts: Counts = Counts()


@contextmanager
def scrapes(unique: Unique | None) -> Iterator[None]:
    """`test.scrape`, under this rule."""
    with known(JobKind(Scrape, queue="default", unique=unique)):
        yield


@contextmanager
def known(*kinds: JobKind) -> Iterator[None]:
    """These kinds, while the block runs."""
    KINDS.update({kind.name: kind for kind in kinds})
    try:
        yield
    finally:
        for kind in kinds:
            del KINDS[kind.name]
