"""Every table, imported: a statement on one follows its foreign keys to the others."""

from huntaze.models import (
    ai_usage,
    analytics,
    batches,
    billing_invoices,
    billing_ledger,
    billing_payments,
    billing_plans,
    billing_subscriptions,
    content,
    events,
    flows,
    jobs,
    nodes,
    periodic,
    scrape_budget,
    trend_posts,
    trend_sources,
    trend_topics,
    users,
    webhooks,
)
from huntaze.models.base import Base

MODULES = (
    ai_usage,
    analytics,
    batches,
    billing_invoices,
    billing_ledger,
    billing_payments,
    billing_plans,
    billing_subscriptions,
    content,
    events,
    flows,
    jobs,
    nodes,
    periodic,
    scrape_budget,
    trend_posts,
    trend_sources,
    trend_topics,
    users,
    webhooks,
)
METADATA = Base.metadata
