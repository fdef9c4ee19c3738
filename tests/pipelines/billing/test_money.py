"""Nothing is lost between the cents."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.money import (
    EXPONENTS,
    allocate,
    exponent,
    format_money,
    round_half_away,
    to_major,
    to_minor,
)

TOTALS = st.integers(-(10**12), 10**12)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)


@given(TOTALS, WEIGHTS)
def test_parts_sum_to_the_whole_and_are_next_to_their_shares(total: int, weights: list[int]) -> None:
    parts = allocate(total, weights)
    assert sum(parts) == total
    whole = sum(weights) or len(weights)
    shares = [Fraction(total * (weight if sum(weights) else 1), whole) for weight in weights]
    assert all(abs(part - share) < 1 for part, share in zip(parts, shares, strict=True))
    assert allocate(-total, weights) == [-part for part in parts]


@given(st.decimals(-(10**9), 10**9, places=4))
def test_halves_go_away_from_zero(value: Decimal) -> None:
    assert round_half_away(value) == int(value.quantize(Decimal(1), ROUND_HALF_UP))
    assert round_half_away(-value) == -round_half_away(value)


@given(TOTALS, st.sampled_from(sorted(EXPONENTS)))
def test_minor_units_are_kept_through_major_ones(minor: int, currency: str) -> None:
    assert to_minor(to_major(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("currency", "told"), [("JPY", "1,234,567 JPY"), ("USD", "12,345.67 USD"), ("KWD", "1,234.567 KWD")]
)
def test_a_currency_has_its_own_decimals(currency: str, told: str) -> None:
    assert format_money(1234567, currency) == told


def test_what_is_no_currency_is_refused() -> None:
    for wrong in ("usd", "XXX", "", "US"):
        with pytest.raises(BillingError, match=r"billing\.unknown_currency"):
            exponent(wrong)


def test_weights_that_cannot_share_are_refused() -> None:
    for weights in ([], [-1, 2]):
        with pytest.raises(BillingError, match=r"billing\.bad_weights"):
            allocate(10, weights)
