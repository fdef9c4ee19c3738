"""Job kinds of these tests. Importing this module makes them known, in this process alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import KINDS, JobKind, Unique


class Scrape(JobArgs):
    """Something that is done once, however often it is asked for."""

    kind: ClassVar[str] = "test.scrape"

    url: str
    depth: int = 1


@contextmanager
def scrapes(unique: Unique | None) -> Iterator[None]:
    """The kind, under this rule, while the block runs."""
    KINDS[Scrape.kind] = JobKind(Scrape, queue="default", unique=unique)
    try:
        yield
    finally:
        del KINDS[Scrape.kind]
