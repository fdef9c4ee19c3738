"""`huntaze analytics`: where counting stands; count now, or again; a log read in; a person erased."""

import uuid
from dataclasses import asdict
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress
from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.cli.here import ledger
from huntaze.cli.moments import MOMENT, parse_moment, rough_length
from huntaze.cli.output import Failed, live_progress, print_json, print_line, print_table
from huntaze.models import (
    analytics_cursor,
    analytics_erasure,
    analytics_facts,
    analytics_partitions,
    analytics_periods,
    analytics_rollups,
    analytics_sources,
    job_enqueue,
    job_store,
)
from huntaze.models.database import Sessions
from huntaze.models.job_args import AnalyticsErase
from huntaze.models.users import User
from huntaze.pipelines.analytics.buckets import month_start
from huntaze.pipelines.analytics.weblog import BadLine, read_combined

analytics = typer.Typer(no_args_is_help=True, help="See and steer the counting of facts.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Handle = Annotated[str, typer.Option("--creator", help="the creator's handle")]

_BATCH = 5000  # lines of a log in one transaction
_DAY = timedelta(days=1)


@analytics.command()
def status(json: AsJson = False) -> None:
    """Show how far counting is behind, and the months of facts that are kept."""
    with ledger("analytics") as sessions, sessions() as session:
        found, months = analytics_cursor.status(session), analytics_partitions.months(session)
        now = job_store.db_now(session)
    if json:
        print_json({**asdict(found), "months": [{"month": f"{m.start:%Y-%m}", **asdict(m)} for m in months]})
        return
    most = analytics_cursor.COUNTED
    counts = {"own events to take": found.rows_heard, "facts not counted": found.new_facts}
    counts |= {"buckets to count anew": found.dirty_buckets}
    counts |= {"buckets whose day is due": found.stale_buckets, "months that are due": found.stale_months}
    rows: list[tuple[object, ...]] = [(name, f"{n:,}{'+' if n == most else ''}") for name, n in counts.items()]
    ago = "never" if found.rolled_at is None else f"{rough_length((now - found.rolled_at).total_seconds())} ago"
    kept = "all there ever were" if found.facts_from is None else f"from {found.facts_from:%Y-%m-%d}"
    print_table(["", ""], [("counted last", ago), *rows, ("raw facts kept", kept)], "")
    rows = [(f"{month.start:%Y-%m}", f"{month.facts:,}", f"{month.bytes / 2**20:,.1f}") for month in months]
    print_line("")
    print_table(["month", "facts, about", "MiB"], rows, "there are no facts")


@analytics.command()
def rollup(json: AsJson = False) -> None:
    """Count all that is new now, as the schedule does every minute; days and months too."""
    with ledger("analytics") as sessions, live_progress() as progress:
        done = _count(sessions, progress)
    _print_counted(done, json)


def _print_counted(done: dict[str, int], json: bool) -> None:
    if json:
        print_json(done)
    else:
        print_line("counted " + ", ".join(f"{name}: {count:,}" for name, count in done.items()))


def _count(sessions: Sessions, progress: Progress) -> dict[str, int]:
    """{what: how many}. Small transactions: Ctrl-C keeps what was done."""
    done = dict.fromkeys(("facts", "buckets", "days", "months"), 0)
    task = progress.add_task("counting", total=None)
    for step in (_take, _roll, _days, _months):
        more = True
        while more:
            with sessions.begin() as session:
                counted, more = step(session)
            done = {name: count + counted.get(name, 0) for name, count in done.items()}
            progress.update(task, description=f"counting: {done['facts']:,} facts, {done['buckets']:,} buckets")
    progress.remove_task(task)
    return done


def _take(session: Session) -> tuple[dict[str, int], bool]:
    return {}, analytics_sources.take(session).more


def _roll(session: Session) -> tuple[dict[str, int], bool]:
    turn = analytics_rollups.roll(session, wait=True)
    assert turn is not None  # it waited
    return {"facts": turn.facts, "buckets": turn.buckets}, turn.more


def _days(session: Session) -> tuple[dict[str, int], bool]:
    turn = analytics_periods.settle(session, wait=True)
    assert turn is not None
    return {"days": turn.periods}, turn.more


def _months(session: Session) -> tuple[dict[str, int], bool]:
    turn = analytics_periods.settle_months(session, wait=True)
    assert turn is not None
    return {"months": turn.periods}, turn.more


@analytics.command()
def rebuild(
    start: Annotated[str, typer.Option("--from", help=f"the first moment; {MOMENT}")],
    end: Annotated[str, typer.Option("--to", help="the moment after the last")],
    json: AsJson = False,
) -> None:
    """Count again all that happened from --from until before --to. It comes to the same, byte for byte, unless
    somebody has changed the figures by hand. May be broken off and repeated at any time."""
    begin, finish = parse_moment(start, "--from"), parse_moment(end, "--to")
    if begin >= finish:
        raise Failed("--from must be before --to.", 2)
    with ledger("analytics") as sessions, live_progress() as progress:
        with sessions() as session:
            kept = analytics_cursor.facts_from(session)
            months = analytics_partitions.months(session)
        if kept is not None and begin < kept:
            raise Failed(f"--from {start}: raw facts are kept from {kept:%Y-%m-%d} on; what is older is final.", 2)
        done = _rebuild(sessions, progress, begin, finish, {month.start for month in months})
    _print_counted(done, json)


def _rebuild(
    sessions: Sessions, progress: Progress, begin: datetime, finish: datetime, months: set[date]
) -> dict[str, int]:
    """A day at a time: nobody who counts waits for more."""
    done: dict[str, int] = {}
    day, total = begin, (finish - begin) / _DAY
    task = progress.add_task("rebuilding", total=total)
    while day < finish:
        if month_start(day.date()) in months:
            with sessions.begin() as session:
                analytics_rollups.mark(session, day, min(day + _DAY, finish))
            counted = _count(sessions, progress)
            done = {name: count + done.get(name, 0) for name, count in counted.items()}
        day += _DAY
        progress.update(task, advance=1, description=f"rebuilding: {day:%Y-%m-%d}")
    return done or dict.fromkeys(("facts", "buckets", "days", "months"), 0)


@analytics.command("import")
def import_log(
    file: Annotated[Path, typer.Argument(help="a web server's log", exists=True, dir_okay=False)],
    creator: Handle,
    form: Annotated[Literal["combined"], typer.Option("--format", help="how a line is laid out")] = "combined",  # noqa: ARG001
    json: AsJson = False,
) -> None:
    """Read a log into facts of web.requests: status, bytes, and each address as a pseudonym. A line counts once,
    however often its log is read."""
    with ledger("analytics") as sessions, live_progress() as progress:
        creator_id = _creator(sessions, creator)
        task = progress.add_task(f"reading {file.name}", total=None)
        taken = {"accepted": 0, "repeated": 0}
        with file.open(encoding="utf-8", errors="replace") as lines:
            facts = read_combined(lines)
            try:
                while batch := list(islice(facts, _BATCH)):
                    with sessions.begin() as session:
                        _refuse_dropped(session, min(fact.occurred_at for fact in batch), file)
                        loaded = analytics_facts.load(session, creator_id, batch)
                    taken["accepted"] += loaded.accepted
                    taken["repeated"] += loaded.repeated
                    progress.update(task, description=f"reading {file.name}: {sum(taken.values()):,} lines")
            except BadLine as error:
                before = sum(taken.values())
                raise Failed(
                    f"{file}: {error}. {before:,} lines before it are in; mend it and read it again."
                ) from None
        progress.remove_task(task)
        done = _count(sessions, progress)
    if json:
        print_json({**taken, **done})
        return
    print_line(f"{taken['accepted']:,} lines are new, {taken['repeated']:,} were known")
    _print_counted(done, json)


def _refuse_dropped(session: Session, first: datetime, file: Path) -> None:
    kept = analytics_cursor.facts_from(session)
    if kept is not None and first < kept:
        raise Failed(f"{file}: its requests of {first:%Y-%m-%d} are too old: facts are kept from {kept:%Y-%m-%d} on.")


def _creator(sessions: Sessions, handle: str) -> uuid.UUID:
    with sessions() as session:
        found = session.scalars(select(User.id).where(User.handle == handle)).one_or_none()
    if found is None:
        raise Failed(f"There is no creator {handle}; huntaze keys create {handle} makes one.")
    return found


@analytics.command()
def erase(
    person: Annotated[str, typer.Argument(help="the name that the person's events had")],
    creator: Annotated[str | None, typer.Option(help="of this creator's events alone; default: of all")] = None,
    json: AsJson = False,
) -> None:
    """Delete one person's data from facts and figures. A job does it; its result is the receipt."""
    with ledger("analytics") as sessions:
        creator_id = None if creator is None else _creator(sessions, creator)
        with sessions.begin() as session:
            erasure = analytics_erasure.ask(session, creator_id, person)
            args = AnalyticsErase(erasure_id=erasure.id)
            made = job_enqueue.enqueue(session, args, creator_id=creator_id, subject_id=erasure.id)
    if json:
        print_json({"erasure_id": erasure.id, "job_id": made.job.id})
    else:
        print_line(
            f"{made.job.id} is {made.job.state}; huntaze jobs show {made.job.id} has the receipt when it is done"
        )
