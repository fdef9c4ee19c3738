"""Facts by the million, made by the database: as they would lie there had they come in over time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from sqlalchemy import Engine, text

from huntaze.models import analytics_partitions
from huntaze.models.database import Sessions, build_sessions
from huntaze.pipelines.analytics.buckets import months_between

CREATORS = 500
_METRICS = ("messages.sent", "messages.response", "content.views", "logins", "offers.shown", "web.requests")
_USERS = text("""
    INSERT INTO users (id, handle, time_zone, plan)
    SELECT md5('creator ' || n)::uuid, 'creator-' || n,
           (ARRAY['UTC', 'America/New_York', 'Asia/Kolkata', 'Europe/Paris'])[1 + n % 4], 'free'
    FROM generate_series(0, :creators - 1) AS n ON CONFLICT DO NOTHING
""")
# In the order of time, as they come; a creator that is twice as far down the list has half as many (Zipf).
_FACTS = text("""
    INSERT INTO analytics_facts (creator_id, event_id, bucket, occurred_at, value, person, metric, label)
    SELECT ids[creator], gen_random_uuid(), date_bin('15 minutes', at, '1970-01-01 00:00:00+00'), at,
           CASE WHEN metric IN ('messages.response', 'web.requests') THEN hashint4(n) & 65535 ELSE 0 END,
           hashint8extended(hashint4(n + :salt) & 4095, creator), metric,
           CASE metric WHEN 'content.views' THEN 'content-' || (n % 20) WHEN 'offers.shown' THEN 'offer-' || (n % 3)
                       WHEN 'web.requests' THEN (ARRAY['200', '200', '200', '404'])[1 + n % 4] ELSE '' END
    FROM (
        SELECT n, start + step * n AS at, ids,
               floor(exp(steep * (hashint4(n * 31 + :salt) & 1048575)))::int AS creator,
               metrics[1 + (hashint4(n * 17 + :salt) & 65535) % cardinality(metrics)] AS metric
        FROM generate_series(0, :rows - 1) AS n, (
            SELECT cast(:start AS timestamptz) AS start, cast(:metrics AS text[]) AS metrics,
                   (cast(:finish AS timestamptz) - cast(:start AS timestamptz)) / cast(:rows AS float8) AS step,
                   ln(cast(:creators AS float8)) / 1048576 AS steep,
                   ARRAY(SELECT md5('creator ' || n)::uuid FROM generate_series(0, :creators - 1) AS n) AS ids
        ) AS given
    ) AS drawn
""")
_AT_ONCE = 500_000  # facts of a transaction
_CONNECTIONS = 2  # a core each


def make_creators(sessions: Sessions) -> None:
    """The creators whose facts they are."""
    with sessions.begin() as session:
        session.execute(_USERS, {"creators": CREATORS})


def make_facts(
    engine: Engine,
    rows: int,
    start: datetime,
    finish: datetime,
    salt: int = 0,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """So many facts in the order of time, from `start` to `finish`. `tell`: how many there are, now and then."""
    sessions = build_sessions(engine)
    with sessions.begin() as session:
        analytics_partitions.ensure(session, months_between(start.date(), finish.date()))

    def make(first: int) -> int:
        count = min(_AT_ONCE, rows - first)
        begin, end = (start + (finish - start) * (n / rows) for n in (first, first + count))
        given = {"rows": count, "start": begin, "finish": end, "salt": salt + first, "creators": CREATORS}
        with sessions.begin() as session:
            session.execute(_FACTS, {**given, "metrics": list(_METRICS)})
        return count

    made = 0
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for count in pool.map(make, range(0, rows, _AT_ONCE)):
            made += count
            tell(made)
