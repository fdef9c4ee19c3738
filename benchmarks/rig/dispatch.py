"""What one dispatch round costs behind a backlog, and the plans it runs by."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event, text

from benchmarks.rig import backlog
from benchmarks.rig.processes import Rig
from benchmarks.rig.report import timed
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.job_dispatch import Hint
from huntaze.worker.dispatcher import Dispatcher

_WORKER = {"worker": ("worker", "--queues", "video,default", "--concurrency", "2")}
_WARM_UP = 15  # rounds until a dispatcher sends as much in a round as it ever will
_DONE = text("UPDATE jobs SET state = 'succeeded', finished_at = clock_timestamp() WHERE state = 'queued'")


@dataclass
class Rounds:
    """Seconds of each round, and how many jobs it sent."""

    seconds: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


@contextmanager
def standing_worker(rig: Rig) -> Iterator[None]:
    """A worker that says it could run what is sent; nothing reaches it."""
    rig.start_nodes(_WORKER)
    try:
        yield
    finally:
        rig.stop(*_WORKER)


def rounds(rig: Rig, rows: int, flow_keys: int, count: int) -> Rounds:
    """`count` whole rounds of a dispatcher with `rows` waiting; what it sends goes nowhere, and costs nothing here.

    Between two rounds what was sent ends, as if workers had run it: the dead index entries that a busy queue leaves
    in front of its live ones are part of the cost. They are not vacuumed meanwhile.
    """
    backlog.clear(rig)
    with rig.sessions.begin() as session:
        backlog.fill(session, rows, flow_keys)
    backlog.settle(rig)
    engine = _engine(rig)
    dispatcher, sent = _dispatcher(rig, engine)
    found = Rounds()
    for n in range(_WARM_UP + count):
        spent = list[float]()
        before = len(sent)
        with timed(spent):
            dispatcher.round()
        if n >= _WARM_UP:
            found.seconds += spent
            found.sent.append(len(sent) - before)
        with rig.engine.begin() as connection:
            connection.execute(_DONE)
    engine.dispose()
    return found


def _engine(rig: Rig) -> Engine:
    """As the dispatcher's process builds it."""
    return build_engine(rig.settings.database.sqlalchemy_url, pool_size=2, scans=False)


def _dispatcher(rig: Rig, engine: Engine) -> tuple[Dispatcher, list[Hint]]:
    sent: list[Hint] = []

    def send(hints: Sequence[Hint]) -> None:
        sent.extend(hints)

    return Dispatcher(build_sessions(engine), send, rig.settings.worker, rig.settings.database.libpq_url), sent


def plans(rig: Rig) -> list[str]:
    """EXPLAIN ANALYZE of each statement of a round on jobs, on what is in the ledger now; changes nothing more."""
    engine = _engine(rig)
    dispatcher, _ = _dispatcher(rig, engine)
    with _recorded(engine) as statements:
        dispatcher.round()
    found: list[str] = []
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        for statement, parameters in statements:
            if "jobs" in statement:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, SUMMARY) {statement}", parameters)
                found.append("\n".join([statement.strip(), "", *(row[0] for row in cursor.fetchall())]))
        connection.rollback()
    engine.dispose()
    return found


@contextmanager
def _recorded(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that reach the database meanwhile, as the driver gets them."""
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
