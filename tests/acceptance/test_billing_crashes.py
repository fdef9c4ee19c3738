"""kill -9 in the middle of a billing run, and another run."""

import signal
from collections import Counter
from decimal import Decimal

from sqlalchemy import func, select, text

from huntaze.models import billing_audit, billing_usage
from huntaze.models.billing_invoices import InvoiceLine
from huntaze.models.billing_usage import Metered
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from tests.acceptance.biller import BATCH, NAME, POINTS
from tests.acceptance.conftest import Processes
from tests.models.billing_kit import START, day, invoices, make_plan, many
from tests.waiting import until

SLOT = day(2025, 3, 5)  # two periods of each are due


def connected(sessions: Sessions) -> int:
    with sessions() as session:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        return int(session.execute(query, {"name": NAME}).scalar_one())


def test_killed_at_any_point_a_run_bills_each_period_once_and_without_a_gap(
    processes: Processes, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        ids = many(session, make_plan(session).id, BATCH * len(POINTS))
        used = [Metered(one, "videos", Decimal(4), START, f"used-{one}") for one in ids]
        billing_usage.record(session, used)
    killed = [processes.start("tests.acceptance.biller", SLOT.isoformat(), point) for point in POINTS]
    assert [process.wait(60) for process in killed] == [-signal.SIGKILL] * len(POINTS), processes.logs()
    made = len(invoices(sessions))
    assert made == BATCH, "of the batch alone that was committed"

    until(lambda: not connected(sessions), "the server to see that they are gone")
    again = [processes.start("tests.acceptance.biller", SLOT.isoformat()) for _ in range(2)]
    assert [process.wait(60) for process in again] == [0, 0], processes.logs()
    found = invoices(sessions)
    assert [one.number for one in found] == list(range(1, 2 * len(ids) + 1))
    assert Counter((one.subscription_id, one.period_start) for one in found) == Counter(
        (one, start) for one in ids for start in (START, day(2025, 2, 28))
    )
    with sessions() as session:
        assert billing_audit.differences(session) == []
    with sessions() as session:
        units = select(func.sum(InvoiceLine.quantity)).where(InvoiceLine.source_key.like("%:usage:%"))
        assert session.execute(units).scalar_one() == 4 * len(ids)
        told = select(func.count(func.distinct(Event.subject_id)), func.count()).where(Event.type == "invoice.issued")
        assert session.execute(told).one() == (2 * len(ids), 2 * len(ids))
