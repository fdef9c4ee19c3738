"""What was spent and on what: read for operators, creators and `/metrics`. Money is micro-USD, months are UTC."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Row, bindparam, text
from sqlalchemy.orm import Session
from sqlalchemy.types import Uuid

from huntaze.models.ai_ledger import LIMIT, MONTH
from huntaze.pipelines.ai.budget import FORECAST_FROM, forecast, share_spent


@dataclass(frozen=True)
class ScopeBudget:
    """One scope's month. `limit_micro_usd` None: it has none. `forecast_micro_usd`: spent at the month's end, if it
    goes on as in the last seven days. `warned_percent`: the highest share that was warned of; 0: none."""

    scope: str
    limit_micro_usd: int | None
    settled_micro_usd: int
    reserved_micro_usd: int
    forecast_micro_usd: int
    warned_percent: int

    @property
    def share_spent(self) -> float | None:
        """0 for nothing, 1 for all of the limit; None without a limit."""
        return None if self.limit_micro_usd is None else share_spent(self.settled_micro_usd, self.limit_micro_usd)


@dataclass(frozen=True)
class Budget:
    """A month's scopes: the whole first, then roles, then creators, each by what they cost."""

    month: date
    resets_at: datetime
    scopes: Sequence[ScopeBudget]


_GIVEN = f"""
    SELECT month, (month + interval '1 month') AT TIME ZONE 'UTC' AS resets_at, clock_timestamp() AS now
    FROM (SELECT coalesce(:month, {MONTH}) AS month) AS asked
"""  # noqa: S608 - of constants
_BUDGET = text(f"""
    WITH given AS ({_GIVEN}), lately AS (
        SELECT scope, sum(cost_micro_usd)::bigint AS cost,
               extract(epoch FROM max(now) - min(created_at))::float8 AS seconds
        FROM given, usage_logs,
             LATERAL (VALUES ('total'), ('role:' || role), ('creator:' || creator_id)) AS scopes (scope)
        WHERE created_at >= now - make_interval(secs => :lately_s) AND scope IS NOT NULL
          AND (:creator_id IS NULL OR creator_id = :creator_id)
        GROUP BY scope
    ), sums AS (
        SELECT scope, coalesce(reserved_micro_usd, 0) AS reserved, coalesce(settled_micro_usd, 0) AS settled,
               {LIMIT} AS most
        FROM (SELECT ai_spend.* FROM ai_spend JOIN given USING (month)) AS spent
        FULL JOIN ai_limits USING (scope) FULL JOIN (SELECT 'total' AS scope) AS always USING (scope)
        WHERE :creator_id IS NULL OR scope = 'creator:' || :creator_id
    ), warned AS (
        SELECT scope, max(percent) AS percent FROM ai_warnings JOIN given USING (month) GROUP BY scope
    )
    SELECT month, resets_at, greatest(extract(epoch FROM resets_at - now), 0)::float8 AS left_s, scope, most,
           settled, reserved, coalesce(cost, 0) AS lately, coalesce(seconds, 0) AS lately_s,
           coalesce(percent, 0) AS warned
    FROM given LEFT JOIN sums ON true LEFT JOIN lately USING (scope) LEFT JOIN warned USING (scope)
    ORDER BY array_position(ARRAY['total', 'role', 'creator'], split_part(scope, ':', 1)), settled DESC, scope
""").bindparams(bindparam("month", type_=Date), bindparam("creator_id", type_=Uuid))  # noqa: S608 - of constants


def budget(session: Session, month: date | None = None, creator_id: uuid.UUID | None = None) -> Budget:
    """Where a month stands (its first day; None: this one), of everything or in the creator's own scope alone, of which
    there is none where nothing was asked and nobody has set a limit."""
    given = {"month": month, "creator_id": creator_id, "lately_s": FORECAST_FROM.total_seconds()}
    rows = session.execute(_BUDGET, given).all()
    return Budget(rows[0].month, rows[0].resets_at, [_scope(row) for row in rows if row.scope is not None])


def _scope(row: Row[Any]) -> ScopeBudget:
    expected = forecast(row.settled, row.lately, row.lately_s, row.left_s)
    return ScopeBudget(row.scope, row.most, row.settled, row.reserved, expected, row.warned)


@dataclass(frozen=True)
class RoleUsage:
    """What calls of a role took in a month. `cache_hits`, of `calls`: answers that were there already. `failed`: no
    answer, refusals by the budget included. `sandbox`: no model was asked. `latency_ms`: median, hits left out."""

    role: str
    calls: int
    cache_hits: int
    failed: int
    sandbox: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_micro_usd: int
    latency_ms: int | None


# A row may be of the month by its reservation and be made minutes later or earlier by the clock of its statement: the
# bounds by created_at, which the index of all rows is on, are wider.
_USAGE = text(f"""
    WITH given AS MATERIALIZED ({_GIVEN})
    SELECT role, count(*) AS calls, count(*) FILTER (WHERE cache_hit) AS cache_hits,
           count(*) FILTER (WHERE outcome NOT IN ('ok', 'length')) AS failed,
           count(*) FILTER (WHERE sandbox) AS sandbox,
           sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cached_tokens)::bigint,
           sum(reasoning_tokens)::bigint, sum(cost_micro_usd)::bigint,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE NOT cache_hit)
    FROM usage_logs, given
    WHERE usage_logs.month = given.month AND settled_at IS NOT NULL
      AND created_at >= given.month::timestamptz - interval '1 day' AND created_at < resets_at + interval '1 day'
      AND (:creator_id IS NULL OR creator_id = :creator_id)
    GROUP BY role ORDER BY role
""").bindparams(bindparam("month", type_=Date), bindparam("creator_id", type_=Uuid))  # noqa: S608 - of constants


def usage(session: Session, month: date | None = None, creator_id: uuid.UUID | None = None) -> list[RoleUsage]:
    """What calls took in a month (its first day; None: this one), by role; of everybody, or of one creator. Calls that
    are under way are left out."""
    return [RoleUsage(*row) for row in session.execute(_USAGE, {"month": month, "creator_id": creator_id})]


@dataclass(frozen=True)
class Gauge:
    """One scope of the current month, for `/metrics`: creators are left out."""

    scope: str
    limit_micro_usd: int | None
    settled_micro_usd: int
    reserved_micro_usd: int


@dataclass(frozen=True)
class Gauges:
    """`open`: calls under way; `overdue_s`: seconds since the oldest lease of one ran out, 0 where none did;
    `refused`: calls that the budget refused in the last five minutes."""

    scopes: Sequence[Gauge]
    open: int
    overdue_s: float
    refused: int


_GAUGES = text(f"""
    SELECT scope, {LIMIT} AS most, coalesce(settled_micro_usd, 0), coalesce(reserved_micro_usd, 0)
    FROM (SELECT * FROM ai_spend WHERE month = {MONTH}) AS spent
    FULL JOIN ai_limits USING (scope) FULL JOIN (SELECT 'total' AS scope) AS always USING (scope)
    WHERE scope NOT LIKE 'creator:%' ORDER BY scope
""")  # noqa: S608 - of constants
_OPEN = text("""
    SELECT count(*), greatest(extract(epoch FROM clock_timestamp() - min(lease_until)), 0)::float8,
           (SELECT count(*) FROM usage_logs
            WHERE outcome = 'budget' AND created_at > clock_timestamp() - interval '5 minutes')
    FROM usage_logs WHERE settled_at IS NULL
""")


def gauges(session: Session) -> Gauges:
    """The month as it stands."""
    scopes = [Gauge(*row) for row in session.execute(_GAUGES)]
    return Gauges(scopes, *session.execute(_OPEN).one())
