"""One subscription's invoice as a value: lines, discounts, taxes, credit, and what is left to pay.

Fees of a plan are billed in advance for the period that begins; usage, and prices that say so, for the one that ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from huntaze.pipelines.billing.coupons import Coupon, DiscountRounding, take_off
from huntaze.pipelines.billing.money import round_half_away
from huntaze.pipelines.billing.periods import Period
from huntaze.pipelines.billing.plans import Plan, Price, Subscription, Usage
from huntaze.pipelines.billing.pricing import Flat, PerUnit, Terms, cost
from huntaze.pipelines.billing.proration import fraction
from huntaze.pipelines.billing.tax import Tax, TaxRate, taxes_on


@dataclass(frozen=True)
class Line:
    """One line. total_minor = net_minor + tax_minor; a credit is negative throughout.

    source_key: unique for what is billed (subscription, price, period): the same thing is never billed twice.
    unit_amount: minor units with decimals, where one price holds for all units. amount_minor: before discount, with the
    taxes that the price includes. rates: what the taxes are computed by; None until they are. meter: whose usage the
    quantity is; None for a fee.
    """

    source_key: str
    description: str
    price_code: str
    quantity: Decimal
    amount_minor: int
    period: Period
    unit_amount: Decimal | None = None
    prorated: bool = False
    discountable: bool = True
    taxable: bool = True
    discount_minor: int = 0
    rates: tuple[TaxRate, ...] | None = None
    taxes: tuple[Tax, ...] = ()
    meter: str | None = None

    @property
    def price_minor(self) -> int:
        """After discount, as priced: what taxes are computed from."""
        return self.amount_minor - self.discount_minor

    @property
    def tax_minor(self) -> int:
        """All taxes, those in the price and those on top of it."""
        return sum(tax.amount_minor for tax in self.taxes)

    @property
    def total_minor(self) -> int:
        """What the line adds to the invoice's total."""
        return self.price_minor + sum(tax.amount_minor for tax in self.taxes if not tax.rate.inclusive)

    @property
    def net_minor(self) -> int:
        """Without any tax: revenue."""
        return self.total_minor - self.tax_minor


@dataclass(frozen=True)
class Discount:
    """What one coupon took off the whole invoice."""

    code: str
    amount_minor: int


@dataclass(frozen=True)
class Draft:
    """An invoice that has no number yet.

    total_minor is the sum of the lines' totals: subtotal - discount + taxes that are not in the prices already.
    credit_applied_minor: of the customer's credit balance; negative where the invoice itself is a credit, which goes to
    that balance. due_minor = total_minor - credit_applied_minor, never negative.
    """

    lines: tuple[Line, ...]
    currency: str
    subtotal_minor: int
    discount_minor: int
    tax_minor: int
    total_minor: int
    credit_applied_minor: int
    due_minor: int
    discounts: tuple[Discount, ...] = ()


def draft_invoice(
    plan: Plan,
    subscription: Subscription,
    period: Period,
    *,
    previous: Period | None = None,
    usage: Sequence[Usage] = (),
    carried: Sequence[Line] = (),
    coupons: Sequence[Coupon] = (),
    credit_minor: int = 0,
    tax_rates: Sequence[TaxRate] = (),
) -> Draft:
    """The invoice of the period that begins.

    previous: the period that ended, for prices in arrears. usage: what was counted until now and is not billed, late
    records included. carried: lines of changes since the last invoice. credit_minor: the customer's balance, 0 or more.
    """
    lines: list[Line] = []
    for price in plan.prices:
        if price.meter is not None:
            counted = [one for one in usage if one.meter == price.meter]
            lines += _usage_line(price, subscription, period, previous, counted)
        elif not price.in_arrears:
            lines += fee_line(plan, price, subscription, period)
        elif previous is not None:
            lines += fee_line(plan, price, subscription, previous)
    return settle([*lines, *carried], plan, coupons=coupons, credit_minor=credit_minor, tax_rates=tax_rates)


def owed_for(subscription: Subscription, period: Period) -> list[Period]:
    """The parts of the period that fees are owed for: without trial and pauses, between start and end."""
    begin = max(subscription.started_at, subscription.trial_end or subscription.started_at)
    end = subscription.ends_at if subscription.ends_at is not None else period.end
    parts = [period.overlap(Period(begin, max(begin, end)))]
    for pause in subscription.pauses:
        parts = [rest for part in parts for rest in part.minus(pause)]
    return [part for part in parts if part]


def fee_line(plan: Plan, price: Price, subscription: Subscription, period: Period, key: str = "fee") -> list[Line]:
    """The line of a price that knows no meter, prorated to what is owed of the cycle's whole period; or none."""
    parts = owed_for(subscription, period)
    if not parts:
        return []
    whole = subscription.cycle.period_at(period.start)
    share = fraction(parts, whole, subscription.cycle.zone, plan.proration)
    quantity = Decimal(1 if isinstance(price.terms, Flat) else subscription.quantity)
    owed = cost(price.terms, quantity)
    line = Line(
        source_key=f"{subscription.key}:{key}:{price.code}:{period.start.isoformat()}",
        description=price.description,
        price_code=price.code,
        quantity=quantity,
        unit_amount=_unit_amount(price.terms),
        amount_minor=round_half_away(owed if share == 1 else owed * share),
        period=Period(parts[0].start, parts[-1].end),
        prorated=share != 1,
        taxable=price.taxable,
    )
    return [line]


def _usage_line(
    price: Price, subscription: Subscription, period: Period, previous: Period | None, counted: Sequence[Usage]
) -> list[Line]:
    quantity = sum((one.quantity for one in counted), Decimal(0))
    amount = round_half_away(cost(price.terms, quantity, sum(one.events for one in counted)))
    if not counted and not amount:
        return []
    line = Line(
        source_key=f"{subscription.key}:usage:{price.code}:{period.start.isoformat()}",
        description=price.description,
        price_code=price.code,
        quantity=quantity,
        unit_amount=_unit_amount(price.terms),
        amount_minor=amount,
        period=previous or Period(min(subscription.started_at, period.start), period.start),  # never what is to come
        taxable=price.taxable,
        meter=price.meter,
    )
    return [line]


def settle(
    lines: Sequence[Line],
    plan: Plan,
    *,
    coupons: Sequence[Coupon] = (),
    credit_minor: int = 0,
    tax_rates: Sequence[TaxRate] = (),
) -> Draft:
    """Discounts, then taxes, then credit. A line that brings its own rates (a credit's) keeps them."""
    discounted, discounts = _discount(lines, coupons, plan.discount_rounding)
    taxed = tuple(_tax(line, tuple(tax_rates)) for line in discounted)
    total = sum(line.total_minor for line in taxed)
    applied = min(credit_minor, total)
    return Draft(
        lines=taxed,
        currency=plan.currency,
        subtotal_minor=sum(line.amount_minor for line in taxed),
        discount_minor=sum(line.discount_minor for line in taxed),
        tax_minor=sum(line.tax_minor for line in taxed),
        total_minor=total,
        credit_applied_minor=applied,
        due_minor=total - applied,
        discounts=discounts,
    )


def _discount(
    lines: Sequence[Line], coupons: Sequence[Coupon], rounding: DiscountRounding
) -> tuple[list[Line], tuple[Discount, ...]]:
    """One coupon after the other, each on what the one before left."""
    left, told = list(lines), []
    for coupon in coupons:
        bases = [max(line.price_minor, 0) if _is_for(coupon, line) else 0 for line in left]
        off = take_off(coupon, bases, rounding)
        left = [
            replace(line, discount_minor=line.discount_minor + less) if less else line
            for line, less in zip(left, off, strict=True)
        ]
        told.append(Discount(coupon.code, sum(off)))
    return left, tuple(told)


def _is_for(coupon: Coupon, line: Line) -> bool:
    return line.discountable and (not coupon.prices or line.price_code in coupon.prices)


def _tax(line: Line, rates: tuple[TaxRate, ...]) -> Line:
    own = line.rates if line.rates is not None else (rates if line.taxable else ())
    return replace(line, rates=own, taxes=taxes_on(line.price_minor, own))


def _unit_amount(terms: Terms) -> Decimal | None:
    match terms:
        case Flat():
            return terms.amount
        case PerUnit():
            return terms.unit_amount
        case _:
            return None
