"""The clock of a simulation: day after day people live, the run bills, money is asked for, and the books are looked at.

The run is the real one. It is crashed at any statement, started twice at once, and left out for days, once for weeks.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event

from huntaze.cli.billing_simulation import scenario
from huntaze.cli.billing_simulation.world import DAY, World
from huntaze.clients.payments.embedded import EmbeddedGateway
from huntaze.clients.payments.gateway import PaymentMethod
from huntaze.models import (
    billing_audit,
    billing_credit,
    billing_reads,
    billing_run,
    billing_store,
    billing_watch,
    payment_store,
)
from huntaze.models.billing_run import RunPolicy
from huntaze.models.database import Sessions, build_sessions
from huntaze.pipelines.billing.periods import Period
from huntaze.pipelines.payments.outcomes import Unknown

START = datetime(2024, 1, 31, tzinfo=UTC)
_POLICY = RunPolicy()
_LONG_SILENCE = 35  # days
_MONTH = 30  # days between two audits of all the books


@dataclass
class Found:
    """What a simulation came to. All of the second block is 0 where the books are clean."""

    seed: int
    months: int
    creators: int
    days: int = 0
    invoices: int = 0
    payments: int = 0
    done: dict[str, int] = field(default_factory=dict)

    gaps: int = 0
    double_periods: int = 0
    missing_periods: int = 0
    unexpected_periods: int = 0
    ledger_difference_minor: int = 0
    usage_mismatches: int = 0
    audit_differences: list[dict[str, Any]] = field(default_factory=list)

    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        wrong = self.gaps, self.double_periods, self.missing_periods, self.unexpected_periods, self.usage_mismatches
        return not (any(wrong) or self.ledger_difference_minor or self.audit_differences)

    def facts(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "clean": self.clean}


class Crash(Exception):
    """The process died here."""


class Crasher:
    """Dies before the n-th statement from now."""

    def __init__(self, engine: Engine) -> None:
        self.left = 0
        event.listen(engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise Crash


class Simulation:
    """One life. `told`: called once a day with the day's number."""

    def __init__(self, engine: Engine, *, months: int, creators: int, seed: int) -> None:
        self.sessions: Sessions = build_sessions(engine)
        self.dice = random.Random(seed)  # noqa: S311 - the same life for the same seed
        self.found = Found(seed, months, creators)
        self.days = round(months * 365.25 / 12)
        with self.sessions.begin() as session:
            market = scenario.open_market(session)
        coming = scenario.newcomers(self.dice, market, creators, START, self.days)
        self.world = World(self.sessions, self.dice, market, coming)
        self._crasher, self._gateway = Crasher(engine), EmbeddedGateway()
        self._silent_until = START
        self._long_silence = START + timedelta(
            days=self.dice.randrange(self.days // 2, max(self.days - 40, 2 + self.days // 2))
        )
        self._number = self._entry = self._receivable = 0
        self._change, self._seen = uuid.UUID(int=0), set[tuple[uuid.UUID, datetime]]()

    def run(self, told: Callable[[int], None] = lambda _: None) -> Found:
        """All days, each looked at."""
        begun = time.monotonic()
        for number in range(self.days):
            day = START + number * DAY
            self.world.live(day)
            if not self._silent(day) or number == self.days - 1:
                self._bill(day + DAY)
                self._look(day + DAY)
                self._collect(day + DAY)
            if number % _MONTH == _MONTH - 1 or number == self.days - 1:
                self._audit()
            self.found.days = number + 1
            told(number + 1)
        self.found.invoices, self.found.done = self._number, dict(self.world.counts)
        self.found.seconds = round(time.monotonic() - begun, 1)
        return self.found

    def _silent(self, day: datetime) -> bool:
        if day >= self._silent_until:
            length = _LONG_SILENCE if day == self._long_silence else 0
            if self.dice.random() < scenario.SILENCE:
                length = max(length, self.dice.randrange(1, 10))
            self._silent_until = day + length * DAY
            self.world.counts["silences"] += length > 0
        return day < self._silent_until

    def _bill(self, slot: datetime) -> None:
        """Until nothing is due. Who is held is released, as a person would who has seen that it is right."""
        while True:
            if self.dice.random() < scenario.TWICE:
                self._twice(slot)
            while self._batch(slot):
                pass
            with self.sessions.begin() as session:
                held = billing_reads.list_held(session)
                for row in held:
                    billing_store.release(session, row.id, slot)
            self.world.counts["held"] += len(held)
            if not held:
                return

    def _batch(self, slot: datetime) -> bool:
        self._crasher.left = self.dice.randrange(1, 25) if self.dice.random() < scenario.CRASH else 0
        try:
            with self.sessions.begin() as session:
                return billing_run.bill_batch(session, slot, _POLICY).claimed > 0
        except Crash:
            self.world.counts["crashes"] += 1
            return True
        finally:
            self._crasher.left = 0

    def _twice(self, slot: datetime) -> None:
        def all_batches() -> None:
            claimed = 1
            while claimed:
                with self.sessions.begin() as session:
                    claimed = billing_run.bill_batch(session, slot, RunPolicy(batch=7)).claimed

        threads = [threading.Thread(target=all_batches) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.world.counts["twice at once"] += 1

    def _look(self, slot: datetime) -> None:
        """The day's invoices against what was expected, the day's entries against what is open."""
        with self.sessions() as session:
            issued = billing_watch.issued_after(session, self._number)
            booked = billing_watch.booked_after(session, self._entry)
            still_open = billing_watch.open_minor(session)
        due = self.world.due(slot)
        self.found.gaps += sum(one.number != self._number + nth for nth, one in enumerate(issued, 1))
        for one in issued:
            key = (one.subscription_id, one.period.start)
            if due.pop(key, Period(START, START)) != one.period:
                again = key in self._seen
                self.found.double_periods += again
                self.found.unexpected_periods += not again
            self._seen.add(key)
        self.found.missing_periods += sum(bool(period) for period in due.values())
        self._number += len(issued)
        self._entry, self._receivable = booked.last, self._receivable + booked.receivable
        self.found.ledger_difference_minor += abs(booked.balance) + abs(self._receivable - still_open)

    def _collect(self, slot: datetime) -> None:
        with self.sessions() as session:
            due = payment_store.due(session, slot, limit=100_000)
        for invoice_id in due:
            while self._charge(invoice_id, slot):
                pass
        with self.sessions() as session:
            refunds = [billing_credit.load_refund(session, one) for one in billing_credit.refunds_due(session)]
        for one in filter(None, refunds):
            outcome = self._gateway.refund(one.reference, one.amount_minor, one.currency, one.idempotency_key)
            with self.sessions.begin() as session:
                billing_credit.settle_refund(session, one.refund_id, outcome, slot)
            self.world.counts["refunds"] += 1
        with self.sessions() as session:
            for told in billing_watch.dunned_after(session, self._change):
                self.world.hear(told)
                self._change = told.id

    def _charge(self, invoice_id: uuid.UUID, slot: datetime) -> bool:
        """Whether the gateway has to be asked again, under the same key."""
        with self.sessions.begin() as session:
            charge = payment_store.begin(session, invoice_id, self._gateway.name, slot)
        if charge is None:
            return False
        method = PaymentMethod(charge.method, charge.customer)
        outcome = self._gateway.charge(
            invoice_id, charge.number, charge.amount_minor, charge.currency, method, charge.idempotency_key
        )
        with self.sessions.begin() as session:
            made = payment_store.settle(session, invoice_id, charge.number, outcome, slot)
        self.found.payments += made == "paid"
        return isinstance(outcome, Unknown)

    def _audit(self) -> None:
        """The nightly audit itself, and what usage came to."""
        with self.sessions() as session:
            self.found.audit_differences += [asdict(one) for one in billing_audit.differences(session)]
        with self.sessions() as session:
            self.found.usage_mismatches += billing_watch.usage_mismatches(session)
        self.world.counts["audits"] += 1
