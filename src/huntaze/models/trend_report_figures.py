"""What a trend report says, of trends as its creator may see them. `session` is the caller's transaction.

Hours are kept for two weeks, so the week and the one before it are whole as long as the report is of the last days.
"""

import uuid
from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models.trend_reads import COLUMNS, FRAMES, SEEN, label
from huntaze.models.trend_reports import TrendReport
from huntaze.pipelines.trends.weekly import DAYS, PIECE_H, PIECES, Risen, Week

TRENDS = 10
_ABOUT = text("SELECT handle, clock_timestamp() AS now FROM users WHERE id = :creator_id")
_BEGAN = text(f"""
    SELECT floor(extract(epoch FROM r.started_at - :first) / 86400)::int AS day, count(*) AS trends
    FROM trends r WHERE r.started_at >= :before AND r.started_at < :until AND {SEEN} GROUP BY 1
""")  # noqa: S608 - of our own pieces, as all below
_GOING = text(f"SELECT count(*) FROM trends r WHERE r.state <> 'over' AND r.started_at < :until AND {SEEN}")  # noqa: S608
_SAMPLED = text(f"""
    SELECT coalesce(sum(posts) FILTER (WHERE hour >= :first), 0)::int AS now,
           coalesce(sum(posts) FILTER (WHERE hour < :first), 0)::int AS before
    FROM frame_hours WHERE hour >= :before AND hour < :until AND frame_id IN ({FRAMES})
""")  # noqa: S608
_STRONGEST = text(f"""
    SELECT {COLUMNS} FROM trends r JOIN topics k ON k.id = r.topic_id
    WHERE (r.started_at >= :first OR r.state <> 'over') AND r.started_at < :until AND {SEEN}
    ORDER BY r.strength DESC, r.id LIMIT :limit
""")  # noqa: S608
_PIECES = text(f"""
    SELECT topic_id, floor(extract(epoch FROM hour - :first) / :piece_s)::int AS piece, sum(posts)::int AS posts
    FROM topic_hours WHERE topic_id = ANY(:topics) AND hour >= :first AND hour < :until AND frame_id IN ({FRAMES})
    GROUP BY 1, 2
""")  # noqa: S608


def week_of(session: Session, report: TrendReport) -> Week:
    """All of it. To be read in one snapshot, so that its parts are of one moment."""
    first = datetime.combine(report.first, time(), UTC)
    week = timedelta(days=DAYS)
    window = {"creator_id": report.creator_id, "before": first - week, "first": first, "until": first + week}
    about = session.execute(_ABOUT, window).one()
    began = {row.day: row.trends for row in session.execute(_BEGAN, window)}
    sampled = session.execute(_SAMPLED, window).one()
    rows = session.execute(_STRONGEST, {**window, "limit": TRENDS}).all()
    pieces = _pieces(session, window, [row.topic_id for row in rows])
    return Week(
        creator=about.handle,
        first=report.first,
        made_at=about.now,
        began=sum(count for day, count in began.items() if day >= 0),
        began_before=sum(count for day, count in began.items() if day < 0),
        going=session.execute(_GOING, window).scalar_one(),
        sampled=sampled.now,
        sampled_before=sampled.before,
        days=[began.get(day, 0) for day in range(DAYS)],
        trends=[_risen(row, pieces[row.topic_id]) for row in rows],
    )


def _pieces(session: Session, window: dict[str, Any], topics: list[uuid.UUID]) -> defaultdict[uuid.UUID, list[int]]:
    """{topic: its posts by piece of the week}."""
    found: defaultdict[uuid.UUID, list[int]] = defaultdict(lambda: [0] * PIECES)
    for row in session.execute(_PIECES, {**window, "topics": topics, "piece_s": PIECE_H * 3600}):
        found[row.topic_id][row.piece] = row.posts
    return found


def _risen(row: Any, pieces: list[int]) -> Risen:
    columns = ("state", "platforms", "started_at", "strength", "posts", "authors", "lead_h")
    return Risen(label=label(row), pieces=pieces, **{name: getattr(row, name) for name in columns})
