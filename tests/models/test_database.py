"""The pool: what it hands out is alive."""

import pytest
from sqlalchemy import Engine, text

from huntaze.models.database import build_engine
from huntaze.settings import Settings

_PID = text("SELECT pg_backend_pid()")


@pytest.fixture
def one(settings: Settings) -> Engine:
    """An engine with one connection."""
    return build_engine(settings.database.sqlalchemy_url, pool_size=1, overflow=0, application="one")


def pid_of(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(_PID).scalar_one())


def test_a_connection_is_kept(one: Engine, engine: Engine) -> None:
    assert pid_of(one) == pid_of(one)
    one.dispose()


def test_a_connection_that_the_server_ended_is_replaced_before_anybody_notices(one: Engine, engine: Engine) -> None:
    first = pid_of(one)
    with engine.connect() as operator:
        # Waits for its end, as a statement that meets it on its way would fail in any case.
        assert operator.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": first}).scalar_one()
    assert pid_of(one) != first
    one.dispose()
