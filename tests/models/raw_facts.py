"""What the rollups have to say, from the raw facts by one query a grain; and what they do say."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import analytics_facts, analytics_periods, analytics_rollups, analytics_sources
from huntaze.models.database import Sessions
from huntaze.pipelines.analytics.facts import Fact, person_key
from huntaze.pipelines.analytics.metrics import WITH_SPREAD

Rows = dict[tuple[Any, ...], tuple[Any, ...]]

_FIGURES = """
    label, count(*) AS count, sum(value)::numeric AS total, min(value) AS least, max(value) AS most,
    array_agg(DISTINCT person ORDER BY person) FILTER (WHERE person IS NOT NULL) AS persons,
    array_agg(value ORDER BY value) FILTER (WHERE metric = ANY (:spreads)) AS spread
"""
_RAW = {
    "bucket": f"""
        SELECT creator_id, metric, to_timestamp(floor(extract(epoch FROM occurred_at) / 900) * 900) AS start, {_FIGURES}
        FROM analytics_facts GROUP BY creator_id, metric, start, label
    """,
    "day": f"""
        SELECT creator_id, metric, (occurred_at AT TIME ZONE time_zone)::date AS start, {_FIGURES}
        FROM analytics_facts JOIN users ON users.id = creator_id GROUP BY creator_id, metric, start, label
    """,
    "month": f"""
        SELECT creator_id, metric, date_trunc('month', occurred_at AT TIME ZONE time_zone)::date AS start, {_FIGURES}
        FROM analytics_facts JOIN users ON users.id = creator_id GROUP BY creator_id, metric, start, label
    """,
}
_KEPT = {
    "bucket": "SELECT creator_id, metric, bucket AS start, {columns} FROM analytics_buckets",
    "day": "SELECT creator_id, metric, start, {columns} FROM analytics_periods WHERE grain = 'day'",
    "month": "SELECT creator_id, metric, start, {columns} FROM analytics_periods WHERE grain = 'month'",
}
_COLUMNS = "label, count, total, least, most, persons, spread"


def _rows(session: Session, query: str, given: dict[str, Any]) -> Rows:
    return {tuple(row[:4]): tuple(row[4:]) for row in session.execute(text(query), given)}


def raw(sessions: Sessions) -> dict[str, Rows]:
    """{grain: {(creator, metric, start, label): figures}}, counted from the facts."""
    with sessions() as session:
        return {grain: _rows(session, query, {"spreads": list(WITH_SPREAD)}) for grain, query in _RAW.items()}


def kept(sessions: Sessions) -> dict[str, Rows]:
    """The same, as the rollups have it."""
    with sessions() as session:
        return {grain: _rows(session, query.format(columns=_COLUMNS), {}) for grain, query in _KEPT.items()}


def everything(sessions: Sessions) -> list[tuple[Any, ...]]:
    """Every byte of the rollups."""
    with sessions() as session:
        rows: list[tuple[Any, ...]] = []
        for query in _KEPT.values():
            columns = f"{_COLUMNS}, persons_sketch, spread_sketch"
            rows += [
                tuple(row) for row in session.execute(text(f"{query.format(columns=columns)} ORDER BY 1, 2, 3, 4"))
            ]
        return rows


def roll_all(sessions: Sessions, facts: int = 1000) -> None:
    """Takes what other domains did, counts until nothing is left, then derives until nothing is left."""
    with sessions.begin() as session:
        assert not analytics_sources.take(session).more
    while True:
        with sessions.begin() as session:
            turn = analytics_rollups.roll(session, wait=True, facts=facts)
        assert turn is not None
        if not turn.more:
            break
    for derive in (analytics_periods.settle, analytics_periods.settle_months):
        more = True
        while more:
            with sessions.begin() as session:
                settled = derive(session, wait=True)
            assert settled is not None
            more = settled.more


def load(sessions: Sessions, creator_id: uuid.UUID, facts: Sequence[Fact]) -> analytics_facts.Loaded:
    with sessions.begin() as session:
        return analytics_facts.load(session, creator_id, facts)


def request(number: int, at: datetime, *, label: str = "200", persons: int = 1000, revision: int = 0) -> Fact:
    """A fact with all that facts can have; the same number is the same event."""
    return Fact(
        event_id=uuid.uuid5(uuid.NAMESPACE_OID, str(number)),
        metric="web.requests",
        occurred_at=at,
        value=(number * 7919 + revision) % 100_000,
        person=person_key(str(number % persons)),
        label=label,
        revision=revision,
    )


def spread_out(count: int, start: datetime, over: timedelta, persons: int = 1000) -> list[Fact]:
    """So many requests, evenly."""
    return [request(number, start + over * number / count, persons=persons) for number in range(count)]


def chunks(facts: Sequence[Fact], size: int) -> Iterable[Sequence[Fact]]:
    return (facts[start : start + size] for start in range(0, len(facts), size))
