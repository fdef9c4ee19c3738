"""`huntaze sources`: what is scraped for trends, what it costs, and what looks wrong."""

import uuid
from typing import Annotated, Any

import typer

from huntaze.cli.here import ledger, settings_here
from huntaze.cli.output import WIDE, Failed, out, print_json, print_line, print_table
from huntaze.models import job_enqueue, scrape_budget, trend_run_store, trend_source_store, trend_verdicts
from huntaze.models.database import Sessions
from huntaze.models.job_args import TrendsForget
from huntaze.models.trend_source_store import Changes
from huntaze.models.trend_sources import RunState, SourceState, TrendRun, TrendSource
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.trends.posts.identity import parse_keys
from huntaze.pipelines.trends.posts.post import Platform
from huntaze.pipelines.trends.posts.sources import SourceSpec

sources = typer.Typer(no_args_is_help=True, help="What is scraped for trends: add, run, pause, look at.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Id = Annotated[uuid.UUID, typer.Argument(help="as `sources list` shows")]
_DEFAULT = SourceSpec("", "")


@sources.command("list")
def list_sources(
    platform: Annotated[Platform | None, typer.Option(help="only this platform's")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show sources, newest first, with their last runs."""
    with ledger("sources") as sessions, sessions() as session:
        found = trend_source_store.search(session, platform=platform, limit=limit)
        last = {one.id: next(iter(trend_run_store.runs_of(session, one.id, 1)), None) for one in found}
    if json:
        print_json(
            [{**_facts(one), "last_run": None if last[one.id] is None else _facts(last[one.id])} for one in found]
        )
        return
    wide = out.width >= WIDE
    columns = [
        "id",
        "platform",
        "query",
        "state",
        "last run",
        *(["where", "cron", "cap", "owner", "next"] if wide else []),
    ]
    rows = []
    for one in found:
        state = "held" if one.held_at and one.state == SourceState.ACTIVE else one.state
        row = [one.id, one.platform, one.query, state, _told(last[one.id])]
        where = "/".join(filter(None, (one.region, one.language)))
        more = [where, one.cron, one.max_items, one.creator_id or "everybody", f"{one.next_run_at:%m-%d %H:%M}"]
        rows.append([*row, *(more if wide else [])])
    print_table(columns, rows, "there are no sources; huntaze sources add tiktok '#ootd'")


def _facts(row: TrendSource | TrendRun | None) -> dict[str, Any]:
    return {} if row is None else {column.key: getattr(row, column.key) for column in row.__table__.columns}


def _told(run: TrendRun | None) -> str:
    """A run in a few words."""
    if run is None:
        return ""
    if run.state == RunState.COLLECTED:
        return f"{run.verdict}, {run.posts} posts, {_usd(run.cost_micro_usd)}"
    return f"{run.state}: {run.error_code}" if run.error_code else run.state


def _usd(micro: int | None) -> str:
    return "" if micro is None else f"${micro / 1_000_000:.4f}"


@sources.command()
def add(
    platform: Annotated[Platform, typer.Argument(help="whose posts")],
    query: Annotated[str, typer.Argument(help="'#hashtag', @profile, or words to search for")],
    cron: Annotated[str, typer.Option(help="five fields, UTC; runs at least 15 minutes apart")] = _DEFAULT.cron,
    region: Annotated[str | None, typer.Option(help="two capital letters, such as DE")] = None,
    language: Annotated[str | None, typer.Option(help="two small letters, such as de")] = None,
    max_items: Annotated[int, typer.Option(help="most posts of one run")] = _DEFAULT.max_items,
    max_usd: Annotated[float, typer.Option(help="most that one run may cost, in dollars")] = 0.5,
    creator: Annotated[uuid.UUID | None, typer.Option(help="its owner; default: everybody's")] = None,
    json: AsJson = False,
) -> None:
    """Add a source; without --creator it is everybody's."""
    spec = SourceSpec(platform, query, cron, region, language, max_items, round(max_usd * 1_000_000))
    with ledger("sources") as sessions:
        try:
            with sessions.begin() as session:
                source = trend_source_store.create(session, spec, creator)
        except Permanent as error:
            raise Failed(error.message, 2) from None
    if json:
        print_json(_facts(source))
    else:
        print_line(f"{source.id} runs for the first time at {source.next_run_at:%Y-%m-%d %H:%M} UTC")


@sources.command()
def run(source_id: Id, json: AsJson = False) -> None:
    """Run a source now. A dispatcher and a worker do the rest; `sources runs` shows it."""
    cap = settings_here("apify").apify.monthly_cap_micro_usd
    with ledger("sources") as sessions:
        try:
            with sessions.begin() as session:
                planned = trend_source_store.plan_now(session, _own(session, source_id), cap)
        except Permanent as error:
            raise Failed(error.message) from None
    if planned.state == RunState.SKIPPED:
        raise Failed(planned.error_message or "")
    if json:
        print_json(_facts(planned))
    else:
        print_line(f"run {planned.id} is planned; at most {_usd(planned.max_charge_micro_usd)} are put aside for it")


@sources.command()
def pause(source_id: Id, json: AsJson = False) -> None:
    """The schedule passes a source over until `sources resume`."""
    _change(source_id, Changes(state=SourceState.PAUSED), as_json=json)


@sources.command()
def resume(source_id: Id, json: AsJson = False) -> None:
    """The schedule runs a source again; its alarms are closed and its next runs count again."""
    _change(source_id, Changes(state=SourceState.ACTIVE), as_json=json, release=True)


@sources.command("set")
def change(
    source_id: Id,
    cron: Annotated[str | None, typer.Option(help="five fields, UTC")] = None,
    max_items: Annotated[int | None, typer.Option(help="most posts of one run")] = None,
    max_usd: Annotated[float | None, typer.Option(help="most that one run may cost, in dollars")] = None,
    build: Annotated[str | None, typer.Option(help="the actor's build, such as 0.0.512 or latest")] = None,
    json: AsJson = False,
) -> None:
    """Change a source."""
    charge = None if max_usd is None else round(max_usd * 1_000_000)
    changes = Changes(cron=cron, max_items=max_items, max_charge_micro_usd=charge, build=build)
    _change(source_id, changes, as_json=json)


def _change(source_id: uuid.UUID, changes: Changes, *, as_json: bool, release: bool = False) -> None:
    closed = 0
    with ledger("sources") as sessions:
        try:
            with sessions.begin() as session:
                source = _own(session, source_id)
                trend_source_store.change(session, source, changes)
                if release:
                    closed = trend_verdicts.release(session, source_id) or 0
                    session.refresh(source)
        except Permanent as error:
            raise Failed(error.message, 2) from None
    if as_json:
        print_json({**_facts(source), "closed_alarms": closed})
    else:
        alarms = f"; {closed} alarms are closed" if closed else ""
        following = f"{source.next_run_at:%Y-%m-%d %H:%M} UTC"
        print_line(f"{source.platform} {source.query} is {source.state}, next at {following}{alarms}")


def _own(session: Any, source_id: uuid.UUID) -> TrendSource:
    source = trend_source_store.hold_own(session, source_id, None)
    if source is None:
        raise Failed(f"There is no source {source_id}; see huntaze sources list.")
    return source


@sources.command()
def runs(source_id: Id, limit: Annotated[int, typer.Option(min=1, max=1000)] = 20, json: AsJson = False) -> None:
    """Show the runs of a source, newest first."""
    with ledger("sources") as sessions, sessions() as session:
        found = trend_run_store.runs_of(session, source_id, limit)
    if json:
        print_json([_facts(one) for one in found])
        return
    rows = [
        (one.id, f"{one.slot:%m-%d %H:%M}", _told(one), one.posts_new, one.quarantined, "yes" if one.feeds else "no")
        for one in found
    ]
    print_table(["id", "slot", "what became of it", "new", "quarantined", "counted"], rows, "there are no runs")


@sources.command()
def alarms(json: AsJson = False) -> None:
    """Show sources whose rows are not as usual: they are held back from detection until `sources resume`."""
    with ledger("sources") as sessions, sessions() as session:
        found = trend_verdicts.open_alarms(session)
    if json:
        print_json([vars(one) for one in found])
        return
    rows = [(one.source_id, f"{one.created_at:%m-%d %H:%M}", str(one)) for one in found]
    print_table(["id", "since", "what is wrong"], rows, "no alarm is open")


@sources.command()
def budget(json: AsJson = False) -> None:
    """Show what scraping has cost this month, and what is put aside."""
    cap = settings_here("apify").apify.monthly_cap_micro_usd
    with ledger("sources") as sessions, sessions() as session:
        now = scrape_budget.spend(session)
    left = max(cap - now.spent - now.reserved, 0)
    if json:
        facts = {"month": now.month, "cap": cap, "spent": now.spent, "reserved": now.reserved, "left": left}
        print_json({f"{name}_micro_usd" if name != "month" else name: value for name, value in facts.items()})
        return
    rows = [(name, _usd(value)) for name, value in (("cap", cap), ("spent", now.spent), ("reserved", now.reserved))]
    print_table([f"{now.month:%Y-%m}", ""], [*rows, ("left", _usd(left))], "")


@sources.command()
def forget(
    platform: Annotated[Platform, typer.Argument(help="whose author")],
    handle: Annotated[str, typer.Argument(help="the author's name there, with or without @")],
    json: AsJson = False,
) -> None:
    """Delete all that is kept of an author, and keep out what is scraped later. The name itself is written nowhere."""
    written = settings_here("apify").apify.author_keys
    if written is None:
        raise Failed("HUNTAZE_APIFY_AUTHOR_KEYS is not set: without it no author can be found.", 2)
    keys = parse_keys(written.get_secret_value()).all_keys(platform, handle)
    if not keys:
        raise Failed(f"{handle!r} names nobody.", 2)
    with ledger("sources") as sessions:
        made = _enqueue(sessions, TrendsForget(author_keys=[key.hex() for key in keys]))
    if json:
        print_json({"job_id": made})
    else:
        print_line(f"job {made} deletes what there is; huntaze jobs show {made}")


def _enqueue(sessions: Sessions, args: TrendsForget) -> uuid.UUID:
    with sessions.begin() as session:
        return job_enqueue.enqueue(session, args).job.id
