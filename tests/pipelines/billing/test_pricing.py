"""Tiers grow with the quantity, in whatever way they are read; terms survive JSON."""

import json
import re
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.money import round_half_away, to_major
from huntaze.pipelines.billing.pricing import Flat, Mode, Package, Percentage, PerUnit, Terms, Tier, Tiered, cost
from huntaze.pipelines.billing.terms import terms_from_json, terms_to_json

AMOUNTS = st.decimals(0, 10_000, places=3)
UNITS = st.decimals(-10, 5000, places=2)
STEPS = st.lists(st.integers(1, 300), max_size=5)


def tiered(mode: Mode, steps: list[int], amounts: list[tuple[Decimal, Decimal]], *, zero: bool = False) -> Tiered:
    ends = [*(Decimal(end) for end in accumulate(steps)), None]
    tiers = tuple(Tier(end, *amount) for end, amount in zip(ends, amounts, strict=False))
    return Tiered(mode, (*tiers[:-1], Tier(None, tiers[-1].unit_amount, tiers[-1].flat)), zero_enters_first=zero)


TIERED = st.builds(
    tiered,
    st.sampled_from(Mode),
    STEPS,
    st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=6, max_size=6),
    zero=st.booleans(),
)
TERMS: st.SearchStrategy[Terms] = st.one_of(
    st.builds(Flat, AMOUNTS),
    st.builds(PerUnit, AMOUNTS, AMOUNTS),
    st.builds(Package, st.decimals("0.5", 100, places=2), AMOUNTS, AMOUNTS),
    st.builds(Percentage, st.decimals(0, 100, places=2), AMOUNTS, AMOUNTS, st.integers(0, 5)),
    TIERED,
)


@given(TERMS, UNITS, UNITS, st.integers(0, 20))
def test_more_never_costs_less_but_where_a_volume_is_cheaper(
    terms: Terms, some: Decimal, other: Decimal, events: int
) -> None:
    less, more = sorted((some, other))
    assert cost(terms, less, events) >= 0
    if not (isinstance(terms, Tiered) and terms.mode is Mode.VOLUME):
        assert cost(terms, less, events) <= cost(terms, more, events)


@given(TIERED, UNITS)
def test_one_tier_alone_is_read_alike_in_both_modes(terms: Tiered, units: Decimal) -> None:
    last = (Tier(None, terms.tiers[0].unit_amount, terms.tiers[0].flat),)
    used = Fraction(max(units, Decimal(0)))
    owed = used * Fraction(last[0].unit_amount) + (Fraction(last[0].flat) if used else 0)
    assert {cost(Tiered(mode, last), units) for mode in Mode} == {owed}


@given(TIERED, st.integers(1, 2000))
def test_graduated_is_the_sum_of_its_single_units(terms: Tiered, units: int) -> None:
    graduated = Tiered(Mode.GRADUATED, terms.tiers)
    by_unit, entered = Fraction(0), set()
    for unit in range(1, units + 1):
        at, tier = next((n, t) for n, t in enumerate(terms.tiers) if t.up_to is None or unit <= t.up_to)
        by_unit += Fraction(tier.unit_amount)
        entered.add(at)
    assert cost(graduated, units) == by_unit + sum(Fraction(terms.tiers[at].flat) for at in entered)


@given(TERMS, UNITS, st.integers(0, 20))
def test_terms_survive_json(terms: Terms, units: Decimal, events: int) -> None:
    again = terms_from_json(terms_to_json(terms))
    assert again == terms
    assert cost(again, units, events) == cost(terms, units, events)


def test_percentages_may_come_in_tiers() -> None:
    terms = Tiered(
        Mode.GRADUATED, (Tier(Decimal(1000), Decimal(5), Decimal(30)), Tier(None, Decimal("2.5"))), percent=True
    )
    assert cost(terms, 3000) == 50 + 30 + 50


def test_nothing_used_owes_nothing_unless_the_price_says_so() -> None:
    tiers = (Tier(None, Decimal(5), Decimal(200)),)
    assert cost(Tiered(Mode.GRADUATED, tiers), 0) == 0
    assert cost(Tiered(Mode.VOLUME, tiers, zero_enters_first=True), 0) == 200


@pytest.mark.parametrize("ends", [[], [10], [10, 10, None], [20, 10, None], [None, 5, None], [0, None], [-1, None]])
def test_tiers_that_leave_a_gap_or_an_end_are_refused(ends: list[int | None]) -> None:
    with pytest.raises(BillingError, match=r"billing\.bad_tiers"):
        Tiered(Mode.VOLUME, tuple(Tier(None if end is None else Decimal(end), Decimal(1)) for end in ends))


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"kind": "flat"}, "amount"),
        ({"kind": "flat", "amount": "NaN"}, "amount"),
        ({"kind": "barter"}, "kind"),
        ({"kind": ["flat"]}, "kind"),
        ({}, "kind"),
        ({"kind": "tiered", "mode": "volume", "tiers": [{"up_to": None}]}, r"tiers\.0\.unit_amount"),
    ],
)
def test_terms_that_cannot_be_read_name_the_field(document: dict[str, object], field: str) -> None:
    with pytest.raises(BillingError, match=rf"billing\.bad_terms: {field}: "):
        terms_from_json(document)


def test_the_examples_of_the_documentation_cost_what_it_says() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "billing.md").read_text()
    rows = re.findall(r"^\| `(\w+)`(?:, `graduated`)? \| `({.*})`.* \| .*?([\d.]+) \|$", page, re.MULTILINE)
    assert [kind for kind, _, _ in rows] == ["flat", "per_unit", "tiered", "package", "percentage"]
    for kind, terms, told in rows:
        exact = cost(terms_from_json({"kind": kind, **json.loads(terms)}), 250, events=1)
        assert to_major(round_half_away(exact), "EUR") == Decimal(told), kind
    graduated = json.loads(rows[2][1])
    assert cost(terms_from_json({"kind": "tiered", **graduated, "mode": "volume"}), 250) == 3000
