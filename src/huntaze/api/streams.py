"""The live streams of one process: one LISTEN connection, one look at the events table a wake-up, many readers.

A stream always reads the events behind the last position it has sent. Positions are given after the commit by one
writer at a time, so nothing can appear below a position that was read: no gap, no repeat. A wake-up is only a hint
to read; a lost one costs one poll.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg
import structlog
from anyio import CapacityLimiter, to_thread
from psycopg import sql
from sqlalchemy.exc import SQLAlchemyError

from huntaze.api.problems import ProblemError
from huntaze.models import channels, event_retention, event_store
from huntaze.models.database import Sessions
from huntaze.models.events import Event

T = TypeVar("T")

_log = structlog.get_logger("huntaze.api")


@dataclass(frozen=True)
class StreamPolicy:
    """`keep_alive_s`: silence after which a comment is sent, shorter than what proxies cut off. `poll_s`: how often
    the table is looked at without a notification. `recheck_s`: how often an open stream's key is asked for again.
    `per_creator`: most streams of one creator in this process. `batch`: events read at a time. `threads`: reads at
    a time, so that streams leave connections to requests. `retry_s`: pause after the database was away."""

    keep_alive_s: float = 15.0
    poll_s: float = 5.0
    recheck_s: float = 60.0
    per_creator: int = 20
    batch: int = 200
    threads: int = 4
    retry_s: float = 2.0


class Streams:
    """Built without opening anything; `listen` runs as long as the process takes streams."""

    def __init__(self, policy: StreamPolicy) -> None:
        self.policy = policy
        self.closing = False
        self._open: dict[uuid.UUID, set[Stream]] = {}
        self._seen: int | None = None  # the last position looked at; None: nobody was there to tell
        self._limiter: CapacityLimiter | None = None
        self._sessions: Sessions | None = None

    @property
    def count(self) -> int:
        """How many are open."""
        return sum(len(streams) for streams in self._open.values())

    def close(self) -> None:
        """Ends all streams at the end of what they are sending. Clients come back with their last position."""
        self.closing = True
        self._wake(list(self._open))

    @contextmanager
    def opened(self, creator_id: uuid.UUID) -> Iterator["Stream"]:
        """A place among the creator's streams. Raises ProblemError 429 if there is none left."""
        streams = self._open.setdefault(creator_id, set())
        if len(streams) >= self.policy.per_creator:
            detail = f"This creator has {len(streams)} streams open; close one first."
            raise ProblemError(429, "streams.too_many", detail, headers={"Retry-After": "30"})
        stream = Stream(self, creator_id)
        streams.add(stream)
        try:
            yield stream
        finally:
            streams.discard(stream)
            if not streams:
                self._open.pop(creator_id, None)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs a read without stopping the loop."""
        if self._limiter is None:  # a limiter belongs to the event loop it was made in
            self._limiter = CapacityLimiter(self.policy.threads)
        return await to_thread.run_sync(work, limiter=self._limiter)

    def serve_from(self, sessions: Sessions) -> None:
        """Says where to read; called once, before the first stream."""
        self._sessions = sessions

    @property
    def sessions(self) -> Sessions:
        assert self._sessions is not None, "streams are served from the lifespan on"
        return self._sessions

    async def listen(self, libpq_url: str) -> None:
        """Wakes the streams that have news, until cancelled. A lost connection is replaced, and missed nothing."""
        delay = 0.1
        while True:
            try:
                async with await _connect(libpq_url) as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channels.EVENTS_PLACED)))
                    while True:
                        await self._look()
                        delay = 0.1
                        # Several notifications in one packet are one reason to look.
                        async for _ in connection.notifies(timeout=self.policy.poll_s, stop_after=1):
                            pass
            except (psycopg.Error, SQLAlchemyError) as error:
                _log.warning("streams.listener_lost", error=type(error).__name__, retry_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, self.policy.poll_s)

    async def _look(self) -> None:
        """One query for all streams, then a wake-up for those whose creator has news."""
        if not self._open:
            self._seen = None  # else the first stream of the day would pay for all that came since the last
            return
        seen = self._seen
        if seen is None:
            self._seen = await self.in_thread(self._last_position)
            self._wake(list(self._open))
            return
        news = await self.in_thread(lambda: self._news_after(seen))
        if news:
            self._seen = max(news.values())
            self._wake(news)

    def _last_position(self) -> int:
        with self.sessions() as session:
            return event_store.last_position(session)

    def _news_after(self, position: int) -> dict[uuid.UUID, int]:
        with self.sessions() as session:
            return event_store.creators_after(session, position)

    def _wake(self, creators: Iterable[uuid.UUID]) -> None:
        for creator_id in creators:
            for stream in self._open.get(creator_id, ()):
                stream.news.set()


async def _connect(libpq_url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return await psycopg.AsyncConnection.connect(
        libpq_url,
        autocommit=True,
        connect_timeout=5,
        application_name="huntaze-api-events",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    )


class Stream:
    """One reader of one creator's events."""

    def __init__(self, streams: Streams, creator_id: uuid.UUID) -> None:
        self.news = asyncio.Event()
        self.position = 0
        self.gone_upto: int | None = None  # the last position that is gone, if it lies behind the one to resume from
        self._streams = streams
        self._creator_id = creator_id

    async def start(self, after: int | None) -> int:
        """Stands behind position `after`, or behind all there is now; returns where. Raises what the database does.

        A position from the future (the database was restored from a backup) counts as now: waiting for it would
        keep the stream silent for a long time.
        """
        last, pruned = await self._streams.in_thread(self._ends)
        self.position = last if after is None else min(after, last)
        self.gone_upto = pruned if self.position < pruned else None
        return self.position

    def _ends(self) -> tuple[int, int]:
        with self._streams.sessions() as session:
            return event_store.last_position(session), event_retention.pruned(session)

    async def batches(self, is_live: Callable[[], bool]) -> AsyncIterator[Sequence[Event]]:
        """The events as they come; an empty batch after a time of silence. Ends when the process stops or the key
        is no longer live. The database may go away and come back meanwhile."""
        policy, clock = self._streams.policy, asyncio.get_running_loop().time
        recheck_at = clock() + policy.recheck_s
        while not self._streams.closing:
            self.news.clear()  # before the read: what comes during it is read again
            try:
                events = await self._streams.in_thread(self._read)
                if clock() >= recheck_at:
                    if not await self._streams.in_thread(is_live):
                        return
                    recheck_at = clock() + policy.recheck_s
                patience = min(policy.keep_alive_s, recheck_at - clock())
            except SQLAlchemyError as error:
                _log.warning("streams.read_failed", error=type(error).__name__)
                events, patience = [], policy.retry_s  # however long ago the key was to be asked for
            if events:
                self.position = events[-1].position or self.position
                yield events
            if len(events) < policy.batch and not await self._wait(patience):
                yield []

    def _read(self) -> Sequence[Event]:
        with self._streams.sessions() as session:
            return event_store.read_after(session, self._creator_id, self.position, self._streams.policy.batch)

    async def _wait(self, seconds: float) -> bool:
        """Whether there was news within that time."""
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self.news.wait()
        except TimeoutError:
            return False
        return True
