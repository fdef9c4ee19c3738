"""Figures that other domains keep themselves: revenue by the billing ledger, uploads, AI, offers.

Each is read where it is kept, so that no second count can disagree with it. `session` is the caller's transaction.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.pipelines.analytics.ranges import Span

_PART = """unnest(cast(:ns AS int[]), cast(:starts AS timestamptz[]), cast(:ends AS timestamptz[]))
        AS part (n, start, "end")"""
# Income is a credit, so negative; what a credit note takes back is a debit on the same account.
_REVENUE = text(f"""
    SELECT n, currency,
           coalesce(-sum(amount_minor) FILTER (WHERE account = 'revenue' AND amount_minor < 0), 0) AS gross,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'revenue' AND amount_minor > 0), 0) AS given_back,
           coalesce(-sum(amount_minor) FILTER (WHERE account = 'revenue'), 0) AS net,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'write_off'), 0) AS written_off,
           count(*) FILTER (WHERE account = 'revenue') AS postings
    FROM ledger_entries JOIN {_PART} ON occurred_at >= part.start AND occurred_at < part.end
    WHERE account IN ('revenue', 'write_off') AND (cast(:creator_id AS uuid) IS NULL OR creator_id = :creator_id)
    GROUP BY n, currency ORDER BY n, currency
""")  # noqa: S608 - of constants
_UPLOADS = text("""
    SELECT count(*) AS videos, coalesce(sum(size), 0) AS bytes FROM content
    WHERE creator_id = :creator_id AND kind = 'video' AND etag IS NOT NULL
      AND created_at >= :start AND created_at < :end
""")
_AI = text("""
    SELECT count(*) FILTER (WHERE NOT cache_hit) AS calls, count(*) FILTER (WHERE cache_hit) AS hits,
           count(*) FILTER (WHERE NOT cache_hit AND outcome NOT IN ('ok', 'length')) AS failed,
           coalesce(sum(cost_micro_usd), 0) AS cost
    FROM usage_logs
    WHERE creator_id = :creator_id AND settled_at IS NOT NULL AND created_at >= :start AND created_at < :end
      AND month >= date_trunc('month', cast(:start AS timestamptz) AT TIME ZONE 'UTC')::date
""")
_REDEEMED = text("""
    SELECT count(*) FROM offer_redemptions
    WHERE offer_id = ANY (ARRAY(SELECT id FROM offers WHERE creator_id = :creator_id))
      AND redeemed_at >= :start AND redeemed_at < :end
""")


@dataclass(frozen=True)
class Revenue:
    """What the ledger says of one currency, in minor units: `net` is `gross` without `given_back` by credit notes."""

    currency: str
    gross: int
    given_back: int
    net: int
    written_off: int
    postings: int


@dataclass(frozen=True)
class Own:
    """What one creator did in a span. `ai_cost` in micro-USD."""

    videos: int
    video_bytes: int
    ai_calls: int
    ai_hits: int
    ai_failed: int
    ai_cost: int
    redeemed: int


def revenue(session: Session, creator_id: uuid.UUID | None, spans: Sequence[Span]) -> list[tuple[int, Revenue]]:
    """(number of the span, revenue) where anything was posted, by currency. None: of all creators."""
    given = {"ns": list(range(len(spans))), "starts": [one.start for one in spans], "ends": [one.end for one in spans]}
    return [
        (row.n, Revenue(row.currency, *(int(getattr(row, name)) for name in _SUMMED)))
        for row in session.execute(_REVENUE, {"creator_id": creator_id, **given})
    ]


_SUMMED = ("gross", "given_back", "net", "written_off", "postings")


def own(session: Session, creator_id: uuid.UUID, span: Span) -> Own:
    """What the creator's own rows of a span say."""
    given: dict[str, Any] = {"creator_id": creator_id, "start": span.start, "end": span.end}
    uploads, ai = session.execute(_UPLOADS, given).one(), session.execute(_AI, given).one()
    redeemed = session.execute(_REDEEMED, given).scalar_one()
    return Own(uploads.videos, int(uploads.bytes), ai.calls, ai.hits, ai.failed, int(ai.cost), redeemed)
