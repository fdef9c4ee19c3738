"""Billing under the trial: periods that fall due on a calendar of its own, and a gateway that knows what moved.

The real runs and the real charges, against a local Stripe. Months pass in minutes: each turn of the calendar fires the
run and the collection, some twice.
"""

import asyncio
import json
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.cli.billing_simulation.expected import Expected
from huntaze.cli.billing_simulation.run import START
from huntaze.cli.billing_simulation.scenario import METER, Market, newcomers, open_market
from huntaze.models import billing_audit, billing_store, billing_usage, user_store
from huntaze.models.billing_store import Wanted
from huntaze.models.billing_usage import Metered
from huntaze.models.database import Sessions
from huntaze.models.job_args import BillingCollect, BillingRun
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.pipelines.billing.periods import Cycle
from tests.chaos.checks import Violation
from tests.chaos.load import persist
from tests.chaos.outside import Reply, Request
from tests.clients.payments.stripe_double import KEY, StripeDouble

_TURN_S = 4.0
_DAYS_MOST, _DAYS_LEAST, _DAYS_A_SECOND = 100, 40, 2  # of the calendar
_TWICE = 3  # every third turn is fired twice
_SILENT = 9  # every ninth charge moves, or is refused, and its answer is lost
_DECLINED_AT_FIRST = "pm_chaos_declines_"  # and so many attempts, then good
_METHODS = {
    "pm_card_visa": 5,
    "pm_double_hangs_up": 2,
    f"{_DECLINED_AT_FIRST}1": 2,
    f"{_DECLINED_AT_FIRST}3": 1,
    "pm_card_visa_chargeDeclinedLostCard": 1,
    "pm_card_visa_chargeDeclinedInsufficientFunds": 1,
    "pm_card_authenticationRequired": 1,
}


def environment(url: str) -> dict[str, str]:
    """Of the fleet: Stripe is at `url`; small batches, so that several parts bill side by side."""
    return {
        "HUNTAZE_BILLING_GATEWAY": "stripe",
        "HUNTAZE_BILLING_STRIPE_API_KEY": KEY,
        "HUNTAZE_BILLING_STRIPE_BASE_URL": url,
        "HUNTAZE_BILLING_TIMEOUT_S": "5",
        "HUNTAZE_BILLING_BATCH": "10",
        "HUNTAZE_BILLING_PARTS": "3",
        "HUNTAZE_BILLING_MOST_PERIODS": "120",
    }


class Cashier(StripeDouble):
    """`taken`: {invoice: each amount that moved, in minor units}."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[uuid.UUID, list[int]] = defaultdict(list)

    async def reply(self, request: Request) -> Reply | None:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        known, moved = request.headers["idempotency-key"] in self.answers, len(self.moved)
        answer = self.answer(request.path, request.headers, self._as_told(form))
        if len(self.moved) > moved:
            self.taken[uuid.UUID(form["metadata[invoice_id]"])].append(self.moved[-1])
        if answer is None or (not known and len(self.answers) % _SILENT == 0):
            return None
        return Reply(answer[0], json.dumps(answer[1]).encode())

    @staticmethod
    def _as_told(form: dict[str, str]) -> dict[str, str]:
        method = form["payment_method"]
        if not method.startswith(_DECLINED_AT_FIRST):
            return form
        declined = int(form["metadata[attempt]"]) <= int(method.removeprefix(_DECLINED_AT_FIRST))
        answer = "pm_card_visa_chargeDeclinedInsufficientFunds" if declined else "pm_card_visa"
        return {**form, "payment_method": answer}


@dataclass
class Books:
    """`expected`: what each subscription has to be billed for, worked out from what was asked for alone."""

    sessions: Sessions
    seed: int
    subscriptions: int
    seconds: float
    cashier: Cashier = field(default_factory=Cashier)
    turns: int = 0
    expected: dict[uuid.UUID, Expected] = field(default_factory=dict)
    units: int = 0

    def __post_init__(self) -> None:
        self.turns = max(6, round(self.seconds / _TURN_S))

    @property
    def days(self) -> float:
        return min(_DAYS_MOST, max(_DAYS_LEAST, _DAYS_A_SECOND * self.seconds))

    @property
    def end(self) -> datetime:
        """Of the calendar."""
        return START + timedelta(days=self.days)

    def prepare(self) -> None:
        """Subscribes creators of all kinds to plans of all kinds."""
        dice = random.Random(f"{self.seed}/billing")
        with self.sessions.begin() as session:
            market = open_market(session)
            # Stripe takes dinars only by the ten.
            plans = tuple(plan for plan in market.plans if plan.currency != "KWD")
            market = Market(plans, market.coupons, market.taxes)
            for number, one in enumerate(newcomers(dice, market, self.subscriptions, START, int(self.days))):
                creator = user_store.ensure_user(session, f"customer-{number // 3}")
                method = dice.choices(list(_METHODS), list(_METHODS.values()))[0]
                wanted = Wanted(creator.id, one.plan.id, **{**one.wanted, "method": method})  # type: ignore[arg-type]
                row = billing_store.subscribe(session, wanted, one.at)
                first = one.at + timedelta(days=one.plan.trial_days)
                cycle = Cycle(first, wanted.time_zone, one.plan.unit, one.plan.count)
                self.expected[row.id] = Expected(cycle, first)

    async def run(self) -> None:
        """Turns the calendar while the faults happen."""
        start = time.monotonic()
        for turn in range(1, self.turns + 1):
            await asyncio.sleep(max(0.0, start + 0.95 * self.seconds * turn / self.turns - time.monotonic()))
            slot = START + timedelta(days=self.days * turn / self.turns)
            await persist(lambda turn=turn, slot=slot: self._fire(turn, slot))  # type: ignore[misc]

    def _fire(self, turn: int, slot: datetime) -> None:
        """Done again after an unknown end: the keys find what was committed."""
        used = [sub for number, sub in enumerate(self.expected) if (number + turn) % 4 == 0]
        units = [
            Metered(sub, METER, Decimal(turn), max(slot - timedelta(days=turn % 7), START), f"{sub}@{turn}")
            for sub in used
        ]
        with self.sessions.begin() as session:
            billing_usage.record(session, units)
            runs = [NewJob(BillingRun(slot=slot), dedupe_key=f"chaos-run-{turn}-{nth}") for nth in range(_copies(turn))]
            collect = NewJob(BillingCollect(slot=slot), dedupe_key=f"chaos-collect-{turn}")
            enqueue_many(session, [*runs, collect])
        self.units += len(units)

    def last_call(self, session: Session, turn: int) -> None:
        """The end of the calendar once more, for what faults left undone."""
        run = NewJob(BillingRun(slot=self.end), dedupe_key=f"chaos-run-last-{turn}")
        enqueue_many(session, [run, NewJob(BillingCollect(slot=self.end), dedupe_key=f"chaos-collect-last-{turn}")])

    def check(self, session: Session) -> tuple[dict[str, int], list[Violation]]:
        """Figures, and all that is wrong: against what was asked for, against the gateway, and within the books."""
        rows = session.execute(_INVOICES).all()
        billed: dict[uuid.UUID, list[datetime]] = defaultdict(list)
        for row in rows:
            if row.period_start < row.period_end:
                billed[row.subscription_id].append(row.period_start)
        dunned = set(session.scalars(_DUNNED))
        found = [one for sub in self.expected for one in self._periods(sub, billed[sub], sub in dunned)]
        numbers = Counter(row.number for row in rows)
        gaps = max(numbers, default=0) - len(numbers)
        if gaps or len(numbers) != len(rows):
            found.append(Violation("wrong", None, f"{gaps} gaps, {len(rows) - len(numbers)} numbers twice"))
        charges = charged(self.cashier.taken, {row.id: row.paid for row in rows})
        found += charges
        found += [
            Violation("stuck", None, f"payment attempt {row.id} is {row.state}") for row in session.execute(_OPEN)
        ]
        if (counted := session.execute(_UNITS).scalar_one()) != self.units:
            found.append(Violation("wrong", None, f"{counted} units counted of {self.units} that were told"))
        with self.sessions() as fresh:  # which has to be of its own
            differences = billing_audit.differences(fresh)
        found += [Violation("wrong", None, f"the books: {one}") for one in differences]
        return {
            "invoices": len(rows),
            "payments": sum(map(len, self.cashier.taken.values())),
            "double_charges": sum(one.sort == "doubled" for one in charges),
            "gaps": gaps,
            "audit_differences": len(differences),
        }, found

    def _periods(self, sub: uuid.UUID, billed: list[datetime], dunned: bool) -> Iterator[Violation]:
        """Every period once. Who does not pay is billed up to some period, and none is left out before it."""
        expected = self.expected[sub]
        expected.advance(self.end)
        wanted = [period.start for period in expected.made]
        times = Counter(billed)
        upto = [start for start in wanted if start <= max(billed, default=START)] if dunned else wanted
        for start in sorted({*upto, *billed}):
            if times[start] > 1:
                yield Violation("doubled", None, f"{times[start]} invoices of {sub} from {start}")
            elif not times[start]:
                yield Violation("lost", None, f"no invoice of {sub} from {start}")
            elif start not in wanted:
                yield Violation("wrong", None, f"an invoice of {sub} from {start}, where no period begins")


def _copies(turn: int) -> int:
    return 2 if turn % _TWICE == 0 else 1


def charged(taken: Mapping[uuid.UUID, list[int]], paid: Mapping[uuid.UUID, int]) -> list[Violation]:
    """`taken`: what the gateway moved by invoice; `paid`: what the books say was paid, in minor units."""
    found = []
    for invoice in {*taken, *paid}:
        moved, booked = taken.get(invoice, []), paid.get(invoice, 0)
        if len(moved) > 1:
            found.append(Violation("doubled", None, f"invoice {invoice} was charged {len(moved)} times: {moved}"))
        elif sum(moved) != booked:
            found.append(Violation("lost", None, f"invoice {invoice}: {sum(moved)} moved, {booked} booked"))
    return found


_INVOICES = text("""
    SELECT id, subscription_id, number, period_start, period_end,
           (SELECT coalesce(sum(amount_minor), 0) FROM payments WHERE invoice_id = invoices.id)::bigint AS paid
    FROM invoices ORDER BY number
""")
_DUNNED = text("SELECT DISTINCT subscription_id FROM subscription_changes WHERE data ->> 'reason' = 'dunning'")
_OPEN = text("SELECT id, state FROM payment_attempts WHERE state IN ('started', 'unknown')")
_UNITS = text("SELECT count(*) FROM usage_records")
