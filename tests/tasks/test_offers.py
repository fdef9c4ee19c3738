"""The offers' runs and the retention of events, called as plain functions: the slot is their now."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import event_retention, event_store, job_claim, job_dispatch, job_enqueue, offer_store, offers_due
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import EventsPrune, OffersActivate, OffersExpire, PeriodicArgs
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.models.offers import Offer
from huntaze.models.users import User
from huntaze.settings import Settings
from huntaze.tasks import events, offers
from huntaze.tasks.context import JobContext

Start = Callable[[PeriodicArgs], JobContext]


@pytest.fixture
def start(sessions: Sessions, settings: Settings) -> Start:
    """A claimed job of a slot, with its context."""

    def begin(args: PeriodicArgs) -> JobContext:
        with sessions.begin() as session:
            job = job_enqueue.enqueue(session, args).job
            job_dispatch.take_due(session, "default", 10, {args.kind: 1}, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"))
        return JobContext(held, sessions, clients, SimpleNamespace(lost=False, cancelled=False), settings)

    return begin


def result(ctx: JobContext) -> object:
    with ctx.sessions() as session:
        return session.get_one(Job, ctx.job.id).result


def now(sessions: Sessions) -> datetime:
    with sessions() as session:
        return offers_due.now(session)


def test_the_runs_of_a_slot(sessions: Sessions, creator: User, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers_due, "ROWS", 2)
    moment, hour = now(sessions), timedelta(hours=1)
    with sessions.begin() as session:
        for _ in range(5):
            values = {"name": "x", "percent_off_bp": 100, "audience": [], "starts_at": moment, "ends_at": moment + hour}
            offer_store.create(session, creator.id, values)
        session.execute(text("UPDATE offers SET state = 'scheduled'"))
    for args, run, moved, state in (
        (OffersActivate(slot=moment - hour), offers.activate_offers, 0, "scheduled"),
        (OffersActivate(slot=moment), offers.activate_offers, 5, "active"),
        (OffersActivate(slot=moment), offers.activate_offers, 0, "active"),
        (OffersExpire(slot=moment), offers.expire_offers, 0, "active"),
        (OffersExpire(slot=moment + hour), offers.expire_offers, 5, "expired"),
        (OffersExpire(slot=moment + 2 * hour), offers.expire_offers, 0, "expired"),
    ):
        ctx = start(args)
        run(ctx, args)  # type: ignore[arg-type]
        assert result(ctx) == {"offers": moved}
        with sessions() as session:
            assert set(session.scalars(select(Offer.state))) == {state}


def test_events_go_after_their_days_page_by_page(
    sessions: Sessions, creator: User, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_retention, "ROWS", 2)
    with sessions.begin() as session:
        for number in range(7):
            event_store.emit(session, creator.id, f"n.{number}", uuid.uuid4(), {})
        event_store.place(session)
        session.execute(text("UPDATE events SET created_at = created_at - interval '8 days' WHERE type < 'n.5'"))
        upto = event_store.last_position(session)
    args = EventsPrune(slot=now(sessions))
    ctx = start(args)
    events.prune_events(ctx, args)
    assert result(ctx) == {"deleted": 5, "more": False}
    with sessions.begin() as session:
        assert list(session.scalars(select(Event.type).order_by(Event.type))) == ["n.5", "n.6"]
        assert event_retention.pruned(session) == upto - 2
        session.execute(text("UPDATE event_position SET pruned = 0"))
