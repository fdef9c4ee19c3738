"""A file of plans: what it says, and what is refused with the field's name."""

import copy
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from huntaze.pipelines.billing.catalog import BadCatalog, Catalog, read_catalog
from huntaze.pipelines.billing.pricing import Flat, Mode, PerUnit, Tier, Tiered

FILE = """
[dunning.patient]
gaps_days = [3, 7]
end = "pause"

[[tax_rates]]
name = "VAT"
percent = 20

[[coupons]]
code = "WELCOME"
percent = 33.33
periods = 3

[[plans]]
code = "pro"
name = "Pro"
currency = "EUR"
interval = "month"
dunning = "patient"

[[plans.prices]]
code = "fee"
description = "Pro"
terms = {kind = "flat", amount = "1900"}

[[plans.prices]]
code = "videos"
description = "Videos"
meter = "videos"
terms = {kind = "per_unit", unit_amount = 0.1, free_units = 50}
"""


def document() -> dict[str, Any]:
    return tomllib.loads(FILE, parse_float=Decimal)


def test_a_file_is_read_to_the_last_decimal() -> None:
    catalog = read_catalog(document())
    (plan,) = catalog.plans
    assert [price.terms for price in plan.prices] == [Flat(Decimal(1900)), PerUnit(Decimal("0.1"), Decimal(50))]
    assert catalog.dunning_of(plan).gaps_days == (3, 7)
    assert catalog.coupons[0].percent == Decimal("33.33")


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    whole = at = document()
    for step in path[:-1]:
        at = at[step]  # type: ignore[index]
    at[path[-1]] = to  # type: ignore[index]
    return whole


TIER = {"up_to": None, "unit_amount": "1", "flatt": "5"}
TIERED = {"kind": "tiered", "mode": "volume", "tiers": [TIER]}
PLAN, PRICE = ("plans", 0), ("plans", 0, "prices", 1)


@pytest.mark.parametrize(
    ("path", "to", "told"),
    [
        ((*PLAN, "currency"), "EURO", "plans[0].currency: "),
        ((*PLAN, "interval"), "fortnight", "plans[0].interval: "),
        ((*PLAN, "trial_dais"), 3, "plans[0].trial_dais: Extra inputs"),
        ((*PLAN, "prices"), [], "plans[0].prices: "),
        ((*PLAN, "dunning"), "harsh", "plans[0].dunning: the file has no schedule 'harsh'"),
        ((*PLAN, "code"), "pro:1", "plans[0].code: "),
        ((*PRICE, "code"), "fee", "plans[0].prices: fee is there 2 times"),
        ((*PRICE, "terms"), {"kind": "gift"}, "plans[0].prices[1].terms: "),
        ((*PRICE, "terms"), {"kind": "per_unit"}, "plans[0].prices[1].terms: unit_amount: "),
        ((*PRICE, "terms", "free_unit"), "5", "plans[0].prices[1].terms: free_unit: terms of this kind"),
        ((*PRICE, "terms"), TIERED, "plans[0].prices[1].terms: tiers[0].flatt: terms of this kind"),
        ((*PRICE, "terms"), {"kind": "flat", "amount": Decimal("nan")}, "plans[0].prices[1].terms: "),
        (("coupons", 0, "amount_minor"), 5, "coupons[0]: a coupon has either"),
        (("coupons", 0, "percent"), 0, "coupons[0].percent: "),
        (("tax_rates", 0, "percent"), 101, "tax_rates[0].percent: "),
        (("dunning", "patient", "gaps_days"), [0], "dunning.patient.gaps_days[0]: "),
        (("plan",), [], "plan: Extra inputs"),
    ],
)
def test_a_mistake_is_told_with_its_field(path: tuple[str | int, ...], to: Any, told: str) -> None:
    with pytest.raises(BadCatalog) as refused:
        read_catalog(changed(*path, to=to))
    assert any(one.startswith(told) for one in refused.value.mistakes), refused.value.mistakes


def test_all_mistakes_are_told_at_once() -> None:
    twice = changed("coupons", 0, "percent", to=-1)
    twice["plans"][0]["currency"] = "XXX"
    with pytest.raises(BadCatalog) as refused:
        read_catalog(twice)
    assert len(refused.value.mistakes) == 2
    assert copy.copy(refused.value).mistakes == refused.value.mistakes


def test_tiers_are_read_whole() -> None:
    tiers = [{"up_to": "100", "unit_amount": "20"}, {"up_to": None, "unit_amount": "10", "flat": "500"}]
    terms = {"kind": "tiered", "mode": "graduated", "tiers": tiers}
    read = read_catalog(changed("plans", 0, "prices", 1, "terms", to=terms)).plans[0].prices[1].terms
    first = Tier(Decimal(100), Decimal(20))
    assert read == Tiered(Mode.GRADUATED, (first, Tier(None, Decimal(10), Decimal(500))))


@pytest.mark.parametrize("nothing", [None, [], "plans", 5])
def test_what_is_no_table_is_refused(nothing: Any) -> None:
    with pytest.raises(BadCatalog, match="the file: "):
        read_catalog(nothing)


def test_an_empty_file_holds_nothing() -> None:
    assert read_catalog({}) == Catalog()


def test_the_example_in_the_docs_can_be_loaded() -> None:
    docs = Path(__file__).parents[3] / "docs" / "billing.md"
    example = docs.read_text("utf-8").split("```toml\n")[1].split("```")[0]
    catalog = read_catalog(tomllib.loads(example, parse_float=Decimal))
    assert [price.code for price in catalog.plans[0].prices] == ["fee", "videos"]
