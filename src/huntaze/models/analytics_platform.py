"""The platform's own figures, of all creators together. `session` is the caller's transaction."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import analytics_books
from huntaze.pipelines.analytics.ranges import Range, Span
from huntaze.pipelines.analytics.statistics import Figure, share

# By creator, so that each is a look into an index; a day is each creator's own.
_ACTIVITY = text("""
    SELECT count(*) FILTER (WHERE facts > 0) AS active, coalesce(sum(sent), 0) AS sent
    FROM analytics_zones AS creator CROSS JOIN LATERAL (
        SELECT coalesce(sum(count), 0) AS facts, coalesce(sum(count) FILTER (WHERE metric = 'messages.sent'), 0) AS sent
        FROM analytics_periods
        WHERE creator_id = creator.creator_id AND metric = ANY (cast(:metrics AS text[])) AND grain = 'day'
          AND start BETWEEN :first AND :last
    ) AS own
""")
_UPLOADS = text("""
    SELECT count(*) FROM content
    WHERE kind = 'video' AND etag IS NOT NULL AND created_at >= :start AND created_at < :end
""")
# Hits took no call: they count for the rate alone.
_AI = text("""
    SELECT count(*) FILTER (WHERE NOT cache_hit) AS calls, count(*) FILTER (WHERE cache_hit) AS hits,
           count(*) FILTER (WHERE NOT cache_hit AND outcome NOT IN ('ok', 'length')) AS failed,
           coalesce(sum(cost_micro_usd), 0) AS cost,
           percentile_disc(ARRAY[0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE NOT cache_hit) AS slow
    FROM usage_logs WHERE settled_at IS NOT NULL AND created_at >= :start AND created_at < :end
""")
_JOBS = text("""
    SELECT count(*) AS ended, count(*) FILTER (WHERE state = 'failed') AS failed,
           percentile_disc(ARRAY[0.95, 0.99]) WITHIN GROUP (
               ORDER BY (1000 * extract(epoch FROM finished_at - started_at))::int8
           ) FILTER (WHERE started_at IS NOT NULL) AS slow
    FROM jobs WHERE state IN ('succeeded', 'failed') AND finished_at >= :start AND finished_at < :end
""")
_ACTIVE_BY = ("messages.sent", "content.views", "logins", "offers.shown", "web.requests", "messages.response")


def platform(session: Session, wanted: Range) -> list[Figure]:
    """Active creators, messages, uploads, revenue, AI, jobs. Jobs are those that retention has left."""
    start, end = wanted.bounds
    span = {"start": start, "end": end}
    days = {"first": wanted.first, "last": wanted.last, "metrics": list(_ACTIVE_BY)}
    activity = session.execute(_ACTIVITY, days).one()
    figures = [
        Figure("users.active", activity.active, "persons", "creators with any activity"),
        Figure("messages.sent", int(activity.sent), "count", "messages sent"),
        Figure("videos.uploaded", session.execute(_UPLOADS, span).scalar_one(), "count", "videos uploaded"),
    ]
    figures += _of_calls(session, span) + _of_jobs(session, span)
    books = analytics_books.revenue(session, None, [Span(start, end, wanted.first, wanted.last)])
    return figures + [
        Figure("revenue.net", row.net, "minor", "revenue by the ledger", row.currency) for _, row in books
    ]


def _of_calls(session: Session, span: Mapping[str, object]) -> list[Figure]:
    row = session.execute(_AI, span).one()
    p95, p99 = row.slow or (None, None)
    return [
        Figure("ai.calls", row.calls, "count", "calls of AI"),
        Figure("ai.cost", int(row.cost), "micro-USD", "cost of AI"),
        Figure("ai.cache_hit_rate", share(row.hits, row.hits + row.calls), "share", "answers that took no call"),
        Figure("ai.error_rate", share(row.failed, row.calls), "share", "calls of AI without an answer"),
        Figure("ai.p95", p95, "ms", "time of a call of AI, 95 of 100 within"),
        Figure("ai.p99", p99, "ms", "time of a call of AI, 99 of 100 within"),
    ]


def _of_jobs(session: Session, span: Mapping[str, object]) -> list[Figure]:
    row = session.execute(_JOBS, span).one()
    p95, p99 = row.slow or (None, None)
    return [
        Figure("jobs.ended", row.ended, "count", "jobs that succeeded or failed"),
        Figure("jobs.error_rate", share(row.failed, row.ended), "share", "jobs that failed"),
        Figure("jobs.p95", p95, "ms", "time of a job, 95 of 100 within"),
        Figure("jobs.p99", p99, "ms", "time of a job, 99 of 100 within"),
    ]
