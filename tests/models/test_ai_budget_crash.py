"""PostgreSQL itself dies in the middle: what was reserved stands, and nothing is spent that no row tells of."""

import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.cli.stack.stores import embedded_stores
from huntaze.models import ai_ledger, schema
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.base import new_id
from huntaze.models.database import DatabaseAway, Sessions, build_engine, build_sessions
from huntaze.pipelines.ai.calls import Ask, Used
from tests.waiting import until


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Sessions]:
    """A database of its own, which flushes its commits as a real one does."""
    with embedded_stores(tmp_path, valkey=False, s3=False, durable=True) as stores:
        engine = build_engine(stores.database_url, pool_size=12)
        schema.upgrade(engine)
        yield build_sessions(engine)
        engine.dispose()


def back(sessions: Sessions) -> bool:
    try:
        with sessions() as session:
            return bool(session.execute(text("SELECT 1")).scalar_one())
    except DatabaseAway:
        return False


def test_a_crash_of_the_database_loses_no_reservation(durable: Sessions) -> None:
    ledger = BudgetLedger(durable)
    reserved: list[uuid.UUID] = []

    def caller(_: int) -> None:
        while True:
            ask = Ask(new_id(), "vision", "phi-4", None, None, 100, 0.0)
            try:
                ledger.reserve(ask)
            except DatabaseAway:
                return
            reserved.append(ask.request_id)
            ledger.settle(ask, Used("phi-4", 1, 1, 0, 0, 60, 1, "ok"))

    with durable() as session:
        victim = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with ThreadPoolExecutor(8) as pool:
        calling = [pool.submit(caller, number) for number in range(8)]
        until(lambda: len(reserved) > 100, "calls under way")
        os.kill(victim, signal.SIGKILL)  # then PostgreSQL ends all others, and recovers from what is on the disk
        for one in calling:
            one.result(timeout=60)
    until(lambda: back(durable), "the database's recovery")
    with durable.begin() as session:
        known = set(session.scalars(text("SELECT request_id FROM usage_logs")))
        assert set(reserved) <= known
        assert sums(session) == rows(session)
    while True:
        with durable.begin() as session:
            if ai_ledger.sweep(session) is None:
                break
    with durable() as session:
        assert sums(session) == rows(session)
        assert sums(session)[0] == 0
        assert 60 * len(known) <= sums(session)[1] <= 100 * len(known)


def sums(session: Session) -> tuple[int, int]:
    query = "SELECT reserved_micro_usd, settled_micro_usd FROM ai_spend WHERE scope = 'total'"
    return tuple(session.execute(text(query)).one())


def rows(session: Session) -> tuple[int, int]:
    query = """
        SELECT coalesce(sum(bound_micro_usd) FILTER (WHERE settled_at IS NULL), 0)::bigint,
               coalesce(sum(cost_micro_usd), 0)::bigint
        FROM usage_logs
    """
    return tuple(session.execute(text(query)).one())
