"""`huntaze periodic`: where the schedule stands; one slot by hand, or all that a range lacks."""

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from huntaze.beat_schedule import SCHEDULE, Entry
from huntaze.cli.here import ledger, settings_here
from huntaze.cli.moments import MOMENT, parse_moment, rough_length
from huntaze.cli.output import WIDE, Failed, err, out, print_json, print_line, print_table
from huntaze.models import job_store, periodic_store
from huntaze.models.database import Sessions
from huntaze.pipelines.periodic.slots import latest_slot, next_slot, slots, slots_between

periodic = typer.Typer(no_args_is_help=True, help="See the schedule; run its slots by hand.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
EntryName = Annotated[str, typer.Argument(metavar="ENTRY", help="as `periodic list` shows")]

GRACE = timedelta(minutes=5)  # what the clock's sweep may take until a slot has its job
_CHUNK = 500  # slots in one transaction: an interrupted backfill keeps what it has made
_MOST = 10_000  # slots in one backfill
_COUNTED = 1_000_000  # a range that holds more is told so, not counted
_BEHIND = 10  # the priority of slots that are made up for: what is due now goes first


@dataclass(frozen=True)
class EntryFacts:
    """One line of the schedule. `last_slot`: up to where the clock has come, None if it never saw the entry; the job
    is that slot's, if there still is one. `late_s`: the age of the oldest slot that is due and has no job."""

    entry: str
    kind: str
    cron: str
    catch_up: str
    last_slot: datetime | None
    job_id: uuid.UUID | None
    job_state: str | None
    next_slot: datetime | None
    late_slot: datetime | None
    late_s: float | None

    @property
    def trouble(self) -> str:
        """A sentence where the clock has not done its part. What it has not seen yet is not late: a fleet that has just
        started sees its schedule within five minutes, and `doctor` looks after beat and workers."""
        if self.late_slot is not None and self.late_s is not None:
            return f"{self.entry} is {rough_length(self.late_s)} late: no job for {show_slot(self.late_slot)}"
        return ""


def show_slot(slot: datetime) -> str:
    """As `--slot` takes it."""
    return f"{slot:%Y-%m-%dT%H:%MZ}"


def facts_of(session: Session) -> list[EntryFacts]:
    """Where each entry of the schedule stands."""
    now, last_slots = job_store.db_now(session), periodic_store.last_slots(session)
    return [_facts(session, name, entry, last_slots.get(name), now) for name, entry in SCHEDULE.items()]


def _facts(session: Session, name: str, entry: Entry, last: datetime | None, now: datetime) -> EntryFacts:
    job = periodic_store.jobs_of(session, name, [last]).get(last) if last else None
    late = _late_slot(session, name, entry, last, now) if last else None
    return EntryFacts(
        entry=name,
        **asdict(entry),
        last_slot=last,
        job_id=job.id if job else None,
        job_state=job.state if job else None,
        next_slot=next_slot(entry.cron, now),
        late_slot=late,
        late_s=(now - late).total_seconds() if late else None,
    )


def _late_slot(session: Session, name: str, entry: Entry, last: datetime, now: datetime) -> datetime | None:
    """The oldest slot that the clock should have reached by now and that has no job, by hand or otherwise."""
    for chunk in _chunks(slots(entry.cron, last, now - GRACE)):
        having = periodic_store.jobs_of(session, name, chunk)
        for slot in chunk:
            if slot not in having:
                return slot
    return None


def _chunks(due: Iterator[datetime]) -> Iterator[list[datetime]]:
    while chunk := list(islice(due, _CHUNK)):
        yield chunk


@periodic.command("list")
def list_entries(json: AsJson = False) -> None:
    """Show each entry: when it ran last and runs next, and whether it is late. All times are UTC."""
    with ledger("periodic") as sessions, sessions() as session:
        found = facts_of(session)
    if json:
        print_json([asdict(one) for one in found])
        return
    wide = out.width >= WIDE
    columns = ["entry", *(["kind", "cron", "catch up"] if wide else []), "last slot"]
    columns += [*(["job"] if wide else []), "its job is", "next slot", ""]
    rows = [
        (
            one.entry,
            *((one.kind, one.cron, one.catch_up) if wide else ()),
            show_slot(one.last_slot) if one.last_slot else "never",
            *((one.job_id,) if wide else ()),
            one.job_state,
            show_slot(one.next_slot) if one.next_slot else "never",
            f"{rough_length(one.late_s)} late" if one.late_s else "",
        )
        for one in found
    ]
    print_table(columns, rows, "the schedule is empty", whole=("entry", "job", "last slot", "next slot"))


@periodic.command("run")
def run_slot(
    name: EntryName,
    slot: Annotated[str | None, typer.Option(help=f"default: the latest that has come; {MOMENT}")] = None,
    again: Annotated[bool, typer.Option("--again", help="once more, though the slot has its job")] = False,
    json: AsJson = False,
) -> None:
    """Insert the job of one slot, which is the job's "now". A slot that has its job gets no second one.

    With --again it gets one more, whose dedupe key ends in #2, #3, and so on.
    """
    entry = _entry(name)
    with ledger("periodic") as sessions, sessions.begin() as session:
        chosen = _chosen(name, entry, slot, job_store.db_now(session))
        make = periodic_store.enqueue_again if again else periodic_store.enqueue_slot
        made = make(session, name, entry.kind, chosen)
    if json:
        shown = {"entry": name, "slot": chosen, "job_id": made.job.id, "state": made.job.state}
        print_json({**shown, "dedupe_key": made.job.dedupe_key, "created": made.created})
    elif made.created:
        print_line(f"{made.job.id} is {made.job.state}, for the slot {show_slot(chosen)}")
    else:
        job = f"{made.job.id} ({made.job.state})"
        print_line(f"The slot {show_slot(chosen)} has its job already: {job}. --again runs it once more.")


def _entry(name: str) -> Entry:
    if name not in SCHEDULE:
        raise Failed(f"There is no entry {name}; there are: {', '.join(sorted(SCHEDULE))}.", 2)
    return SCHEDULE[name]


def _chosen(name: str, entry: Entry, text: str | None, now: datetime) -> datetime:
    """The slot that is meant. Raises Failed for a time that is none, or has not come."""
    moment = now if text is None else parse_moment(text, "--slot")
    found, following = latest_slot(entry.cron, moment), next_slot(entry.cron, moment)
    if text is not None and found != moment:
        nearest = " and ".join(show_slot(one) for one in (found, following) if one)
        raise Failed(f"{text} is no slot of {name} ({entry.cron}, UTC). The nearest are {nearest}.", 2)
    if found is None:
        raise Failed(f"No slot of {name} ({entry.cron}, UTC) has come yet.", 2)
    if found > now:
        raise Failed(f"The slot {show_slot(found)} has not come yet; it is {show_slot(now)} now.", 2)
    return found


@periodic.command()
def backfill(
    name: EntryName,
    start: Annotated[str, typer.Option("--from", help=f"the first moment; {MOMENT}")],
    end: Annotated[str, typer.Option("--to", help="the moment after the last")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count")] = False,
    json: AsJson = False,
) -> None:
    """Insert a job for each slot from --from until before --to that has none, behind all that is due now.

    May be repeated or interrupted at any time. The clock's own position stays as it is.
    """
    entry, begin, finish = _entry(name), parse_moment(start, "--from"), parse_moment(end, "--to")
    if begin >= finish:
        raise Failed("--from must be before --to.", 2)
    with ledger("periodic") as sessions:
        with sessions() as session:
            now = job_store.db_now(session)
        wanted = _range(name, entry, begin, finish, now)
        _warn_of_forgotten(wanted, now)
        made = _make_up(sessions, name, entry, wanted, dry_run=dry_run)
    if json:
        shown: dict[str, Any] = {"entry": name, "from": begin, "to": finish, "slots": len(wanted)}
        print_json({**shown, "missing" if dry_run else "made": made, "had_one": len(wanted) - made})
        return
    jobs = "1 job" if made == 1 else f"{made} jobs"
    verb = "would be made" if dry_run else "made"
    print_line(f"{jobs} {verb}; {len(wanted) - made} of {len(wanted)} slots had one")


def _range(name: str, entry: Entry, begin: datetime, finish: datetime, now: datetime) -> list[datetime]:
    """The slots of a range. Raises Failed if one has not come yet, or there are too many."""
    ahead = next((slot for slot in slots_between(entry.cron, max(begin, now), finish) if slot > now), None)
    if ahead is not None:
        raise Failed(f"The slot {show_slot(ahead)} has not come yet; it is {show_slot(now)} now.", 2)
    due = slots_between(entry.cron, begin, finish)
    wanted = list(islice(due, _MOST))
    more = sum(1 for _ in islice(due, _COUNTED - _MOST + 1))
    if more:
        told = f"more than {_COUNTED}" if more + _MOST > _COUNTED else f"{more + _MOST}"
        raise Failed(f"{name} ({entry.cron}) has {told} slots in this range; {_MOST} at a time are the most.", 2)
    return wanted


def _warn_of_forgotten(wanted: list[datetime], now: datetime) -> None:
    days = settings_here("retention").retention.shortest_days
    if wanted and wanted[0] < now - timedelta(days=days):
        message = f"Jobs that ended more than {days} days ago may have been removed: slots that had one then run again."
        err.print(message, markup=False, style="yellow", soft_wrap=True)


def _make_up(sessions: Sessions, name: str, entry: Entry, wanted: list[datetime], *, dry_run: bool) -> int:
    """Inserts what is missing, a chunk in a transaction, and tells on standard error how far it is."""
    made = seen = 0
    for chunk in _chunks(iter(wanted)):
        with sessions.begin() as session:
            having = periodic_store.jobs_of(session, name, chunk)
            missing = [slot for slot in chunk if slot not in having]
            if not dry_run:
                given = [periodic_store.enqueue_slot(session, name, entry.kind, slot, _BEHIND) for slot in missing]
                missing = [slot for slot, one in zip(missing, given, strict=True) if one.created]
        made, seen = made + len(missing), seen + len(chunk)
        err.print(f"{seen} of {len(wanted)} slots", markup=False, style="dim")
    return made
