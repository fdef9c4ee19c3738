"""What can be wrong with terms of billing: a stable code and a sentence for whoever wrote them."""

from huntaze.pipelines.errors import Permanent


class BillingError(Permanent):
    """Terms that cannot be billed. Never retried: a plan, a price or a request has to be changed."""
