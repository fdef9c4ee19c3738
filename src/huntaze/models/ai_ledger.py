"""The SQL of the AI budget: reserve before a call, settle after it, sweep up after the dead.

For every month and scope, settled + reserved never passes the limit: a reservation is one statement that locks the rows
of all scopes of a call, in the order of their names, and adds to all of them or to none. Each function here is
one statement where it can be, so that on an autocommit connection the locks live for one round trip. Times and months
are the database's.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, psycopg
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger, Text, TypeEngine, Uuid

from huntaze.models import channels
from huntaze.models.base import new_id
from huntaze.pipelines.ai.budget import DEFAULT_MONTHLY_MICRO_USD, WARN_PERCENT, scopes_of
from huntaze.pipelines.ai.calls import Ask, Used
from huntaze.pipelines.ai.errors import BudgetExhausted

Connected = Connection | Session
LOST = "lost"  # the outcome of a call whose caller never came back

MONTH = "date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date"
# Of a scope that is called `scope`; NULL: none.
LIMIT = f"coalesce(limit_micro_usd, CASE scope WHEN 'total' THEN {DEFAULT_MONTHLY_MICRO_USD} END)"


def _compiled(sql: str, **types: type[TypeEngine[Any]]) -> str:
    """As the driver takes it. SQLAlchemy's way through a statement, each time anew, costs more than the server's."""
    statement = text(sql).bindparams(*(bindparam(name, type_=given) for name, given in types.items()))
    return str(statement.compile(dialect=psycopg.dialect()))  # type: ignore[no-untyped-call]


def _run(connection: Connected, compiled: str, given: dict[str, Any]) -> CursorResult[Any]:
    at = connection.connection() if isinstance(connection, Session) else connection
    return at.exec_driver_sql(compiled, given)


# What a call counts towards. Said by the statement: an array of names costs the driver more than all other parameters.
_SCOPES = "('total', 'role:' || :role, 'creator:' || :creator_id)"
# A row that another call has just changed is waited for, and read anew: `FOR UPDATE` gives its newest version.
_RESERVE = _compiled(
    f"""
    WITH given AS MATERIALIZED (
        SELECT {MONTH} AS month
    ), locked AS MATERIALIZED (
        SELECT scope, {LIMIT} AS most, reserved_micro_usd + settled_micro_usd AS used
        FROM ai_spend JOIN given USING (month) LEFT JOIN ai_limits USING (scope)
        WHERE scope IN {_SCOPES} ORDER BY scope FOR UPDATE OF ai_spend
    ), verdict AS MATERIALIZED (
        SELECT count(*) = num_nonnulls{_SCOPES} AS complete,
               min(scope) FILTER (WHERE used + :bound_micro_usd > most) AS full_scope,
               max(CASE most WHEN 0 THEN 1 ELSE used::float8 / most END) FILTER (WHERE scope !~ '^creator:') AS pressure
        FROM locked
    ), noted AS (
        INSERT INTO usage_logs (request_id, month, role, deployment, creator_id, job_id, bound_micro_usd, lease_until,
                                settled_at, cost_micro_usd, outcome)
        SELECT :request_id, month, :role, :deployment, :creator_id, :job_id, :bound_micro_usd,
               clock_timestamp() + make_interval(secs => :lease_s), refused.*
        FROM given, verdict, LATERAL (
            SELECT CASE WHEN full_scope IS NOT NULL THEN clock_timestamp() END,
                   CASE WHEN full_scope IS NOT NULL THEN 0 END,
                   CASE WHEN full_scope IS NOT NULL THEN 'budget' END
        ) AS refused
        WHERE complete
    ), reserved AS (
        UPDATE ai_spend SET reserved_micro_usd = reserved_micro_usd + :bound_micro_usd FROM given, verdict
        WHERE complete AND full_scope IS NULL AND ai_spend.month = given.month AND scope IN {_SCOPES}
    )
    SELECT complete, full_scope, pressure, (month + interval '1 month') AT TIME ZONE 'UTC' AS resets_at,
           clock_timestamp() AS now
    FROM given, verdict
""",  # noqa: S608 - of constants
    **{"request_id": Uuid, "creator_id": Uuid, "job_id": Uuid, "role": Text, "deployment": Text},
    bound_micro_usd=BigInteger,
)
# Sorted, as two calls that open the same month must not wait for each other.
_OPEN = text(f"""
    INSERT INTO ai_spend (month, scope) SELECT {MONTH}, unnest(:scopes) ON CONFLICT DO NOTHING
""").bindparams(bindparam("scopes", type_=ARRAY(Text)))


def reserve(connection: Connected, ask: Ask) -> float:
    """Sets the bound aside in every scope of the call. Returns the pressure: the largest share of the limits of the
    whole and of the role that was taken before this call.

    Raises BudgetExhausted where it does not fit; that is noted too, with the outcome `budget`, once committed. Raises
    sqlalchemy.exc.IntegrityError for a request id that was used before.
    """
    while True:
        row = _run(connection, _RESERVE, vars(ask)).one()
        if row.full_scope is not None and row.complete:
            raise BudgetExhausted(_public(row.full_scope), row.resets_at, (row.resets_at - row.now).total_seconds())
        if row.complete:
            return float(row.pressure or 0.0)
        # The first call of a month, or of a creator in it. Again, as another month may have begun in between.
        connection.execute(_OPEN, {"scopes": scopes_of(ask.role, ask.creator_id)})


_PRESSURE = text(f"""
    SELECT coalesce(max(CASE most WHEN 0 THEN 1 ELSE used::float8 / most END), 0) FROM (
        SELECT reserved_micro_usd + settled_micro_usd AS used, {LIMIT} AS most
        FROM ai_spend LEFT JOIN ai_limits USING (scope) WHERE month = {MONTH} AND scope IN ('total', 'role:' || :role)
    ) AS taken
""").bindparams(bindparam("role", type_=Text))  # noqa: S608 - of constants


def pressure(connection: Connected, role: str) -> float:
    """The largest share that is taken of the limits of the whole and of this role."""
    return float(connection.execute(_PRESSURE, {"role": role}).scalar_one())


def _public(scope: str) -> str:
    """Of a creator's own limit no id is told."""
    return "creator" if scope.startswith("creator:") else scope


@dataclass(frozen=True)
class Warned:
    """So much of a scope's limit is spent, for the first time in the month."""

    scope: str
    percent: int
    settled_micro_usd: int
    limit_micro_usd: int


# Each share, and the id of the event that tells of it.
_WARNINGS = ", ".join(f"({percent}, :event_{percent})" for percent in WARN_PERCENT)
# The sums are locked before the row of usage, as in _RESERVE. What was charged as `lost` is put right where the caller
# lives after all. The commit is not waited for (`synchronous_commit`): if the database loses it in a crash, the
# reservation stands, and is swept up at its bound; and the next call gets its turn sooner.
_SETTLE = _compiled(
    f"""
    WITH found AS MATERIALIZED (
        SELECT month, role, creator_id FROM usage_logs WHERE request_id = :request_id
    ), locked AS MATERIALIZED (
        SELECT scope FROM ai_spend JOIN found USING (month)
        WHERE scope IN ('total', 'role:' || role, 'creator:' || creator_id) ORDER BY scope FOR UPDATE OF ai_spend
    ), was AS MATERIALIZED (
        SELECT request_id, month, role, creator_id, bound_micro_usd, coalesce(cost_micro_usd, 0) AS charged,
               settled_at IS NULL AS open
        FROM usage_logs, (SELECT count(*) FROM locked) AS all_locked
        WHERE request_id = :request_id AND (settled_at IS NULL OR (outcome = '{LOST}' AND :cost_micro_usd IS NOT NULL))
        FOR UPDATE OF usage_logs
    ), settled AS (
        UPDATE usage_logs
        SET settled_at = clock_timestamp(), cost_micro_usd = coalesce(:cost_micro_usd, usage_logs.bound_micro_usd),
            outcome = :outcome, deployment = :deployment, latency_ms = :latency_ms,
            input_tokens = :input_tokens, output_tokens = :output_tokens, cached_tokens = :cached_tokens,
            reasoning_tokens = :reasoning_tokens, cache_hit = :cache_hit, sandbox = :sandbox
        FROM was WHERE usage_logs.request_id = was.request_id
        RETURNING usage_logs.request_id
    ), summed AS (
        UPDATE ai_spend
        SET reserved_micro_usd = reserved_micro_usd - CASE WHEN open THEN bound_micro_usd ELSE 0 END,
            settled_micro_usd = settled_micro_usd + coalesce(:cost_micro_usd, bound_micro_usd) - charged
        FROM was WHERE ai_spend.month = was.month AND scope IN ('total', 'role:' || role, 'creator:' || creator_id)
        RETURNING ai_spend.month, ai_spend.scope, settled_micro_usd
    ), warned AS (
        INSERT INTO ai_warnings (month, scope, percent, settled_micro_usd, limit_micro_usd)
        SELECT month, scope, percent, settled_micro_usd, {LIMIT}
        FROM summed LEFT JOIN ai_limits USING (scope), (VALUES {_WARNINGS}) AS warnings (percent, event_id)
        WHERE settled_micro_usd * 100 >= {LIMIT} * percent
        ON CONFLICT DO NOTHING
        RETURNING scope, percent, settled_micro_usd, limit_micro_usd
    ), told AS (
        INSERT INTO events (id, creator_id, type, subject_id, data)
        SELECT ids.id, who.id, 'ai.budget_warning', who.id, jsonb_build_object(
            'percent', percent, 'spent_micro_usd', settled_micro_usd, 'limit_micro_usd', limit_micro_usd)
        FROM warned JOIN (VALUES {_WARNINGS}) AS ids (percent, id) USING (percent),
             LATERAL (SELECT substr(scope, 9)::uuid AS id) AS who
        WHERE scope LIKE 'creator:%'
        RETURNING pg_notify('{channels.EVENTS_WRITTEN}', '')
    )
    SELECT scope, percent, settled_micro_usd, limit_micro_usd, (SELECT count(*) FROM told) AS told,
           set_config('synchronous_commit', 'off', true)
    FROM settled LEFT JOIN warned ON true
""",  # noqa: S608 - of constants
    **{"request_id": Uuid, "cost_micro_usd": BigInteger, "outcome": Text, "deployment": Text},
    **{f"event_{percent}": Uuid for percent in WARN_PERCENT},
)


def settle(connection: Connected, request_id: uuid.UUID, used: Used) -> list[Warned] | None:
    """Puts what a call cost in place of what was reserved for it, in the month of the reservation; an unknown cost is
    the bound. None: there is no such reservation (any more); nothing was changed.

    A cost above the bound is charged in full: the ledger tells what was spent, and the bound was none. A creator is
    told of warnings of his own limit by an event; the others are the operators'.
    """
    return _settle(connection, request_id, vars(used))


def _settle(connection: Connected, request_id: uuid.UUID, facts: dict[str, Any]) -> list[Warned] | None:
    events = {f"event_{percent}": new_id() for percent in WARN_PERCENT}
    rows = _run(connection, _SETTLE, events | facts | {"request_id": request_id}).all()
    return [Warned(*list(row)[:4]) for row in rows if row.scope is not None] if rows else None


_NOTE = _compiled(
    f"""
    WITH noted AS (
        INSERT INTO usage_logs (request_id, month, role, deployment, creator_id, job_id, bound_micro_usd,
                                cost_micro_usd, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
                                latency_ms, outcome, cache_hit, sandbox, settled_at)
        VALUES (:request_id, {MONTH}, :role, :deployment, :creator_id, :job_id, 0, 0, :input_tokens, :output_tokens,
                :cached_tokens, :reasoning_tokens, :latency_ms, :outcome, :cache_hit, :sandbox, clock_timestamp())
        ON CONFLICT DO NOTHING
    )
    SELECT set_config('synchronous_commit', 'off', true)
"""  # noqa: S608 - of constants
)


def note(connection: Connected, ask: Ask, used: Used) -> None:
    """A row for what cost nothing: an answer from the cache, or a call that was not made. What a kept answer once
    cost stands in the row of the call that was made."""
    _run(connection, _NOTE, vars(used) | vars(ask))


_EXPIRED = text("""
    SELECT request_id, deployment, lease_until FROM usage_logs
    WHERE settled_at IS NULL AND lease_until < clock_timestamp() ORDER BY lease_until LIMIT 1
""")


@dataclass(frozen=True)
class Swept:
    """A reservation whose caller is gone."""

    request_id: uuid.UUID
    lease_until: datetime
    warned: Sequence[Warned]


def sweep(connection: Connected) -> Swept | None:
    """Settles the oldest reservation that outlived its lease, at its full bound: the call may have been paid.

    One a transaction, so that nobody waits for a heap of them. None: there is no other.
    """
    row = connection.execute(_EXPIRED).one_or_none()
    if row is None:
        return None
    lost = vars(Used(row.deployment, 0, 0, 0, 0, None, 0, "timeout")) | {"outcome": LOST}
    return Swept(row.request_id, row.lease_until, _settle(connection, row.request_id, lost) or ())
