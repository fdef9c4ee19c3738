"""What an invoice says to people, before it is HTML or PDF: the same words and figures in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from huntaze.pipelines.billing.invoice import Line
from huntaze.pipelines.billing.money import exponent, format_money, to_major
from huntaze.pipelines.billing.periods import Period, zone_of


@dataclass(frozen=True)
class Party:
    """Who sells or buys: a name, and lines of an address, a tax number and so on below it."""

    name: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class InvoiceDocument:
    """An issued invoice and what was paid of it. Amounts in minor units of `currency`; days are those of `zone`."""

    number: str
    issued_at: datetime
    period: Period
    zone: str
    currency: str
    seller: Party
    buyer: Party
    plan: str
    lines: tuple[Line, ...]
    subtotal_minor: int
    discount_minor: int
    total_minor: int
    credit_applied_minor: int
    due_minor: int
    open_minor: int
    status: str

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What stands at the head."""
        return [
            ("Invoice number", self.number),
            ("Date of issue", day(self.issued_at, self.zone)),
            ("Billing period", span_of(self.period, self.zone)),
            ("Plan", self.plan),
        ]

    @property
    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """(description, its period, quantity, unit price, amount) of each line."""
        return [
            (
                line.description,
                span_of(line.period, self.zone),
                quantity(line.quantity),
                "" if line.unit_amount is None else unit_price(line.unit_amount, self.currency),
                amount(line.amount_minor, self.currency),
            )
            for line in self.lines
        ]

    @property
    def sums(self) -> list[tuple[str, str]]:
        """(label, amount) from the subtotal down to the total, each tax by itself."""
        rows = [("Subtotal", self.subtotal_minor)]
        if self.discount_minor:
            rows.append(("Discount", -self.discount_minor))
        rows += taxes_of(self.lines)
        rows.append(("Total", self.total_minor))
        if self.credit_applied_minor > 0:
            rows.append(("Paid from credit", -self.credit_applied_minor))
        if self.credit_applied_minor < 0:
            rows.append(("Added to your credit", -self.credit_applied_minor))
        if self.due_minor != self.open_minor:
            rows.append(("Paid or credited since", self.open_minor - self.due_minor))
        return [(label, amount(minor, self.currency)) for label, minor in rows]

    @property
    def balance(self) -> tuple[str, str]:
        """What is left: the one figure that a reader looks for."""
        return ("Amount due", format_money(self.open_minor, self.currency))


def taxes_of(lines: Sequence[Line]) -> list[tuple[str, int]]:
    """(name and percentage, minor units) of each rate, summed over the lines, in the order in which they come up."""
    found: dict[str, int] = {}
    for line in lines:
        for tax in line.taxes:
            how = " (included)" if tax.rate.inclusive else ""
            label = f"{tax.rate.name} {quantity(tax.rate.percent)} %{how}"
            found[label] = found.get(label, 0) + tax.amount_minor
    return list(found.items())


def day(moment: datetime, zone: str) -> str:
    """ "3 March 2026", on the calendar of the zone."""
    local = moment.astimezone(zone_of(zone))
    return f"{local.day} {local:%B %Y}"


def span_of(period: Period, zone: str) -> str:
    """First to last day: "1 Mar 2026 – 31 Mar 2026". A period without length is the day that it begins on."""
    first, last = period.start.astimezone(zone_of(zone)).date(), period.last_day(zone)
    days = [first, last] if last > first else [first]
    return " – ".join(f"{one.day} {one:%b %Y}" for one in days)


def quantity(value: Decimal) -> str:
    """Without needless zeros: 1,200.5."""
    return f"{value.normalize():,f}"


def amount(minor: int, currency: str) -> str:
    """Without the currency, which stands at the head of the column."""
    return f"{to_major(minor, currency):,f}"


def unit_price(minor: Decimal, currency: str) -> str:
    """The currency's own decimals at least, more where the price has them: 19.00, 0.0025."""
    places = exponent(currency)
    major = minor.scaleb(-places).normalize()
    own = -int(major.as_tuple().exponent)
    return f"{major:,.{max(places, own)}f}"
