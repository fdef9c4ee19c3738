"""Revenue, by the billing ledger: read where it is kept, so that no second count can disagree with it.

`session` is the caller's transaction.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Revenue:
    """What the ledger says of one currency, in minor units: `net` is `gross` without `given_back` by credit notes."""

    currency: str
    gross: int
    given_back: int
    net: int
    written_off: int
    postings: int


def revenue(session: Session, creator_id: uuid.UUID | None, spans: Sequence[Span]) -> list[tuple[int, Revenue]]:
    """(number of the span, revenue) where anything was posted, by currency. None: of all creators."""
    given = {"ns": list(range(len(spans))), "starts": [one.start for one in spans], "ends": [one.end for one in spans]}
    return [
        (row.n, Revenue(row.currency, *(int(getattr(row, name)) for name in _SUMMED)))
        for row in session.execute(_REVENUE, {"creator_id": creator_id, **given})
    ]


_SUMMED = ("gross", "given_back", "net", "written_off", "postings")
