"""Minor units as Stripe counts them, which are not always those of ISO 4217; https://docs.stripe.com/currencies."""

from huntaze.pipelines.billing.money import exponent
from huntaze.pipelines.errors import Permanent

# Where they differ. Amounts of three decimals have to end in a nought.
_EXPONENTS = {"ISK": 2, "UGX": 2, "MGA": 0}


def stripe_amount(amount_minor: int, currency: str) -> int:
    """Stripe's smallest units of an amount in those of ISO 4217. Raises Permanent(payments.amount)."""
    ours, theirs = _exponents(currency)
    amount, rest = divmod(amount_minor * int(10**theirs), int(10**ours))
    if rest or (theirs == 3 and amount % 10):
        raise Permanent("payments.amount", f"{amount_minor} minor units of {currency} cannot be charged by Stripe.")
    return amount


def minor_amount(amount: int, currency: str) -> int:
    """The other way. Raises Permanent(payments.amount)."""
    ours, theirs = _exponents(currency)
    minor, rest = divmod(amount * int(10**ours), int(10**theirs))
    if rest:
        raise Permanent("payments.amount", f"{amount} of Stripe's units of {currency} are no whole minor units.")
    return minor


def _exponents(currency: str) -> tuple[int, int]:
    ours = exponent(currency)
    return ours, _EXPONENTS.get(currency, ours)
