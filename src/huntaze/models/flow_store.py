"""All SQL of what holds jobs back: pauses, and the limits of a flow key."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models import channels
from huntaze.models.flows import FlowRate, Pause
from huntaze.models.job_kinds import JobKind
from huntaze.models.jobs import Job, JobState


def pause(session: Session, scope: str, name: str) -> None:
    """Nothing more of this queue or kind is sent; what lies with the broker comes back, what runs goes on."""
    session.execute(insert(Pause).values(scope=scope, name=name).on_conflict_do_nothing())
    column = Job.queue if scope == "queue" else Job.kind
    back = update(Job).where(Job.state == JobState.QUEUED, column == name)
    session.execute(back.values(state=JobState.WAITING, ready=True))


def resume(session: Session, scope: str, name: str) -> bool:
    """Ends a pause. False: there was none."""
    ended = session.execute(delete(Pause).where(Pause.scope == scope, Pause.name == name).returning(Pause.name)).all()
    session.execute(select(func.pg_notify(channels.JOBS, "")))
    return bool(ended)


def pauses(session: Session) -> list[Pause]:
    """All that is paused."""
    return list(session.scalars(select(Pause).order_by(Pause.scope, Pause.name)))


def paused_queues(session: Session) -> set[str]:
    """The queues that are paused."""
    return set(session.scalars(select(Pause.name).where(Pause.scope == "queue")))


_ACTIVE = text("""
    SELECT flow_key, count(*) AS active FROM jobs
    WHERE state IN ('queued', 'running') AND kind = :kind AND flow_key = ANY(:keys) GROUP BY flow_key
""")
# Generic cell rate algorithm: a key may start n jobs as long as arrival + n * (period / count) <= now + period.
_ALLOWED = text("""
    SELECT flow_key, floor((:period - greatest(ahead, 0)) / (:period / :count) + 1e-6)::int AS allowed
    FROM flow_rates CROSS JOIN LATERAL (SELECT extract(epoch FROM arrival - clock_timestamp()) AS ahead) AS late
    WHERE kind = :kind AND flow_key = ANY(:keys)
""")


def quotas(session: Session, kind: JobKind | None, keys: Sequence[str], each: int) -> dict[str, int]:
    """How many jobs each flow key may start now: `each`, or less by the limits of its kind."""
    found = dict.fromkeys(keys, each)
    if kind is None:
        return found
    if kind.flow_limit is not None:
        active = {row.flow_key: row.active for row in session.execute(_ACTIVE, {"kind": kind.name, "keys": list(keys)})}
        found = {key: max(min(quota, kind.flow_limit - active.get(key, 0)), 0) for key, quota in found.items()}
    if kind.flow_rate is not None:
        given = {
            "kind": kind.name,
            "keys": list(keys),
            "period": kind.flow_rate.period_s,
            "count": kind.flow_rate.count,
        }
        allowed = {row.flow_key: row.allowed for row in session.execute(_ALLOWED, given)}
        found = {key: max(min(quota, allowed.get(key, kind.flow_rate.count)), 0) for key, quota in found.items()}
    return found


def spend(session: Session, kind: JobKind | None, keys: Sequence[str]) -> None:
    """Notes that these keys (one mention a job) have started jobs, where their kind has a rate."""
    if kind is None or kind.flow_rate is None or not keys:
        return
    step = kind.flow_rate.period_s / kind.flow_rate.count
    for key, count in Counter(keys).items():
        later = func.make_interval(0, 0, 0, 0, 0, 0, step * count)
        first = insert(FlowRate).values(kind=kind.name, flow_key=key, arrival=func.clock_timestamp() + later)
        arrival = func.greatest(FlowRate.arrival, func.clock_timestamp()) + later
        session.execute(first.on_conflict_do_update(index_elements=["kind", "flow_key"], set_={"arrival": arrival}))
