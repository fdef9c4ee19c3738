"""Rows for the ledger, made by the database from one row that the store wrote: no column is spelled out here."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.rig.processes import Rig
from huntaze.models import job_enqueue
from huntaze.models.job_args import Noop

_COPY = text("""
    INSERT INTO jobs
    SELECT made.* FROM jobs AS first
    CROSS JOIN generate_series(2, :rows) AS n
    CROSS JOIN LATERAL jsonb_populate_record(first, jsonb_build_object(
        'id', uuidv7(), 'flow_key', 'flow-' || n % :flow_keys,
        'created_at', clock_timestamp(), 'run_at', clock_timestamp()
    )) AS made
    WHERE first.id = :id
""")


def clear(rig: Rig) -> None:
    """An empty ledger, without the dead rows of what ran before."""
    with rig.engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, job_attempts, events CASCADE"))


def fill(session: Session, rows: int, flow_keys: int) -> None:
    """Waiting no-ops, due now, dealt out over the flow keys; visible at the caller's commit."""
    first = job_enqueue.enqueue(session, Noop(), flow_key="flow-1")
    session.execute(text("SET LOCAL statement_timeout = 0"))
    session.execute(_COPY, {"rows": rows, "flow_keys": flow_keys, "id": first.job.id})


def settle(rig: Rig) -> None:
    """What autovacuum does in its own time: statistics and visibility of the tables just filled."""
    with rig.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM (ANALYZE) jobs, job_attempts"))
        connection.execute(text("RESET statement_timeout"))


_LEFT = text("SELECT count(*) FROM jobs WHERE state IN ('waiting', 'queued', 'running')")
_SPAN = text("SELECT extract(epoch FROM max(ended_at))::float8 FROM job_attempts")


def left(rig: Rig) -> int:
    """Jobs that have not ended."""
    with rig.engine.connect() as connection:
        return int(connection.execute(_LEFT).scalar_one())


def last_end(rig: Rig) -> float:
    """When the last attempt ended, by the database's clock (seconds since 1970)."""
    with rig.engine.connect() as connection:
        return float(connection.execute(_SPAN).scalar_one())
