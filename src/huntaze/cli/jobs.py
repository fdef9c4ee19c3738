"""`huntaze jobs`: the ledger, for operators."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from huntaze.cli.here import ledger, settings_here
from huntaze.cli.moments import LENGTH, SINCE, parse_length, parse_since, rough_length
from huntaze.cli.output import WIDE, Failed, out, print_json, print_line, print_table
from huntaze.models import job_reads, job_retention, job_store
from huntaze.models.database import Sessions
from huntaze.models.jobs import ENDED, Job, JobState
from huntaze.pipelines.errors import HuntazeError
from huntaze.setting_groups import KEEP_DAYS

jobs = typer.Typer(no_args_is_help=True, help="List, show, retry, cancel and prune jobs.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
JobId = Annotated[uuid.UUID, typer.Argument(help="as `jobs list` shows")]
_RETRIES = 50  # jobs that one `retry` by filter takes, unless told otherwise


def _facts(job: Job) -> dict[str, Any]:
    return {column.key: getattr(job, column.key) for column in Job.__table__.columns}


@jobs.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="only these")] = None,
    kind: Annotated[str | None, typer.Option(help="only these, e.g. video.extract")] = None,
    error: Annotated[str | None, typer.Option(help="only those with this error code")] = None,
    creator: Annotated[uuid.UUID | None, typer.Option(help="only this creator's")] = None,
    since: Annotated[str | None, typer.Option(help=f"created then or later: {SINCE}")] = None,
    until: Annotated[str | None, typer.Option(help=f"created before then: {SINCE}")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show jobs, newest first."""
    with ledger("jobs") as sessions, sessions() as session:
        now = job_store.db_now(session)
        found = job_reads.search(
            session,
            creator_id=creator,
            state=state,
            kind=kind,
            error_code=error,
            created_after=parse_since(since, "--since", now),
            created_before=parse_since(until, "--until", now),
            limit=limit,
        )
    if json:
        print_json([_facts(job) for job in found])
        return
    wide = out.width >= WIDE
    columns = ["id", "kind", "state", *(["progress", "attempt"] if wide else []), "error"]
    rows = [(j.id, j.kind, j.state, *((f"{j.progress:.0%}", j.attempt) if wide else ()), j.error_code) for j in found]
    when = _when if wide else _age
    rows = [(*row, when(job.created_at)) for row, job in zip(rows, found, strict=True)]
    print_table([*columns, "created (UTC)" if wide else "age"], rows, "there are no such jobs")


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _age(moment: datetime) -> str:
    """For a narrow terminal."""
    return rough_length((datetime.now(UTC) - moment).total_seconds())


@jobs.command()
def show(job_id: JobId, json: AsJson = False) -> None:
    """Show one job with its attempts, stage timings and tracebacks."""
    with ledger("jobs") as sessions, sessions() as session:
        job = job_store.get(session, job_id)
        attempts = [] if job is None else [dict(attempt) for attempt in job_store.attempts_of(session, job_id)]
    if job is None:
        raise Failed(f"There is no job {job_id}.")
    if json:
        print_json({**_facts(job), "attempts": attempts})
        return
    print_table(["", ""], [(name, value) for name, value in _facts(job).items() if value is not None], "")
    for attempt in attempts:
        out.print(
            f"\nattempt {attempt['attempt']} on {attempt['worker']}: {attempt['outcome'] or 'running'}", markup=False
        )
        for stage in attempt["stages"] or []:
            out.print(f"  {stage['name']}: {stage['seconds']:.3f} s", markup=False)
        if attempt["error"]:
            out.print(attempt["error"], markup=False, style="dim")


@jobs.command()
def retry(
    job_id: Annotated[uuid.UUID | None, typer.Argument(help="as `jobs list` shows; or name a filter")] = None,
    kind: Annotated[str | None, typer.Option(help="failed jobs of this kind")] = None,
    error: Annotated[str | None, typer.Option(help="failed jobs with this error code")] = None,
    creator: Annotated[uuid.UUID | None, typer.Option(help="this creator's failed jobs")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=1000, help=f"at most; default: {_RETRIES}")] = None,
    json: AsJson = False,
) -> None:
    """Take failed jobs from the shelf, one by its id or all that match: they run again, with all their attempts."""
    filtered = any(value is not None for value in (kind, error, creator, limit))
    if (job_id is not None) == filtered:
        raise Failed("Name one job, or at least one of --kind, --error, --creator and --limit; not both.", 2)
    if job_id is not None:
        _act(job_id, job_store.replay, "waiting again", as_json=json)
        return
    with ledger("jobs") as sessions:
        with sessions() as session:
            found = job_reads.search(
                session,
                creator_id=creator,
                state=JobState.FAILED,
                kind=kind,
                error_code=error,
                limit=limit or _RETRIES,
            )
        retried = [job.id for job in found if _replayed(sessions, job.id)]
    full = len(found) == (limit or _RETRIES)
    if json:
        print_json({"retried": retried, "limit_reached": full})
    else:
        count = "1 job is" if len(retried) == 1 else f"{len(retried)} jobs are"
        print_line(f"{count} waiting again" + (": the limit; there may be more" if full else ""))


def _replayed(sessions: Sessions, job_id: uuid.UUID) -> bool:
    """Each in a transaction of its own: many jobs' locks are not held at once. False: it has left the shelf since."""
    try:
        with sessions.begin() as session:
            return job_store.replay(session, job_id) is not None
    except HuntazeError:
        return False


@jobs.command()
def cancel(job_id: JobId, json: AsJson = False) -> None:
    """Cancel a job that waits; ask one that runs to stop at its next checkpoint."""
    _act(job_id, job_store.cancel, "", as_json=json)


def _act(job_id: uuid.UUID, action: Any, words: str, *, as_json: bool) -> None:
    try:
        with ledger("jobs") as sessions, sessions.begin() as session:
            job: Job | None = action(session, job_id)
    except HuntazeError as error:
        raise Failed(error.message) from None
    if job is None:
        raise Failed(f"There is no job {job_id}.")
    if as_json:
        print_json(_facts(job))
        return
    asked = " (asked to stop)" if job.state == JobState.RUNNING and job.cancel_requested_at else ""
    print_line(f"{job_id} is {words or job.state}{asked}")


@jobs.command()
def prune(
    older_than: Annotated[str | None, typer.Option(help=f"in place of the settings: {LENGTH}")] = None,
    state: Annotated[JobState | None, typer.Option(help="only these: succeeded, failed or cancelled")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count")] = False,
    json: AsJson = False,
) -> None:
    """Delete ended jobs that are past their time now, as the periodic job does every hour."""
    if state is not None and state not in ENDED:
        raise Failed(f"A job that is {state} has not ended; only {', '.join(ENDED)} jobs are deleted.", 2)
    age = None if older_than is None else parse_length(older_than, "--older-than")
    if age is not None and age < timedelta(days=KEEP_DAYS):
        raise Failed(f"--older-than must be {KEEP_DAYS}d or more: that long an Idempotency-Key is remembered.", 2)
    with ledger("jobs") as sessions:
        policy = settings_here("retention").retention
        with sessions() as session:
            now = job_store.db_now(session)
        before = job_retention.cutoffs(policy, now) if age is None else dict.fromkeys(ENDED, now - age)
        before = {of: moment for of, moment in before.items() if state in (None, of)}
        if dry_run:
            with sessions() as session:
                counts = {str(of): job_retention.count_jobs(session, of, before[of]) for of in before}
        else:
            counts = _sweep(sessions, job_retention.Sweep(before))
    if json:
        print_json({"dry_run": dry_run, "before": before, "would_delete" if dry_run else "deleted": counts})
        return
    rows = [(of, _when(before[JobState(of)]) if of in before else "", counts[of]) for of in counts]
    print_table(["", "ended before (UTC)", "would be deleted" if dry_run else "deleted"], rows, "")


def _sweep(sessions: Sessions, sweep: job_retention.Sweep) -> dict[str, int]:
    """A small transaction each turn: Ctrl-C keeps what was done."""
    while sweep.more:
        with sessions.begin() as session:
            sweep.turn(session)
    return dict(sweep.removed)
