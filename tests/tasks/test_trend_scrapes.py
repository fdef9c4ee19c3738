"""Scraping from the schedule to the verdict: no start is sent twice, no row is lost, no money is spent unseen."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.apify.runner import StartUnclear
from huntaze.clients.apify.twin import MemoryActorRunner
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import job_enqueue, job_store, trend_run_store, trend_verdicts
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import TrendsCheck, TrendsFire, TrendsForget, TrendsPrune
from huntaze.models.jobs import Job
from huntaze.models.trend_posts import ForgottenAuthor, Post, PostMetric, TrendRawRow
from huntaze.models.trend_sources import RunState, TrendAlarm, TrendRun, TrendSource, Verdict
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.trends.posts.identity import parse_keys
from huntaze.settings import Settings
from huntaze.worker.runtime import build_runtime
from tests.tasks.trends import CHARGE, KEYS_TEXT, Fleet, video


@pytest.fixture
def fleet(settings: Settings, sessions: Sessions) -> Iterator[Fleet]:
    built, actors = build_runtime(settings), MemoryActorRunner()
    clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"), actors=actors)
    made = Fleet(replace(built, clients=clients), actors)
    made.with_apify(token=SecretStr("t"), author_keys=SecretStr(KEYS_TEXT), unclear_s=0.0)
    yield made
    built.sessions.kw["bind"].dispose()


def count(fleet: Fleet, table: type) -> int:
    with fleet.sessions() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def whole(fleet: Fleet, source: TrendSource, items: list[dict[str, object]], status: str = "SUCCEEDED") -> TrendRun:
    """A run of the source from plan to verdict."""
    run = fleet.plan(source)
    fleet.turn()
    external = fleet.run(run).external_id
    assert external is not None
    fleet.actors.end(external, items, status)
    fleet.turn(2)
    return fleet.run(run)


def test_a_run_from_plan_to_posts(fleet: Fleet) -> None:
    source = fleet.source(max_items=50, region="DE", language="de")
    run = fleet.plan(source)
    assert (fleet.spend().reserved, fleet.spend().spent) == (CHARGE, 0)
    assert fleet.turn() == ["waiting"]  # started, and asked for again later
    assert fleet.run(run).state == RunState.STARTED
    (order,) = fleet.actors.orders
    assert (order.actor, order.max_items, order.max_charge_micro_usd) == ("clockworks/tiktok-scraper", 50, CHARGE)
    assert (order.mark, order.input["hashtags"]) == (str(run.id), ["ootd"])
    assert fleet.turn() == ["waiting"]
    fleet.actors.end("run1", [video(n) for n in range(30)], cost_micro_usd=70_001)
    assert fleet.turn() == ["succeeded"]
    assert (fleet.spend().reserved, fleet.spend().spent) == (0, 70_001)
    assert fleet.turn() == ["succeeded"]
    found = fleet.run(run)
    assert (found.state, found.verdict, found.feeds) == (RunState.COLLECTED, Verdict.SAMPLE, True)
    assert (found.items, found.posts, found.posts_new, found.dataset_offset) == (30, 30, 30, 30)
    assert (found.cost_micro_usd, found.cost_known) == (70_001, True)
    assert (count(fleet, Post), count(fleet, PostMetric)) == (30, 30)
    with fleet.sessions() as session:
        assert session.get_one(TrendSource, source.id).build == "1.0.1"  # pinned, now that it has done well
    assert fleet.turn() == []


@pytest.mark.parametrize("keeps_mark", [True, False])
def test_a_start_without_an_answer_is_looked_for_before_another_is_sent(fleet: Fleet, keeps_mark: bool) -> None:
    fleet.actors.keeps_mark = keeps_mark
    fleet.actors.after_start = [StartUnclear("502")]
    run = fleet.plan(fleet.source())
    assert fleet.turn() == ["waiting"]
    assert fleet.run(run).state == RunState.INTENDED
    fleet.turn()
    assert (fleet.run(run).state, fleet.run(run).external_id) == (RunState.STARTED, "run1")
    assert len(fleet.actors.orders) == 1


def test_a_start_that_made_no_run_is_sent_again_after_the_look(fleet: Fleet) -> None:
    fleet.actors.before_start = [StartUnclear("timeout")]
    run = fleet.plan(fleet.source())
    fleet.turn(2)
    assert (fleet.run(run).start_tries, len(fleet.actors.orders)) == (2, 1)
    assert fleet.run(run).state == RunState.STARTED


def test_nothing_is_sent_again_before_it_is_time_to_look(fleet: Fleet) -> None:
    fleet.with_apify(unclear_s=600.0)
    fleet.actors.before_start = [StartUnclear("timeout")]
    run = fleet.plan(fleet.source())
    assert fleet.turn(3) == ["waiting"]
    assert (fleet.run(run).start_tries, fleet.actors.orders) == (1, [])


def test_a_worker_that_died_while_it_started_a_run_leaves_a_doubt(fleet: Fleet) -> None:
    run = fleet.plan(fleet.source())
    with fleet.sessions.begin() as session:  # all that it left: the start was announced
        assert trend_run_store.begin_start(session, trend_run_store.load(session, run.id)[0])
        assert not trend_run_store.begin_start(session, run)  # and nobody announces it twice
    fleet.turn()
    assert (fleet.run(run).state, fleet.run(run).start_tries) == (RunState.STARTED, 2)


def test_another_run_of_the_actor_is_not_taken_for_ours(fleet: Fleet) -> None:
    fleet.actors.keeps_mark = False
    other = whole(fleet, fleet.source(), [video(1)])
    stranger = fleet.plan(fleet.source(query="#else"))
    fleet.turn()
    fleet.actors.before_start = [StartUnclear("timeout")]
    with fleet.sessions() as session:
        source = session.get_one(TrendSource, other.source_id)
    run = fleet.plan(source)  # the same input as `other`, which is somebody's
    fleet.turn(2)
    ids = [fleet.run(one).external_id for one in (other, stranger, run)]
    assert ids == ["run1", "run2", "run3"]


def test_starts_that_are_lost_again_and_again_end_and_are_paid_for(fleet: Fleet) -> None:
    fleet.actors.before_start = [StartUnclear("timeout")] * 9
    run = fleet.plan(fleet.source())
    assert fleet.turn(4) == ["failed"]
    found = fleet.run(run)
    assert (found.state, found.error_code, found.start_tries) == (RunState.FAILED, "apify.start_unclear", 3)
    assert (fleet.spend().reserved, fleet.spend().spent) == (0, CHARGE)  # nobody can tell, so all of it
    assert found.cost_known is False


def test_a_refusal_costs_nothing(fleet: Fleet) -> None:
    fleet.actors.before_start = [Permanent("apify.refused", "no")]
    run = fleet.plan(fleet.source())
    assert fleet.turn() == ["failed"]
    assert (fleet.run(run).error_code, fleet.run(run).cost_micro_usd) == ("apify.refused", 0)
    assert (fleet.spend().reserved, fleet.spend().spent) == (0, 0)


def test_a_vendor_that_is_away_is_tried_again_without_a_doubt(fleet: Fleet) -> None:
    fleet.actors.before_start = [Transient("apify.unreachable", "away")]
    run = fleet.plan(fleet.source())
    assert fleet.turn() == ["waiting"]
    assert fleet.run(run).start_tried_at is None
    fleet.turn()
    assert (fleet.run(run).state, len(fleet.actors.orders)) == (RunState.STARTED, 1)


def test_without_settings_nothing_is_sent(fleet: Fleet) -> None:
    fleet.with_apify(author_keys=None)
    run = fleet.plan(fleet.source())
    assert fleet.turn() == ["failed"]
    assert "HUNTAZE_APIFY_AUTHOR_KEYS" in (fleet.run(run).error_message or "")
    assert fleet.spend().reserved == 0


def check(fleet: Fleet, run: TrendRun, external_id: str | None) -> None:
    with fleet.sessions.begin() as session:
        job_enqueue.enqueue(session, TrendsCheck(run_id=run.id, external_id=external_id), subject_id=run.id)


def test_what_a_webhook_says_is_asked_for(fleet: Fleet) -> None:
    run = fleet.plan(fleet.source())
    fleet.turn()
    check(fleet, run, "run1")
    fleet.turn()
    assert fleet.run(run).state == RunState.STARTED  # it said so, but the vendor does not
    fleet.actors.end("run1", [video(1)])
    check(fleet, run, "run1")
    fleet.turn()  # the check and the poll see the end in the same turn: it is collected once
    fleet.turn()
    assert fleet.run(run).state == RunState.COLLECTED
    with fleet.sessions() as session:
        kinds = session.scalars(select(Job.kind).order_by(Job.kind)).all()
    assert kinds.count("trends.collect") == 1


def test_a_webhook_tells_which_run_a_lost_start_made(fleet: Fleet) -> None:
    fleet.with_apify(unclear_s=600.0)
    fleet.actors.after_start = [StartUnclear("502")]
    run = fleet.plan(fleet.source())
    fleet.turn()
    fleet.actors.end("run1", [video(1)])
    check(fleet, run, "run1")
    fleet.turn(3)
    assert (fleet.run(run).state, fleet.run(run).external_id) == (RunState.COLLECTED, "run1")
    assert len(fleet.actors.orders) == 1


def test_short_pages_lose_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huntaze.tasks.trend_collect.PAGE", 10)
    fleet.actors.skipped = lambda at: at % 3 == 0 or 20 <= at < 40  # whole pages are empty
    run = whole(fleet, fleet.source(), [video(n) for n in range(95)])
    kept = [n for n in range(95) if not (n % 3 == 0 or 20 <= n < 40)]
    assert (run.posts, run.dataset_offset, run.dataset_total) == (len(kept), 95, 95)
    assert count(fleet, Post) == len(kept)


def test_collecting_goes_on_where_it_was_broken_off(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huntaze.tasks.trend_collect.PAGE", 10)
    run = fleet.plan(fleet.source())
    fleet.turn()
    fleet.actors.end("run1", [video(n) for n in range(35)])
    fleet.turn()
    pages, asked = fleet.actors.items, []

    def breaks(dataset_id: str, offset: int, limit: int) -> object:
        asked.append(offset)
        if len(asked) == 3:
            raise Transient("apify.unavailable", "away")
        return pages(dataset_id, offset, limit)

    monkeypatch.setattr(fleet.actors, "items", breaks)
    assert fleet.turn() == ["waiting"]
    assert (fleet.run(run).dataset_offset, count(fleet, Post)) == (20, 20)
    assert fleet.turn() == ["succeeded"]
    assert asked == [0, 10, 20, 20, 30, 35]
    assert (fleet.run(run).items, count(fleet, Post), count(fleet, TrendRawRow)) == (35, 35, 35)


@pytest.mark.parametrize("items", [[], [{"noResults": True}], [{"error": "no_items"}]])
def test_a_run_that_found_nothing_is_unknown_and_not_nought(fleet: Fleet, items: list[dict[str, object]]) -> None:
    run = whole(fleet, fleet.source(), items)
    assert (run.state, run.verdict, run.feeds) == (RunState.COLLECTED, Verdict.UNKNOWN, False)


@pytest.mark.parametrize("status", ["FAILED", "TIMED-OUT", "ABORTED"])
def test_what_a_run_found_before_it_was_cut_short_is_kept_and_not_counted(fleet: Fleet, status: str) -> None:
    run = whole(fleet, fleet.source(), [video(n) for n in range(5)], status)
    assert (run.verdict, run.feeds, run.posts, run.cost_micro_usd) == (Verdict.PARTIAL, False, 5, 1000)


def found_by(fleet: Fleet) -> dict[uuid.UUID, int]:
    """{run: posts that are of its sample}"""
    with fleet.sessions() as session:
        rows = session.execute(select(Post.run_id, func.count()).group_by(Post.run_id)).all()
    return {row[0]: row[1] for row in rows}


def test_a_field_that_vanishes_holds_the_source_and_tells_its_owner(fleet: Fleet, creator: User) -> None:
    source = fleet.source(creator.id)
    usual = whole(fleet, source, [video(n) for n in range(60)])
    assert usual.feeds
    drifted = [{("likes" if name == "diggCount" else name): v for name, v in video(n).items()} for n in range(50, 100)]
    run = whole(fleet, source, drifted)
    assert (run.verdict, run.feeds) == (Verdict.UNHEALTHY, False)
    with fleet.sessions() as session:
        alarm = session.scalars(select(TrendAlarm)).one()
        told = session.scalars(select(Event).where(Event.type == "source.held")).one()
        assert session.get_one(TrendSource, source.id).held_at is not None
    assert (alarm.kind, alarm.field, alarm.usual, alarm.seen) == ("null_rate", "likes", 0.0, 1.0)
    assert told.data["findings"][0]["field"] == "likes"
    assert found_by(fleet) == {usual.id: 60, run.id: 40}
    good = whole(fleet, source, [video(n) for n in range(100)])
    assert (good.verdict, good.feeds) == (Verdict.SAMPLE, False)  # still held: nobody has looked
    with fleet.sessions.begin() as session:
        assert trend_verdicts.release(session, source.id) == 1
    again = whole(fleet, source, [video(n) for n in range(100)])
    assert again.feeds
    # What the bad run was first to find is of the first good sample.
    assert found_by(fleet) == {usual.id: 60, again.id: 40}


def test_rows_that_are_no_posts_any_more_hold_the_source(fleet: Fleet) -> None:
    run = whole(fleet, fleet.source(), [{"identifier": n, "caption": "?"} for n in range(8)])
    assert (run.verdict, run.quarantined) == (Verdict.UNHEALTHY, 8)
    with fleet.sessions() as session:
        (alarm,) = trend_verdicts.open_alarms(session)
    assert str(alarm) == "tiktok #ootd: quarantine 100 %, usually 0 %"


def test_a_run_that_costs_too_much_is_told_to_end(fleet: Fleet) -> None:
    run = fleet.plan(fleet.source())
    fleet.turn()
    fleet.actors.runs["run1"] = replace(fleet.actors.runs["run1"], cost_micro_usd=CHARGE + 1)
    fleet.turn()
    assert fleet.actors.aborted == ["run1"]
    fleet.actors.end("run1", [video(1)], "ABORTED", CHARGE + 2)
    fleet.turn(2)
    assert (fleet.run(run).verdict, fleet.spend().spent) == (Verdict.PARTIAL, CHARGE + 2)


def test_a_run_that_does_not_end_is_told_to(fleet: Fleet) -> None:
    fleet.actors.clock = lambda: datetime.now(UTC) - timedelta(minutes=31)
    fleet.plan(fleet.source())
    fleet.turn(2)
    assert fleet.actors.aborted == ["run1"]


def test_a_cancelled_job_ends_its_run(fleet: Fleet) -> None:
    run = fleet.plan(fleet.source())
    with fleet.sessions.begin() as session:
        job_store.cancel(session, session.scalars(select(Job.id)).one())
    assert (fleet.run(run).state, fleet.spend().reserved, fleet.spend().spent) == (RunState.CANCELLED, 0, 0)


def test_a_collection_that_failed_can_be_taken_up_again(fleet: Fleet) -> None:
    run = fleet.plan(fleet.source())
    fleet.turn()
    fleet.actors.end("run1", [video(1)])
    fleet.turn()
    lost = fleet.actors.datasets.pop("set-run1")
    assert fleet.turn() == ["failed"]
    assert (fleet.run(run).state, fleet.run(run).error_code) == (RunState.FAILED, "apify.not_found")
    fleet.actors.datasets["set-run1"] = lost
    with fleet.sessions.begin() as session:
        job_store.replay(session, session.scalars(select(Job.id).where(Job.kind == "trends.collect")).one())
    fleet.turn()
    assert (fleet.run(run).state, fleet.run(run).posts) == (RunState.COLLECTED, 1)


def fire(fleet: Fleet, slot: datetime) -> None:
    with fleet.sessions.begin() as session:
        job_enqueue.enqueue(session, TrendsFire(slot=slot))
    fleet.turn()


def runs(fleet: Fleet) -> list[TrendRun]:
    with fleet.sessions() as session:
        return list(session.scalars(select(TrendRun).order_by(TrendRun.id)))


def test_the_schedule_makes_one_run_a_slot(fleet: Fleet) -> None:
    source = fleet.source(cron="0 * * * *")
    paused = fleet.source(query="#paused")
    with fleet.sessions.begin() as session:
        session.execute(text("UPDATE trend_sources SET state = 'paused' WHERE id = :id"), {"id": paused.id})
    fire(fleet, source.next_run_at - timedelta(minutes=5))
    assert runs(fleet) == []
    late = source.next_run_at + timedelta(hours=7, minutes=10)  # of what was missed one run is made
    fire(fleet, late)
    fire(fleet, late)
    (run,) = runs(fleet)
    assert (run.source_id, run.slot) == (source.id, source.next_run_at)
    fire(fleet, late + timedelta(hours=2))  # the first one still goes: passed over
    assert len(runs(fleet)) == 1


def test_a_month_without_money_skips_and_says_so(fleet: Fleet) -> None:
    fleet.with_apify(monthly_cap_micro_usd=CHARGE)
    first, second = fleet.source(cron="0 * * * *"), fleet.source(query="#two", cron="0 * * * *")
    fire(fleet, first.next_run_at)
    states = sorted(run.state for run in runs(fleet))
    assert states == [RunState.INTENDED, RunState.SKIPPED]
    assert fleet.spend().reserved == CHARGE
    assert {run.source_id for run in runs(fleet)} == {first.id, second.id}
    assert fleet.turn(1) == ["waiting"]  # one job, one start
    assert len(fleet.actors.orders) == 1


def test_an_author_is_forgotten_and_stays_out(fleet: Fleet) -> None:
    source = fleet.source()
    broken = {name: value for name, value in video(3).items() if name != "id"}
    whole(fleet, source, [*(video(n) for n in range(30)), broken])
    keys = parse_keys(KEYS_TEXT).all_keys("tiktok", "@User3")
    with fleet.sessions.begin() as session:
        job_enqueue.enqueue(session, TrendsForget(author_keys=[key.hex() for key in keys]))
    fleet.turn()
    assert (count(fleet, Post), count(fleet, PostMetric), count(fleet, ForgottenAuthor)) == (29, 29, 1)
    with fleet.sessions() as session:
        assert session.scalars(select(TrendRawRow).where(TrendRawRow.author_key == keys[0])).all() == []
    whole(fleet, source, [video(n) for n in range(31)])
    assert count(fleet, Post) == 30


def test_rows_and_posts_go_after_their_days(fleet: Fleet) -> None:
    whole(fleet, fleet.source(), [video(n) for n in range(3)])
    for days, left in ((6, (3, 3, 3)), (8, (3, 3, 0)), (400, (0, 0, 0))):
        slot = datetime.now(UTC) + timedelta(days=days)
        with fleet.sessions.begin() as session:
            job_enqueue.enqueue(session, TrendsPrune(slot=slot))
        fleet.turn()
        assert (count(fleet, Post), count(fleet, PostMetric), count(fleet, TrendRawRow)) == left


def test_rows_go_with_their_source(fleet: Fleet) -> None:
    gone, kept = fleet.source(), fleet.source(query="#kept")
    whole(fleet, gone, [video(n) for n in range(3)])
    whole(fleet, kept, [video(n) for n in range(2)])
    with fleet.sessions.begin() as session:
        session.execute(text("DELETE FROM trend_sources WHERE id = :id"), {"id": gone.id})
        job_enqueue.enqueue(session, TrendsPrune(slot=datetime.now(UTC)))
    fleet.turn()
    assert count(fleet, TrendRawRow) == 2
