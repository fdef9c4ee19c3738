"""Money as whole minor units of an ISO 4217 currency. Between the lines it is a Fraction: rounded once, at the line."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm

from huntaze.pipelines.billing.errors import BillingError

Exact = Fraction | Decimal | int  # minor units, or a number of units; never a float

_ZERO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
# ISO 4217's "active codes" whose minor unit is a hundredth.
_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_ZERO_DECIMALS.split(), 0),
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}


def exponent(currency: str) -> int:
    """How many decimals the currency's minor unit is of (ISO 4217). Raises BillingError."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise BillingError(
            "billing.unknown_currency", f"{currency!r} is no currency of ISO 4217; write it as USD, EUR, JPY, ..."
        ) from None


def round_half_away(value: Exact) -> int:
    """The nearest integer, halves away from zero: 232.5 -> 233, -232.5 -> -233."""
    return round_ratio(*value.as_integer_ratio())


def round_ratio(above: int, below: int) -> int:
    """The same of above / below, where below is positive: what the hot path of a run has, without a Fraction."""
    away = (2 * abs(above) + below) // (2 * below)
    return away if above >= 0 else -away


def to_minor(amount: str | Exact, currency: str) -> int:
    """Minor units of an amount in major ones, rounded half away from zero: "19.95" USD -> 1995."""
    return round_half_away(Fraction(amount) * 10 ** exponent(currency))


def to_major(minor: int, currency: str) -> Decimal:
    """The amount in major units, with the currency's decimals: 1995 USD -> Decimal("19.95")."""
    return Decimal(minor).scaleb(-exponent(currency))


def format_money(minor: int, currency: str) -> str:
    """For people: "1,234.50 USD", "-500 JPY"."""
    return f"{to_major(minor, currency):,f} {currency}"


def allocate(total: int, weights: Sequence[Exact]) -> list[int]:
    """`total` in parts that are as near to the weights' shares as integers can be, and sum to it exactly.

    Largest remainder (Hamilton): each gets its share rounded towards zero, what is left goes one by one to the largest
    remainders, at a tie to the earlier. Weights are not negative; if all are 0 they count alike. Raises BillingError.
    """
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = lcm(*(below for _, below in ratios))
    whole_weights = [above * (common // below) for above, below in ratios]
    if not ratios or min(whole_weights) < 0:
        raise BillingError("billing.bad_weights", "An amount is shared by one or more weights that are not negative.")
    if not any(whole_weights):
        whole_weights = [1] * len(ratios)
    whole = sum(whole_weights)
    divided = [divmod(abs(total) * weight, whole) for weight in whole_weights]
    parts = [part for part, _ in divided]
    by_remainder = sorted(range(len(parts)), key=lambda at: (-divided[at][1], at))
    for at in by_remainder[: abs(total) - sum(parts)]:
        parts[at] += 1
    return parts if total >= 0 else [-part for part in parts]
