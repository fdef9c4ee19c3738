"""From a source that is due to a run that has ended. A start is sent once; what the vendor says is asked for anew."""

import time
from datetime import timedelta

from huntaze.clients.apify.hooks import hook_url
from huntaze.clients.apify.runner import ActorRun, NoSuchRun, RunOrder, RunStatus, StartUnclear
from huntaze.models import trend_run_store, trend_source_store
from huntaze.models.job_args import TrendsCheck, TrendsCollect, TrendsFire, TrendsScrape
from huntaze.models.trend_run_store import Started
from huntaze.models.trend_sources import RunState, TrendRun
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.trends.posts.inputs import ACTORS
from huntaze.setting_groups import ApifySettings
from huntaze.tasks.context import JobContext, Snooze
from huntaze.tasks.registry import job

STARTS_MOST = 3  # of one run, each after a look that found no run
_SKEW = timedelta(minutes=5)  # between the vendor's clock and ours
_STALE_S = 5.0  # after which a start that was announced is not sent any more: somebody may be looking for its run
_OVERTIME = timedelta(minutes=15)  # beyond its own time limit, after which a run is told to end


def apify_settings(ctx: JobContext) -> ApifySettings:
    """The settings, if anything may be scraped. Raises Permanent (`apify.not_configured`)."""
    assert ctx.settings is not None
    settings = ctx.settings.apify
    for name in ("token", "author_keys"):
        if getattr(settings, name) is None:
            variable = f"HUNTAZE_APIFY_{name.upper()}"
            raise Permanent("apify.not_configured", f"Nothing is scraped without {variable}; see .env.example.")
    return settings


@job(TrendsFire)
def fire_sources(ctx: JobContext, args: TrendsFire) -> None:
    """Makes a run of every source that is due at the slot, each in a transaction of its own."""
    assert ctx.settings is not None
    planned = skipped = 0
    while ctx.settings.apify.token is not None:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            run = trend_source_store.plan_due(session, args.slot, ctx.settings.apify.monthly_cap_micro_usd)
        if run is None:
            break
        planned, skipped = planned + 1, skipped + (run.state == RunState.SKIPPED)
    with ctx.finish() as finish:
        finish.result.update(runs=planned, skipped=skipped)


@job(TrendsScrape)
def scrape(ctx: JobContext, args: TrendsScrape) -> None:
    """Sees a run through to its end, then has it collected. A webhook may be faster (`check`): then it ends here."""
    with ctx.sessions() as session:
        run, _ = trend_run_store.load(session, args.run_id)
    if run.state == RunState.INTENDED:
        run = _start(ctx, run)
    if run.state == RunState.STARTED:
        seen = _look(ctx, run)
        if not seen.ended:
            raise Snooze(apify_settings(ctx).poll_s)
        _end(ctx, run, seen)


@job(TrendsCheck)
def check(ctx: JobContext, args: TrendsCheck) -> None:
    """A webhook spoke of the run: the vendor is asked whether it is so. It can also tell which run is ours, where the
    answer to the start was lost: its URL was given to that run alone."""
    with ctx.sessions() as session:
        run, _ = trend_run_store.load(session, args.run_id)
    if run.state == RunState.INTENDED and args.external_id is not None and run.start_tried_at is not None:
        seen = ctx.clients.actors.get(args.external_id)
        if seen.started_at >= run.created_at - _SKEW and ctx.clients.actors.is_of(seen, _order(ctx, run)):
            run = _adopt(ctx, run, seen)
    if run.state == RunState.STARTED:
        seen = _look(ctx, run)
        if seen.ended:
            _end(ctx, run, seen)


def _order(ctx: JobContext, run: TrendRun) -> RunOrder:
    settings, actor = apify_settings(ctx), next(one for one in ACTORS.values() if one.name == run.actor)
    return RunOrder(
        actor=run.actor,
        input=run.input,
        mark=str(run.id),
        max_items=run.max_items,
        max_charge_micro_usd=run.max_charge_micro_usd,
        memory_mb=actor.memory_mb,
        timeout_s=actor.timeout_s,
        build=run.build,
        webhook_url=hook_url(settings, run.id),
    )


def _start(ctx: JobContext, run: TrendRun) -> TrendRun:
    """The run as started: by an earlier start whose answer was lost, if there is one, else by a new start.

    Raises Snooze while it is not known; Permanent where starts were lost more often than can be answered for.
    """
    order = _order(ctx, run)
    if run.start_tried_at is not None:
        found = _find(ctx, run, order)
        if found is not None:
            return _adopt(ctx, run, found)
        if run.start_tries >= STARTS_MOST:
            message = f"{run.start_tries} starts went unanswered, and no run of ours is to be seen."
            raise Permanent("apify.start_unclear", message)
    at = time.monotonic()
    with ctx.sessions.begin() as session:
        announced = trend_run_store.begin_start(session, run)
    if not announced:
        raise Snooze(_STALE_S)
    ctx.checkpoint()
    if time.monotonic() - at > _STALE_S:
        raise Snooze(apify_settings(ctx).unclear_s)
    return _send(ctx, run, order)


def _send(ctx: JobContext, run: TrendRun, order: RunOrder) -> TrendRun:
    try:
        seen = ctx.clients.actors.start(order)
    except StartUnclear as error:
        raise Snooze(apify_settings(ctx).unclear_s) from error
    except (Transient, Permanent):
        with ctx.sessions.begin() as session:
            trend_run_store.not_started(session, run.id)
        raise
    return _adopt(ctx, run, seen)


def _find(ctx: JobContext, run: TrendRun, order: RunOrder) -> ActorRun | None:
    """The run that a start may have made, among the actor's recent ones. Raises Snooze while it is too early to say."""
    with ctx.sessions() as session:
        unclear_s = trend_run_store.unclear_s(session, run.id)
    wait_s = apify_settings(ctx).unclear_s
    if unclear_s is not None and unclear_s < wait_s:
        raise Snooze(wait_s - unclear_s)
    recent = list(ctx.clients.actors.recent(run.actor, run.created_at - _SKEW))
    with ctx.sessions() as session:
        others = trend_run_store.taken(session, [one.id for one in recent])
    return next((one for one in recent if one.id not in others and ctx.clients.actors.is_of(one, order)), None)


def _adopt(ctx: JobContext, run: TrendRun, seen: ActorRun) -> TrendRun:
    """The vendor's run is ours from here on."""
    facts = Started(seen.id, seen.dataset_id, seen.status, seen.started_at, seen.build)
    with ctx.sessions.begin() as session:
        trend_run_store.started(session, run.id, facts)
        session.expire_all()
        return trend_run_store.load(session, run.id)[0]


def _look(ctx: JobContext, run: TrendRun) -> ActorRun:
    """How the run is by now. One that costs more than it may, or does not end, is told to."""
    assert run.external_id is not None
    try:
        seen = ctx.clients.actors.get(run.external_id)
    except NoSuchRun:
        raise Permanent("apify.run_gone", "Apify does not know the run any more.") from None
    if seen.ended:
        return seen
    with ctx.sessions.begin() as session:
        trend_run_store.noted(session, run.id, seen.status)
        late_s = trend_run_store.running_s(session, run.id)
    late = late_s > _order(ctx, run).timeout_s + _OVERTIME.total_seconds()
    if seen.status in (RunStatus.READY, RunStatus.RUNNING) and (
        late or (seen.cost_micro_usd or 0) > run.max_charge_micro_usd
    ):
        ctx.clients.actors.abort(run.external_id)
    return seen


def _end(ctx: JobContext, run: TrendRun, seen: ActorRun) -> None:
    """The vendor's run is over: its money is settled, and what it found is collected, in one commit."""
    with ctx.finish() as finish:
        if trend_run_store.ended(finish.session, run.id, seen.status, seen.cost_micro_usd):
            finish.enqueue(TrendsCollect(run_id=run.id))
        finish.result.update(status=seen.status, cost_micro_usd=seen.cost_micro_usd)
