"""The creators of a simulation: what they do on a day, done to the database and told to what is expected."""

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from huntaze.cli.billing_simulation import scenario
from huntaze.cli.billing_simulation.expected import Expected
from huntaze.cli.billing_simulation.scenario import Market, Newcomer, Sold
from huntaze.clients.payments.embedded import EmbeddedGateway
from huntaze.models import (
    billing_books,
    billing_credit,
    billing_reads,
    billing_store,
    billing_usage,
    billing_watch,
    payment_disputes,
    user_store,
)
from huntaze.models.billing_store import Wanted
from huntaze.models.billing_usage import Metered
from huntaze.models.billing_watch import Dunned
from huntaze.models.database import Sessions
from huntaze.pipelines.billing.periods import Cycle, Period
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import DisputeNotice, DisputeState, Movement

DAY = timedelta(days=1)


@dataclass
class Person:
    """A creator with the one subscription that they have."""

    id: uuid.UUID  # of the subscription
    creator_id: uuid.UUID
    plan: Sold
    started_at: datetime
    trial_end: datetime | None
    expected: Expected

    @property
    def paused(self) -> bool:
        return self.expected.next_start is None and not self.expected.ended


class World:
    """`counts` says how often what was done."""

    def __init__(self, sessions: Sessions, dice: random.Random, market: Market, coming: list[Newcomer]) -> None:
        self.people: dict[uuid.UUID, Person] = {}
        self.counts: Counter[str] = Counter()
        self._sessions, self._dice, self._market = sessions, dice, market
        self._coming = iter(coming)
        self._next: Newcomer | None = next(self._coming, None)

    def live(self, day: datetime) -> None:
        """All that people do on a day, in the order of time."""
        self._arrive(day + DAY)
        for at, person, whim in sorted(self._whims(day), key=lambda one: one[0]):
            try:
                with self._sessions.begin() as session:
                    tell = whim(session, person, at)
            except Permanent:  # refused, and nothing was changed: too early, held, over
                self.counts["refused"] += 1
                continue
            tell()
        self._use(day)
        self._give(day)
        self._take_back(day)
        if self._dice.random() < scenario.DISPUTED:
            self._dispute(day)

    def _arrive(self, until: datetime) -> None:
        with self._sessions.begin() as session:
            while self._next is not None and self._next.at < until:
                self._subscribe(session, self._next)
                self._next = next(self._coming, None)

    def _subscribe(self, session: Session, one: Newcomer) -> None:
        creator = user_store.ensure_user(session, f"creator-{len(self.people)}")
        wanted: dict[str, Any] = one.wanted
        row = billing_store.subscribe(session, Wanted(creator.id, one.plan.id, **wanted), one.at)
        trial_end = one.at + timedelta(days=one.plan.trial_days) if one.plan.trial_days else None
        first = trial_end or one.at
        expected = Expected(Cycle(first, wanted["time_zone"], one.plan.unit, one.plan.count), first)
        self.people[row.id] = Person(row.id, creator.id, one.plan, one.at, trial_end, expected)

    def _whims(self, day: datetime) -> Iterator[tuple[datetime, Person, "Whim"]]:
        for person in self.people.values():
            if person.expected.ended:
                continue
            roll, at = self._dice.random(), day + timedelta(microseconds=self._dice.randrange(86_400 * 10**6))
            if at <= person.started_at:
                continue
            if person.paused:
                if roll < scenario.RESUME:
                    yield at, person, self._resume
                continue
            for chance, whim in (
                (scenario.CHANGE, self._change),
                (scenario.PAUSE, self._pause),
                (scenario.CANCEL, self._cancel),
            ):
                if roll < chance:
                    yield at, person, whim
                    break
                roll -= chance

    def _change(self, session: Session, person: Person, at: datetime) -> "Tell":
        plan, now = self._dice.choice(self._market.beside(person.plan)), self._dice.random() < 0.7
        quantity = self._dice.randrange(1, 9)
        billing_store.change(session, person.id, at, plan_id=plan.id, quantity=quantity, now=now)

        def tell() -> None:
            person.expected.change(at, now=now, unit=plan.unit, count=plan.count)
            person.plan = plan
            self.counts["changes"] += 1

        return tell

    def _pause(self, session: Session, person: Person, at: datetime) -> "Tell":
        billing_store.pause(session, person.id, at)

        def tell() -> None:
            person.expected.pause(at)
            self.counts["pauses"] += 1

        return tell

    def _resume(self, session: Session, person: Person, at: datetime) -> "Tell":
        billing_store.resume(session, person.id, at)

        def tell() -> None:
            person.expected.resume(max(at, person.trial_end or at))
            self.counts["resumes"] += 1

        return tell

    def _cancel(self, session: Session, person: Person, at: datetime) -> "Tell":
        now, give_back = self._dice.random() < 0.4, self._dice.random() < 0.5
        billing_store.cancel(session, person.id, at, now=now, give_back=give_back)

        def tell() -> None:
            person.expected.cancel(at, now=now)
            self.counts["cancels"] += 1

        return tell

    def _use(self, day: datetime) -> None:
        """Some use something; some of that is told weeks later."""
        units = []
        for person in self.people.values():
            if self._dice.random() < scenario.USAGE and not person.expected.ended:
                late = timedelta(days=self._dice.randrange(46)) if self._dice.random() < scenario.LATE else timedelta(0)
                at = max(day - late, person.started_at)
                quantity = Decimal(self._dice.randrange(1, 40_000)) / 1000
                units.append(Metered(person.id, scenario.METER, quantity, at, f"{person.id}@{day:%Y-%m-%d}"))
        with self._sessions.begin() as session:
            self.counts["usage"] += billing_usage.record(session, units)
            billing_usage.record(session, units[:5])  # told twice, counted once

    def _give(self, day: datetime) -> None:
        if not self.people or self._dice.random() > scenario.GIFT:
            return
        person = self._dice.choice(list(self.people.values()))
        amount, key = self._dice.randrange(1, 5000), f"gift {day:%Y-%m-%d}"
        with self._sessions.begin() as session:
            for _ in range(2):  # asked twice, given once
                billing_books.grant_credit(
                    session, person.creator_id, person.plan.currency, amount, reason="a gift", source_key=key, at=day
                )
        self.counts["credits"] += 1

    def _take_back(self, day: datetime) -> None:
        """Credit notes, some paid back, and write-offs, of invoices of late."""
        rolled = ((scenario.TAKEN_BACK, "credit notes"), (scenario.GIVEN_UP, "write-offs"))
        chosen = [done for chance, done in rolled if self._dice.random() < chance]
        if not chosen:
            return
        with self._sessions() as session:
            late = [shown.invoice.id for shown in billing_reads.list_invoices(session, None, limit=30)]
        for done in chosen if late else ():
            invoice_id, amount, refund = (
                self._dice.choice(late),
                self._dice.randrange(1, 900),
                self._dice.random() < 0.5,
            )
            with suppress(Permanent), self._sessions.begin() as session:
                if done == "write-offs":
                    billing_credit.write_off(session, invoice_id, day)
                else:
                    key = f"note {day:%Y-%m-%d}"
                    billing_credit.credit_note(
                        session, invoice_id, amount, reason="a mistake", source_key=key, at=day, refund=refund
                    )
                self.counts[done] += 1

    def _dispute(self, day: datetime) -> None:
        """A bank takes a payment back, and half of the time gives it again; each notice comes twice, in any order."""
        with self._sessions() as session:
            late = billing_watch.newest_payments(session, 30)
        if not late:
            return
        reference, amount, currency = self._dice.choice(late)
        key, won = f"{day:%Y-%m-%d}", self._dice.random() < 0.5
        moved = (Movement(f"{key} out", -amount, currency), Movement(f"{key} fee", -1500, "EUR"))
        told = DisputeNotice(reference, key, DisputeState.OPEN, "fraudulent", amount, currency, day, moved)
        back = (*moved, Movement(f"{key} back", amount, currency)) if won else moved
        end = DisputeState.WON if won else DisputeState.LOST
        notices = [told, replace(told, state=end, told_at=day + DAY, movements=back)] * 2
        for notice in self._dice.sample(notices, len(notices)):
            with self._sessions.begin() as session:
                payment_disputes.settle(session, EmbeddedGateway.name, notice, day)
        self.counts["disputes"] += 1

    def hear(self, told: Dunned) -> None:
        """Dunning pauses, resumes and ends subscriptions by itself."""
        person = self.people[told.subscription_id]
        self.counts[f"dunning {told.kind}"] += 1
        if told.kind == "resume":
            person.expected.resume(told.at)
        elif told.kind == "pause":
            person.expected.next_start = None
        else:
            person.expected.end_by(told.at)

    def due(self, slot: datetime) -> dict[tuple[uuid.UUID, datetime], Period]:
        """{(subscription, start): period} of all that has to be billed by now and was not told before."""
        found = {}
        for person in self.people.values():
            person.expected.advance(slot)
            found.update({(person.id, period.start): period for period in person.expected.take()})
        return found


Tell = Callable[[], None]
Whim = Callable[[Session, Person, datetime], Tell]
