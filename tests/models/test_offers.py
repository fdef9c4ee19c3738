"""Offers in the database: truth by the clock, moves by the hour, redemptions by many at once."""

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from huntaze.models import offer_redeem, offer_store, offers_due
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.offer_redeem import Wanted
from huntaze.models.offers import Offer, OfferRedemption
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.offers.states import Action, OfferState, by_the_clock

HOUR = timedelta(hours=1)
Make = Callable[..., uuid.UUID]


def now(sessions: Sessions) -> datetime:
    with sessions() as session:
        return offers_due.now(session)


@pytest.fixture
def make(sessions: Sessions, creator: User) -> Make:
    """An offer of `ada`; `start` and `end` are hours from now. `state`: as it is stored, whatever the clock says."""

    def make_one(
        start: float | None = -1, end: float | None = 1, *, state: OfferState | None = OfferState.ACTIVE, **values: Any
    ) -> uuid.UUID:
        moment = now(sessions)
        terms = {} if "price_minor" in values else {"percent_off_bp": 2500}
        given = {"name": "Summer", "audience": [], "per_fan": 1, "quota": None} | terms | values
        with sessions.begin() as session:
            seen = offer_store.create(session, creator.id, given)
            times = {
                "starts_at": None if start is None else moment + start * HOUR,
                "ends_at": None if end is None else moment + end * HOUR,
            }
            session.execute(update(Offer).where(Offer.id == seen.offer.id).values(state=state, **times))
        return seen.offer.id

    return make_one


def seen(sessions: Sessions, offer_id: uuid.UUID) -> tuple[str, str]:
    """(true state, stored state)."""
    with sessions() as session:
        found = offer_store.get(session, offer_id)
    assert found is not None
    return found.state, found.offer.state


def told(sessions: Sessions, offer_id: uuid.UUID) -> list[str]:
    with sessions() as session:
        query = select(Event.type).where(Event.subject_id == offer_id).order_by(Event.created_at, Event.id)
        return list(session.scalars(query))


def act(sessions: Sessions, offer_id: uuid.UUID, action: Action) -> OfferState:
    with sessions.begin() as session:
        found = offer_store.act(session, offer_id, None, action)
    assert found is not None
    return found.state


def redeem(sessions: Sessions, creator: User, offer_id: uuid.UUID, fan: str = "f1", **fields: Any) -> OfferRedemption:
    wanted = {"segments": frozenset(), "price_minor": 1000, "currency": "EUR", "reference": str(uuid.uuid4())} | fields
    with sessions.begin() as session:
        found = offer_redeem.redeem(session, offer_id, creator.id, Wanted(fan, **wanted))
    assert found is not None
    return found[0]


def refusal(sessions: Sessions, creator: User, offer_id: uuid.UUID, fan: str = "f1", **fields: Any) -> str:
    with pytest.raises(Permanent) as refused:
        redeem(sessions, creator, offer_id, fan, **fields)
    return refused.value.code


def test_between_two_runs_reads_tell_the_truth(sessions: Sessions, make: Make) -> None:
    over = make(-2, -1)
    begun = make(-1, 1, state=OfferState.SCHEDULED)
    assert seen(sessions, over) == ("expired", "active")
    assert seen(sessions, begun) == ("active", "scheduled")
    with sessions() as session:
        assert [one.offer.id for one in offer_store.search(session, state=OfferState.ACTIVE)] == [begun]
        assert [one.offer.id for one in offer_store.search(session, state=OfferState.EXPIRED)] == [over]
        assert offer_store.search(session, state=OfferState.SCHEDULED) == []


HOURS = st.none() | st.integers(-3, 3).filter(bool)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(OfferState), HOURS, HOURS)
def test_sql_and_python_agree_on_the_truth(
    sessions: Sessions, make: Make, state: OfferState, start: int | None, end: int | None
) -> None:
    if (start is not None and end is not None and end <= start) or start is None:
        start = -4 if state not in (OfferState.DRAFT, OfferState.CANCELLED) or start is not None else None
    offer_id = make(start, end, state=state)
    with sessions() as session:
        found = offer_store.get(session, offer_id)
        assert found is not None
        moment = offers_due.now(session)
        assert found.state == by_the_clock(state, found.offer.starts_at, found.offer.ends_at, moment)


def test_the_runs_move_many_at_once_and_tell_each_once(
    sessions: Sessions, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers_due, "ROWS", 2)
    due = [make(-1, 1, state=OfferState.SCHEDULED) for _ in range(3)]
    to_come = make(1, 2, state=OfferState.SCHEDULED)
    missed = make(-2, -1, state=OfferState.SCHEDULED)
    paused = make(-2, -1, state=OfferState.PAUSED)
    slot = now(sessions)

    def run(turn: Callable[..., int]) -> list[int]:
        counts = []
        for _ in range(3):
            with sessions.begin() as session:
                counts.append(turn(session, slot))
        return counts

    assert run(offers_due.activate) == [2, 1, 0]
    assert run(offers_due.expire) == [2, 0, 0]
    assert [told(sessions, offer) for offer in due] == [["offer.activated"]] * 3
    assert told(sessions, missed) == told(sessions, paused) == ["offer.expired"]
    assert (told(sessions, to_come), seen(sessions, to_come)) == ([], ("scheduled", "scheduled"))


def test_two_runs_at_once_tell_once(sessions: Sessions, make: Make) -> None:
    offers = [make(-2, -1) for _ in range(30)]
    slot = now(sessions)

    def run(_: int) -> int:
        with sessions.begin() as session:
            return offers_due.expire(session, slot)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 30
    assert [told(sessions, offer) for offer in offers] == [["offer.expired"]] * 30


def test_the_slot_is_their_now(sessions: Sessions, make: Make) -> None:
    offer = make(-2, -1)
    with sessions.begin() as session:
        assert offers_due.expire(session, now(sessions) - 1.5 * HOUR) == 0
        assert offers_due.expire(session, now(sessions)) == 1
    assert seen(sessions, offer) == ("expired", "expired")


def test_a_change_catches_up_with_the_clock_first(sessions: Sessions, make: Make) -> None:
    offer = make(-1, 1, state=OfferState.SCHEDULED)
    assert act(sessions, offer, Action.PAUSE) == OfferState.PAUSED
    assert act(sessions, offer, Action.RESUME) == OfferState.ACTIVE
    assert told(sessions, offer) == ["offer.activated", "offer.paused", "offer.resumed"]
    over = make(-2, -1)
    with pytest.raises(Permanent, match="expired"):
        act(sessions, over, Action.PAUSE)


def test_scheduled_now_later_and_never(sessions: Sessions, make: Make) -> None:
    assert act(sessions, make(None, 1, state=OfferState.DRAFT), Action.SCHEDULE) == OfferState.ACTIVE
    assert act(sessions, make(-1, 1, state=OfferState.DRAFT), Action.SCHEDULE) == OfferState.ACTIVE
    later = make(1, 2, state=OfferState.DRAFT)
    assert act(sessions, later, Action.SCHEDULE) == OfferState.SCHEDULED
    assert told(sessions, later) == ["offer.scheduled"]
    with pytest.raises(Permanent, match="future"):
        act(sessions, make(-2, -1, state=OfferState.DRAFT), Action.SCHEDULE)


def test_a_code_is_of_one_offer_that_has_not_ended(sessions: Sessions, creator: User, make: Make) -> None:
    first = make(-1, 1, code="SUN")
    with pytest.raises(Permanent, match="code_taken"):
        make(3, 4, code="SUN")
    with sessions.begin() as session:
        moved = {"starts_at": now(sessions) - 2 * HOUR, "ends_at": now(sessions) - HOUR}
        session.execute(update(Offer).where(Offer.id == first).values(moved))
    second = make(-1, 1, code="SUN")
    assert seen(sessions, first) == ("expired", "expired"), "its end was due, and frees the code"
    with sessions() as session:
        assert offer_store.find_by_code(session, creator.id, "SUN") == second
        assert offer_store.find_by_code(session, uuid.uuid4(), "SUN") is None


def test_overlapping_offers_stand_side_by_side(sessions: Sessions, creator: User, make: Make) -> None:
    offers = [make(-1, hours) for hours in (1, 2, None)]
    assert [redeem(sessions, creator, offer).pays_minor for offer in offers] == [750] * 3


def test_a_redemption(sessions: Sessions, creator: User, make: Make) -> None:
    offer = make(price_minor=499, currency="EUR", quota=2, per_fan=1, audience=["new", "vip"])
    vip = {"segments": frozenset({"vip"})}
    first = redeem(sessions, creator, offer, reference="order 1", **vip)
    assert (first.pays_minor, first.number) == (499, 1)
    assert redeem(sessions, creator, offer, reference="order 1", **vip).id == first.id, "asked again"
    assert refusal(sessions, creator, offer, "f2", reference="order 1", **vip) == "request.key_reused"
    assert refusal(sessions, creator, offer, **vip) == "offer.once_a_fan"
    assert refusal(sessions, creator, offer, "f2", segments=frozenset({"old"})) == "offer.not_for_fan"
    assert refusal(sessions, creator, offer, "f2", currency="USD", **vip) == "offer.currency"
    redeem(sessions, creator, offer, "f2", **vip)
    assert refusal(sessions, creator, offer, "f3", **vip) == "offer.exhausted"
    assert told(sessions, offer) == ["offer.redeemed", "offer.redeemed", "offer.exhausted"]
    assert redeem(sessions, creator, offer, reference="order 1", **vip).id == first.id, "exhausted or not"


@pytest.mark.parametrize(
    ("start", "end", "state", "code"),
    [
        (1, 2, OfferState.SCHEDULED, "offer.not_active"),
        (-2, -1, OfferState.ACTIVE, "offer.not_active"),
        (-1, 1, OfferState.PAUSED, "offer.not_active"),
        (-1, 1, OfferState.DRAFT, "offer.not_active"),
        (-1, 1, OfferState.CANCELLED, "offer.not_active"),
        (-1, 1, OfferState.EXHAUSTED, "offer.exhausted"),
    ],
)
def test_what_is_not_active_is_not_redeemed(
    sessions: Sessions, creator: User, make: Make, start: int, end: int, state: OfferState, code: str
) -> None:
    offer = make(start, end, state=state)
    assert refusal(sessions, creator, offer) == code


def test_one_whose_start_has_come_is_redeemed_before_the_run(sessions: Sessions, creator: User, make: Make) -> None:
    offer = make(-1, 1, state=OfferState.SCHEDULED, quota=1)
    redeem(sessions, creator, offer)
    assert told(sessions, offer) == ["offer.activated", "offer.redeemed", "offer.exhausted"]


def test_another_creator_redeems_nothing(sessions: Sessions, make: Make) -> None:
    with sessions.begin() as session:
        wanted = Wanted("f1", frozenset(), 1000, "EUR", "order 1")
        assert offer_redeem.redeem(session, make(), uuid.uuid4(), wanted) is None


def test_a_raised_quota_brings_it_back(sessions: Sessions, creator: User, make: Make) -> None:
    offer = make(quota=1)
    redeem(sessions, creator, offer)

    def change(**values: Any) -> OfferState:
        with sessions.begin() as session:
            found = offer_store.change(session, offer, creator.id, values)
        assert found is not None
        return found.state

    assert change(quota=2) == OfferState.ACTIVE
    redeem(sessions, creator, offer, "f2")
    with pytest.raises(Permanent, match="quota_too_low"):
        change(quota=1)
    assert change(ends_at=now(sessions) + 5 * HOUR) == OfferState.EXHAUSTED
    for bad in ({"ends_at": now(sessions) - HOUR}, {"ends_at": now(sessions) - 3 * HOUR}):
        with pytest.raises(Permanent, match=r"offer\.times"):
            change(**bad)


@pytest.mark.parametrize(("quota", "per_fan", "fans"), [(7, 1, 40), (None, 3, 4), (10, 2, 6)])
def test_forty_at_once_never_pass_quota_or_share(
    sessions: Sessions, creator: User, make: Make, quota: int | None, per_fan: int, fans: int
) -> None:
    offer = make(quota=quota, per_fan=per_fan)

    def one(number: int) -> str:
        try:
            redeem(sessions, creator, offer, f"f{number % fans}")
        except Permanent as error:
            return error.code
        return "redeemed"

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(one, range(40)))
    wanted = min(fans * per_fan, 40 if quota is None else quota)
    with sessions() as session:
        rows = session.scalars(select(OfferRedemption.fan_id)).all()
        redeemed = session.scalars(select(Offer.redeemed)).one()
    assert len(rows) == redeemed == outcomes["redeemed"] == wanted
    assert max(Counter(rows).values()) <= per_fan
    assert seen(sessions, offer)[0] == ("exhausted" if wanted == quota else "active")


def test_the_same_reference_at_once_is_one_redemption(sessions: Sessions, creator: User, make: Make) -> None:
    offer = make(per_fan=None)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: redeem(sessions, creator, offer, reference="order 1").id, range(16)))
    assert len(set(ids)) == 1
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(OfferRedemption)) == 1
        assert session.scalar(text("SELECT redeemed FROM offers")) == 1
