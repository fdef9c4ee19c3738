"""Engine and unit of work. Nothing opens at import; a process that forks builds its engine after the fork."""

import select
from typing import Any, Literal

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from huntaze.models.tables import METADATA

Sessions = sessionmaker[Session]

assert METADATA.tables  # all tables are known before the first statement

# A peer that vanished is noticed within half a minute, on a connection that sends (ms) and on one that waits (s).
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20000}

# The database cannot be reached, or gave up on us: worth waiting for. Any other error is a mistake of ours.
DatabaseAway = (OperationalError, InterfaceError, PoolTimeout)


def build_engine(
    url: str,
    *,
    pool_size: int = 5,
    overflow: int | None = None,
    connect_timeout_s: int = 5,
    statement_timeout_s: int = 30,
    application: str = "huntaze",
    isolation_level: Literal["READ COMMITTED", "AUTOCOMMIT"] = "READ COMMITTED",
    scans: bool = True,
) -> Engine:
    """An engine on psycopg 3. `url` is `postgresql+psycopg://user:password@host:port/name`.

    `pool_size` connections are kept; `overflow` more (default: as many again) are made in a rush and closed after it.

    Without `scans` a statement goes by an index where there is one, whatever the size of the table when it was planned:
    a plan is kept as long as its connection, and a backlog comes within seconds.

    Statements are cut off after `statement_timeout_s`, transactions that sit idle after 60 s: one lost client can
    neither hold a row lock for good nor keep vacuum from its work.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size if overflow is None else overflow,
        pool_timeout=10,
        isolation_level=isolation_level,  # said, as conditional statements count on it, whatever a role's default is
        connect_args={
            "connect_timeout": connect_timeout_s,
            "application_name": application,
            "options": f"-c statement_timeout={1000 * statement_timeout_s} -c idle_in_transaction_session_timeout=60000"
            f" -c enable_seqscan={'on' if scans else 'off'} -c timezone=UTC",
            **KEEPALIVES,
        },
    )
    event.listen(engine, "checkout", _refuse_ended)
    return engine


def _refuse_ended(connection: Any, _record: object, _proxy: object) -> None:
    """Has the pool take another connection if the server, or the keepalives, ended this one while it lay idle.

    In health a server is silent until it is asked, so whatever there is to read is its farewell: one system call
    tells, where a ping would be a round trip before each unit of work.
    """
    if connection.closed:
        raise DisconnectionError
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError


def build_sessions(engine: Engine) -> Sessions:
    """Sessions whose objects stay readable after the commit: what leaves a unit of work is a plain value."""
    return sessionmaker(engine, expire_on_commit=False)


def build_statements(engine: Engine) -> Engine:
    """The same pool, with each statement committed by itself: one round trip, where a transaction takes three."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")
