"""What the other domains do is told by their own rows, and counted once."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text, update

from huntaze.models import ai_ledger, analytics_cursor, analytics_reads, analytics_sources, billing_store
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.analytics_partitions import instant
from huntaze.models.base import new_id
from huntaze.models.billing_plans import Plan
from huntaze.models.content import Content
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.ai.calls import Ask, Used
from huntaze.pipelines.analytics.facts import complaint
from huntaze.pipelines.analytics.metrics import METRICS, Door
from huntaze.pipelines.analytics.ranges import Granularity, Range
from tests.models.ai_calls import called
from tests.models.billing_kit import run, subscribe
from tests.models.raw_facts import roll_all
from tests.models.test_analytics_reads import of
from tests.models.test_offers import Make, make, redeem

assert make  # a fixture

UTC_ZONE = ZoneInfo("UTC")


def now(sessions: Sessions) -> datetime:
    with sessions() as session:
        moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment


def content(creator: User, **values: object) -> Content:
    given = {"kind": "video", "name": "x", "object_key": str(new_id()), "content_type": "video/mp4", "size": 500}
    return Content(id=new_id(), creator_id=creator.id, **given | values)


def upload(sessions: Sessions, creator: User, *, seen: bool = True, **values: object) -> None:
    """A video that was promised, and then seen in the store."""
    with sessions.begin() as session:
        session.add(promised := content(creator, **values))
    if seen:
        with sessions.begin() as session:
            session.execute(update(Content).where(Content.id == promised.id).values(etag="e"))


def facts(sessions: Sessions) -> dict[str, tuple[int, int]]:
    """{metric: (facts, sum of their values)}"""
    with sessions() as session:
        rows = session.execute(text("SELECT metric, count(*), sum(value) FROM analytics_facts GROUP BY 1"))
        return {row[0]: (row[1], int(row[2])) for row in rows}


def test_what_is_done_is_read_in_the_summary_and_in_the_series(sessions: Sessions, creator: User, make: Make) -> None:
    began = now(sessions) - timedelta(days=40)
    kept = subscribe(sessions, creator, began, customer="cus_1")
    ends = subscribe(sessions, creator, began, customer="cus_2")
    run(sessions, began)
    with sessions.begin() as session:
        billing_store.cancel(session, ends.id, began + timedelta(days=1), now=True)
    offer = make()
    for fan in ("grace", "alan"):
        redeem(sessions, creator, offer, fan)
    upload(sessions, creator)
    upload(sessions, creator, seen=False)
    upload(sessions, creator, kind="image")
    called(sessions, 700, creator.id, latency_ms=30)
    called(sessions, 0, creator.id, outcome="timeout")
    called(sessions, None, creator.id)  # under way
    BudgetLedger(sessions).note(Ask(new_id(), "vision", "phi-4", creator.id, None, 0, 1.0), HIT)
    roll_all(sessions)
    today = now(sessions).date()
    wanted = Range(today - timedelta(days=60), today, UTC_ZONE)
    with sessions() as session:
        told = of(analytics_reads.summary(session, creator.id, wanted))
        ranks = {
            metric: [(one.label, one.count, one.total) for one in rank]
            for metric in ("subscriptions.started", "offers.redeemed", "ai.calls", "ai.cost")
            for rank in [analytics_reads.top(session, creator.id, wanted, metric, by_total=False, limit=5)]
        }
        series = {
            metric: sum(
                point.count
                for point in analytics_reads.series(session, creator.id, wanted, metric, Granularity.DAY).points
            )
            for metric in ("videos.uploaded", "ai.calls", "offers.redeemed", "subscriptions.ended")
        }
        code = session.get_one(Plan, kept.plan_id).code
    assert (told["subscriptions.started"], told["subscriptions.ended"]) == (2, 1)
    assert (told["offers.redeemed"], told["videos.uploaded"], told["videos.bytes"]) == (2, 1, 500)
    assert (told["ai.calls"], told["ai.cost"]) == (2, 700)
    assert series == {"videos.uploaded": 1, "ai.calls": 2, "offers.redeemed": 2, "subscriptions.ended": 1}
    assert (code, 1, 0) in ranks["subscriptions.started"]
    assert ranks["offers.redeemed"] == [(str(offer), 2, 0)]
    assert sorted(ranks["ai.calls"]) == [("ok", 1, 30), ("timeout", 1, 12)]
    assert ranks["ai.cost"] == [("phi-4", 2, 700)]


HIT = Used("phi-4", 0, 0, 0, 0, 0, 0, "ok", cache_hit=True)


def test_a_turn_that_is_broken_off_is_taken_again_and_counts_once(sessions: Sessions, creator: User) -> None:
    upload(sessions, creator)
    called(sessions, 5)  # of no creator: the platform's
    with sessions() as session:
        assert analytics_sources.take(session).facts == 3
        session.rollback()
    assert facts(sessions) == {}
    for _ in range(2):
        with sessions.begin() as session:
            rows = session.execute(text("SELECT * FROM analytics_heard")).all()
            while analytics_sources.take(session, limit=1).more:
                pass
        with sessions.begin() as session:  # the same rows, named once more
            session.execute(
                text("INSERT INTO analytics_heard VALUES (:source, :row_id)"), [row._asdict() for row in rows]
            )
    assert facts(sessions) == {"videos.uploaded": (1, 500), "ai.calls": (1, 12), "ai.cost": (1, 5)}


def test_what_was_rolled_back_is_not_told(sessions: Sessions, creator: User) -> None:
    with sessions() as session:
        session.add(content(creator, etag="e"))
        session.flush()
        session.rollback()
    with sessions.begin() as session:
        assert analytics_sources.take(session) == analytics_sources.Turn(0, 0, more=False)


def test_a_call_that_was_taken_for_lost_is_put_right(sessions: Sessions, creator: User) -> None:
    ask = called(sessions, None, creator.id, bound=1000)
    with sessions.begin() as session:
        session.execute(text("UPDATE usage_logs SET lease_until = now() - interval '1 s'"))
    with sessions.begin() as session:
        assert ai_ledger.sweep(session) is not None
    roll_all(sessions)
    assert facts(sessions)["ai.cost"] == (1, 1000)
    BudgetLedger(sessions).settle(ask, Used("phi-4", 1, 1, 0, 0, 7, 90, "ok"))
    roll_all(sessions)
    assert facts(sessions) == {"ai.calls": (1, 90), "ai.cost": (1, 7)}


def test_what_is_older_than_the_figures_that_are_final_is_not_counted(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator, datetime(2020, 1, 1, tzinfo=UTC))
    with sessions.begin() as session:
        analytics_cursor.lock(session, wait=True)
        analytics_cursor.make_final(session, instant(date(2021, 1, 1)))
        assert analytics_sources.take(session) == analytics_sources.Turn(1, 0, more=False)


def test_every_fact_suits_its_metric_and_every_own_metric_has_a_source(
    sessions: Sessions, creator: User, make: Make
) -> None:
    ended = subscribe(sessions, creator, now(sessions), customer="cus_1")
    with sessions.begin() as session:
        billing_store.cancel(session, ended.id, now(sessions), now=True)
    redeem(sessions, creator, make())
    upload(sessions, creator)
    called(sessions, 5, creator.id)
    with sessions.begin() as session:
        assert analytics_sources.take(session).facts == 6
        rows = session.execute(text("SELECT metric, value, label, person FROM analytics_facts")).all()
    assert {row.metric for row in rows} == {metric.name for metric in METRICS.values() if metric.door is Door.OWN}
    for row in rows:
        known = METRICS[row.metric]
        given = (row.value if known.unit else None, row.label if known.label else None)
        assert complaint(row.metric, *given, Door.OWN) is None
        assert (known.label is None) == (row.label == "")
        assert (row.person is not None) == known.persons
