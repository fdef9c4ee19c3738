"""A file of what is sold: plans with their prices, coupons, tax rates, dunning schedules. Each mistake names its field.

What the domain would not understand is refused here, an unknown field first of all: a misspelt `free_units` would be
money. Numbers are taken as they are written, never as floats.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from huntaze.pipelines.billing.coupons import DiscountRounding
from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.money import exponent
from huntaze.pipelines.billing.periods import Unit
from huntaze.pipelines.billing.pricing import Terms
from huntaze.pipelines.billing.proration import Basis
from huntaze.pipelines.billing.retries import Dunning, End
from huntaze.pipelines.billing.terms import terms_from_json, terms_to_json

MOST = 1000  # of each kind in one file


def _currency(value: str) -> str:
    try:
        exponent(value)
    except BillingError as error:
        raise ValueError(error.message) from None
    return value


def _terms(value: Any) -> Terms:
    if not isinstance(value, Mapping):
        raise ValueError('expected is a table such as {kind = "flat", amount = "1900"}')
    try:
        terms = terms_from_json(dict(value))
    except BillingError as error:
        raise ValueError(error.message) from None
    unknown = _unknown(value, terms_to_json(terms))
    if unknown:
        raise ValueError(f"{unknown}: terms of this kind have no such field")
    return terms


def _unknown(given: Any, known: Any, path: str = "") -> str:
    """The first field that was given and is not known; empty: there is none."""
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        for name, value in given.items():
            where = f"{path}.{name}".lstrip(".")
            found = where if name not in known else _unknown(value, known[name], where)
            if found:
                return found
    if isinstance(given, list | tuple) and isinstance(known, list):
        inner = (_unknown(*pair, f"{path}[{at}]") for at, pair in enumerate(zip(given, known, strict=True)))
        return next(filter(None, inner), "")
    return ""


Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")
]
Currency = Annotated[str, AfterValidator(_currency)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class ProrationTable(_Table):
    """`pipelines.billing.proration.Proration`, within bounds."""

    basis: Basis = Basis.SECOND
    fixed_days: int = Field(default=30, ge=1, le=31)
    digits: int | None = Field(default=None, ge=0, le=12)


class DunningTable(_Table):
    """`pipelines.billing.retries.Dunning`, within bounds."""

    gaps_days: tuple[Annotated[int, Field(ge=1, le=365)], ...] = Field(default=Dunning().gaps_days, max_length=30)
    end: End = End.CANCEL


class PriceTable(_Table):
    """A line of a plan."""

    code: Code
    description: Label
    terms: Annotated[Any, BeforeValidator(_terms)]
    meter: Code | None = None
    in_arrears: bool = False
    taxable: bool = True


class PlanTable(_Table):
    """A plan. `dunning`: a schedule of its own, or the name of one of the file."""

    code: Code
    name: Label
    currency: Currency
    interval: Unit
    interval_count: int = Field(1, ge=1, le=100)
    trial_days: int = Field(0, ge=0, le=730)
    proration: ProrationTable = ProrationTable()
    discount_rounding: DiscountRounding = DiscountRounding.TOTAL
    dunning: DunningTable | Code = DunningTable()
    prices: tuple[PriceTable, ...] = Field(min_length=1, max_length=100)
    on_sale: bool = True


class CouponTable(_Table):
    """A discount: `percent`, or `amount_minor` and `currency`."""

    code: Code
    percent: Decimal | None = Field(None, gt=0, le=100, max_digits=9, decimal_places=6)
    amount_minor: int | None = Field(None, gt=0, lt=2**63)
    currency: Currency | None = None
    prices: tuple[Code, ...] = Field((), max_length=100)
    periods: int | None = Field(None, gt=0, lt=2**31)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.percent is None) == (self.amount_minor is None):
            raise ValueError("a coupon has either percent or amount_minor")
        if (self.amount_minor is None) != (self.currency is None):
            raise ValueError("amount_minor and currency belong together")
        return self


class TaxTable(_Table):
    """A tax rate, known by its name."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    percent: Decimal = Field(ge=0, le=100, max_digits=9, decimal_places=6)
    inclusive: bool = False


class Catalog(_Table):
    """The whole file."""

    plans: tuple[PlanTable, ...] = Field((), max_length=MOST)
    coupons: tuple[CouponTable, ...] = Field((), max_length=MOST)
    tax_rates: tuple[TaxTable, ...] = Field((), max_length=MOST)
    dunning: dict[Code, DunningTable] = Field({}, max_length=MOST)

    def dunning_of(self, plan: PlanTable) -> DunningTable:
        """The plan's schedule, whether it is its own or a named one."""
        return self.dunning[plan.dunning] if isinstance(plan.dunning, str) else plan.dunning


def read_catalog(document: Any) -> Catalog:
    """Raises BadCatalog with all that is wrong."""
    try:
        catalog = Catalog.model_validate(document)
    except ValidationError as error:
        raise BadCatalog(
            [
                f"{_where(one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
                for one in error.errors(include_url=False)
            ]
        ) from None
    wrong = [*_doubled(catalog), *_nameless(catalog)]
    if wrong:
        raise BadCatalog(wrong)
    return catalog


class BadCatalog(BillingError):
    """The file cannot be used. `mistakes`: one sentence each, with the field."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("billing.bad_catalog", "; ".join(mistakes))
        self.mistakes = mistakes

    def __reduce__(self) -> tuple[type["BadCatalog"], tuple[list[str]]]:  # type: ignore[override]
        return (BadCatalog, (self.mistakes,))


def _where(loc: Iterable[int | str]) -> str:
    """("plans", 0, "prices", 1, "terms") -> "plans[0].prices[1].terms"."""
    told = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return told.lstrip(".") or "the file"


def _doubled(catalog: Catalog) -> list[str]:
    named = {
        "plans": [plan.code for plan in catalog.plans],
        "coupons": [coupon.code for coupon in catalog.coupons],
        "tax_rates": [rate.name for rate in catalog.tax_rates],
        **{f"plans[{at}].prices": [price.code for price in plan.prices] for at, plan in enumerate(catalog.plans)},
    }
    return [
        f"{where}: {name} is there {times} times"
        for where, names in named.items()
        for name, times in Counter(names).items()
        if times > 1
    ]


def _nameless(catalog: Catalog) -> list[str]:
    return [
        f"plans[{at}].dunning: the file has no schedule {plan.dunning!r}"
        for at, plan in enumerate(catalog.plans)
        if isinstance(plan.dunning, str) and plan.dunning not in catalog.dunning
    ]
