"""Which gateway the settings name."""

from huntaze.clients.payments.embedded import EmbeddedGateway
from huntaze.clients.payments.gateway import PaymentGateway
from huntaze.setting_groups import BillingSettings


def build_payments(settings: BillingSettings) -> PaymentGateway:
    """Opens no connection yet."""
    if settings.gateway == "embedded":
        return EmbeddedGateway()
    from huntaze.clients.payments.stripe_gateway import StripeGateway  # half a second, for those who have it

    return StripeGateway(settings)
