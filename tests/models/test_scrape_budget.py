"""The month's money for scraping: never more is put aside and spent than the cap, whoever comes at once."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from sqlalchemy import select

from huntaze.models import scrape_budget, trend_source_store
from huntaze.models.database import Sessions
from huntaze.models.scrape_budget import ScrapeSpend
from huntaze.models.trend_sources import TrendRun
from huntaze.pipelines.trends.posts.sources import SourceSpec


def planned(sessions: Sessions, charge: int = 1000) -> TrendRun:
    with sessions.begin() as session:
        spec = SourceSpec("tiktok", f"#{uuid.uuid4().hex}", max_charge_micro_usd=charge)
        return trend_source_store.plan_now(session, trend_source_store.create(session, spec), 10**9)


def settle(sessions: Sessions, run: TrendRun, cost: int | None) -> bool:
    with sessions.begin() as session:
        return scrape_budget.settle(session, run.id, cost)


def spend(sessions: Sessions) -> tuple[int, int]:
    with sessions() as session:
        now = scrape_budget.spend(session)
    return now.reserved, now.spent


def test_many_at_once_stay_within_the_cap(sessions: Sessions) -> None:
    def reserve(_: int) -> date | None:
        with sessions.begin() as session:
            return scrape_budget.reserve(session, 70, 1000)

    with ThreadPoolExecutor(16) as pool:
        got = [month for month in pool.map(reserve, range(64)) if month is not None]
    assert len(got) == 1000 // 70
    assert spend(sessions) == (70 * len(got), 0)


def test_what_is_spent_counts_as_much_as_what_is_put_aside(sessions: Sessions) -> None:
    run = planned(sessions, 600)
    assert settle(sessions, run, 500)
    with sessions.begin() as session:
        assert scrape_budget.reserve(session, 501, 1000) is None
        assert scrape_budget.reserve(session, 500, 1000) is not None
    assert spend(sessions) == (500, 500)


def test_a_run_is_settled_once_however_many_see_its_end(sessions: Sessions) -> None:
    run = planned(sessions)
    with ThreadPoolExecutor(8) as pool:
        settled = list(pool.map(lambda cost: settle(sessions, run, cost), [300] * 8))
    assert settled.count(True) == 1
    assert spend(sessions) == (0, 300)


def test_a_cost_that_nobody_knows_is_the_whole_reservation(sessions: Sessions) -> None:
    run = planned(sessions)
    assert settle(sessions, run, None)
    assert spend(sessions) == (0, 1000)
    with sessions() as session:
        assert session.get_one(TrendRun, run.id).cost_known is False


def test_a_run_is_paid_from_the_month_that_it_was_planned_in(sessions: Sessions) -> None:
    run, before = planned(sessions), date(2026, 1, 1)
    with sessions.begin() as session:  # it was planned in January
        session.add(ScrapeSpend(month=before, reserved_micro_usd=1000, spent_micro_usd=0))
        session.get_one(TrendRun, run.id).month = before
    settle(sessions, run, 400)
    with sessions() as session:
        january = session.scalars(select(ScrapeSpend).where(ScrapeSpend.month == before)).one()
    assert (january.reserved_micro_usd, january.spent_micro_usd) == (0, 400)
    assert spend(sessions) == (1000, 0)  # nobody touched this month's
