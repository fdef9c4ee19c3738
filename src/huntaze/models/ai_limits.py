"""What a month may cost: set by operators, read by every reservation. Nothing here commits."""

import uuid

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models.ai_ledger import LIMIT, MONTH
from huntaze.models.ai_usage import AiLimit
from huntaze.models.job_enqueue import wake_dispatcher
from huntaze.pipelines.ai.budget import Scope

_DELETE = text("DELETE FROM ai_limits WHERE scope = :scope RETURNING scope")
# With another limit, less of it may be spent: what is no longer true is told again when it comes to that.
_FORGET = text(f"""
    DELETE FROM ai_warnings USING (
        SELECT month, scope, settled_micro_usd AS spent, {LIMIT} AS most
        FROM ai_spend LEFT JOIN ai_limits USING (scope) WHERE month = {MONTH} AND scope = :scope
    ) AS now
    WHERE ai_warnings.month = now.month AND ai_warnings.scope = now.scope
      AND (most IS NULL OR spent * 100 < most * percent)
""")  # noqa: S608 - of constants
# Those that the budget has sent away this month wait until its end; they may try at once. Who does not fit waits again.
_WAKE = text(f"""
    UPDATE jobs SET run_at = clock_timestamp()
    WHERE state = 'waiting' AND NOT ready AND run_at > clock_timestamp() AND id = ANY (ARRAY(
        SELECT job_id FROM usage_logs WHERE month = {MONTH} AND outcome = 'budget' AND job_id IS NOT NULL))
    RETURNING id
""")  # noqa: S608 - of constants


def put(session: Session, scope: Scope, limit_micro_usd: int) -> list[uuid.UUID]:
    """Sets a limit, from now on and for this month. Returns the jobs that waited for the budget and may try again.

    A limit below what is spent refuses every further call; those under way are paid.
    """
    row = insert(AiLimit).values(scope=str(scope), limit_micro_usd=limit_micro_usd)
    changed = {"limit_micro_usd": limit_micro_usd, "changed_at": func.clock_timestamp()}
    session.execute(row.on_conflict_do_update(index_elements=[AiLimit.scope], set_=changed))
    return _changed(session, scope)


def remove(session: Session, scope: Scope) -> list[uuid.UUID] | None:
    """Takes a limit away; the whole then has the default. None: there was none. Returns what `put` returns."""
    removed = session.execute(_DELETE, {"scope": str(scope)}).one_or_none()
    return None if removed is None else _changed(session, scope)


def _changed(session: Session, scope: Scope) -> list[uuid.UUID]:
    session.execute(_FORGET, {"scope": str(scope)})
    woken = list(session.scalars(_WAKE))
    if woken:
        wake_dispatcher(session)
    return woken
