"""The figures of one creator that insights are made of, read where each domain keeps them.

Windows are whole days of UTC before `until`. What a domain has nothing of is simply absent. The calls that write
insights are left out of what AI cost: else each answer would be a reason for the next one.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.pipelines.billing.money import EXPONENTS, to_major
from huntaze.pipelines.insights.figures import LABEL_MOST, WINDOW_DAYS, Figure, compared

_MICRO = Decimal(1_000_000)

_VIDEOS = text("""
    SELECT count(*) FILTER (WHERE created_at >= :middle AND status = 'succeeded') AS analysed_now,
           count(*) FILTER (WHERE created_at < :middle AND status = 'succeeded') AS analysed_before,
           count(*) FILTER (WHERE created_at >= :middle AND status = 'failed') AS failed_now,
           count(*) FILTER (WHERE created_at < :middle AND status = 'failed') AS failed_before
    FROM content_tasks WHERE creator_id = :creator_id AND created_at >= :first AND created_at < :until
""")
_AI = text("""
    SELECT count(*) FILTER (WHERE created_at >= :middle) AS calls_now,
           count(*) FILTER (WHERE created_at < :middle) AS calls_before,
           coalesce(sum(cost_micro_usd) FILTER (WHERE created_at >= :middle), 0) AS cost_now,
           coalesce(sum(cost_micro_usd) FILTER (WHERE created_at < :middle), 0) AS cost_before
    FROM usage_logs
    WHERE creator_id = :creator_id
      AND month >= date_trunc('month', cast(:first AS timestamptz) AT TIME ZONE 'UTC')::date
      AND created_at >= :first AND created_at < :until AND settled_at IS NOT NULL AND NOT cache_hit AND role <> 'reason'
""")
_REDEEMED = text("""
    SELECT currency, count(*) FILTER (WHERE redeemed_at >= :middle) AS now,
           count(*) FILTER (WHERE redeemed_at < :middle) AS before,
           coalesce(sum(pays_minor) FILTER (WHERE redeemed_at >= :middle), 0) AS paid_now,
           coalesce(sum(pays_minor) FILTER (WHERE redeemed_at < :middle), 0) AS paid_before
    FROM offer_redemptions
    WHERE offer_id = ANY (ARRAY(SELECT id FROM offers WHERE creator_id = :creator_id))
      AND redeemed_at >= :first AND redeemed_at < :until
    GROUP BY currency ORDER BY currency
""")
_BEST_OFFER = text("""
    SELECT offers.name, count(*) AS taken FROM offers JOIN offer_redemptions ON offer_id = offers.id
    WHERE creator_id = :creator_id AND redeemed_at >= :middle AND redeemed_at < :until
    GROUP BY offers.id ORDER BY taken DESC, offers.id LIMIT 1
""")
_INVOICES = text("""
    SELECT currency, count(*) FILTER (WHERE open_minor > 0) AS open, coalesce(sum(open_minor), 0) AS owed
    FROM invoices JOIN receivables ON invoice_id = invoices.id
    WHERE creator_id = :creator_id AND state IN ('open', 'uncollected') GROUP BY currency ORDER BY currency
""")
# Rolled-up days are of the creator's zone; those that begin within the window are counted to it.
_ROLLED = text("""
    SELECT metric, coalesce(sum(count) FILTER (WHERE start >= cast(:middle AS date)), 0) AS now,
           coalesce(sum(count) FILTER (WHERE start < cast(:middle AS date)), 0) AS before
    FROM analytics_periods
    WHERE creator_id = :creator_id AND metric = ANY (:metrics) AND grain = 'day'
      AND start >= cast(:first AS date) AND start < cast(:until AS date)
    GROUP BY metric ORDER BY metric
""")
_ABOUT = {
    "content.views": "views of content",
    "logins": "logins of fans",
    "messages.response": "fans' messages that were answered",
    "messages.sent": "messages sent by fans and creator",
    "offers.shown": "times that an offer was shown",
    "subscriptions.ended": "subscriptions that ended",
    "subscriptions.started": "subscriptions that began",
}

Window = dict[str, Any]


def window_of(slot: datetime) -> datetime:
    """The end of the days that a slot looks back on: its own midnight, UTC."""
    return datetime.combine(slot.astimezone(UTC).date(), time(), UTC)


def of_creator(session: Session, creator_id: uuid.UUID, until: datetime) -> list[Figure]:
    """All that there is, in no order that means anything. `until`: a midnight of UTC."""
    days = timedelta(days=WINDOW_DAYS)
    window = {"creator_id": creator_id, "until": until, "middle": until - days, "first": until - 2 * days}
    return [figure for read in _READERS for figure in read(session, window)]


def _videos(session: Session, window: Window) -> list[Figure]:
    row = session.execute(_VIDEOS, window).one()
    done = compared("videos.analysed", "videos that were analysed", row.analysed_now, row.analysed_before)
    return done + compared("videos.failed", "videos that could not be analysed", row.failed_now, row.failed_before)


def _ai(session: Session, window: Window) -> list[Figure]:
    row = session.execute(_AI, window).one()
    cost = compared("ai.cost", "cost of AI", row.cost_now / _MICRO, row.cost_before / _MICRO, "USD")
    return compared("ai.calls", "calls of AI", row.calls_now, row.calls_before) + cost


def _offers(session: Session, window: Window) -> list[Figure]:
    rows = session.execute(_REDEEMED, window).all()
    now, before = sum(row.now for row in rows), sum(row.before for row in rows)
    figures = compared("offers.redeemed", "offers that fans have taken", now, before)
    for row in rows:
        if row.currency in EXPONENTS:
            paid = [to_major(int(amount), row.currency) for amount in (row.paid_now, row.paid_before)]
            name = f"offers.paid_{row.currency.lower()}"
            figures += compared(name, "what fans paid with offers", paid[0], paid[1], row.currency)
    best = session.execute(_BEST_OFFER, window).one_or_none()
    if best is not None:
        about = f"fans who took the offer that was taken most, last {WINDOW_DAYS} days"
        figures.append(Figure("offers.best", Decimal(best.taken), about, label=best.name[:LABEL_MOST]))
    return figures


def _invoices(session: Session, window: Window) -> list[Figure]:
    figures = []
    for row in session.execute(_INVOICES, window):
        if row.currency in EXPONENTS and row.open:
            code, owed = row.currency.lower(), to_major(int(row.owed), row.currency)
            figures += [
                Figure(f"invoices.open_{code}", Decimal(row.open), "invoices that are not paid"),
                Figure(f"invoices.owed_{code}", owed, "what is owed on them", row.currency),
            ]
    return figures


def _rolled(session: Session, window: Window) -> list[Figure]:
    rows = session.execute(_ROLLED, {**window, "metrics": list(_ABOUT)})
    return [one for row in rows for one in compared(row.metric, _ABOUT[row.metric], int(row.now), int(row.before))]


_READERS: tuple[Callable[[Session, Window], list[Figure]], ...] = (_videos, _ai, _offers, _invoices, _rolled)
