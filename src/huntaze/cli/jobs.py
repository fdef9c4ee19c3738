"""`huntaze jobs`: the ledger, for operators."""

import uuid
from typing import Annotated, Any

import typer

from huntaze.cli.here import settings_here
from huntaze.cli.output import Failed, out, print_json, print_table, reachable
from huntaze.models import job_store
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.models.jobs import Job, JobState
from huntaze.pipelines.errors import HuntazeError

jobs = typer.Typer(no_args_is_help=True, help="List, show, retry and cancel jobs.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
JobId = Annotated[uuid.UUID, typer.Argument(help="as `jobs list` shows")]


def _sessions() -> Sessions:
    url = settings_here("database").database.sqlalchemy_url
    return build_sessions(build_engine(url, pool_size=1, application="huntaze-jobs"))


def _facts(job: Job) -> dict[str, Any]:
    return {column.key: getattr(job, column.key) for column in Job.__table__.columns}


@jobs.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="only these")] = None,
    kind: Annotated[str | None, typer.Option(help="only these, e.g. video.extract")] = None,
    error: Annotated[str | None, typer.Option(help="only those with this error code")] = None,
    creator: Annotated[uuid.UUID | None, typer.Option(help="only this creator's")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show jobs, newest first."""
    with reachable(), _sessions()() as session:
        found = job_store.search(session, creator_id=creator, state=state, kind=kind, error_code=error, limit=limit)
    if json:
        print_json([_facts(job) for job in found])
        return
    rows = [
        (
            j.id,
            j.kind,
            j.state,
            f"{j.progress:.0%}",
            j.attempt,
            j.error_code,
            j.created_at.strftime("%Y-%m-%d %H:%M:%S"),
        )
        for j in found
    ]
    print_table(
        ["id", "kind", "state", "progress", "attempt", "error", "created (UTC)"], rows, "there are no such jobs"
    )


@jobs.command()
def show(job_id: JobId, json: AsJson = False) -> None:
    """Show one job with its attempts, stage timings and tracebacks."""
    with reachable(), _sessions()() as session:
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
def retry(job_id: JobId) -> None:
    """Take a failed job from the shelf: it runs again, with all its attempts."""
    _act(job_id, job_store.replay, "waiting again")


@jobs.command()
def cancel(job_id: JobId) -> None:
    """Cancel a job that waits; ask one that runs to stop at its next checkpoint."""
    _act(job_id, job_store.cancel, "")


def _act(job_id: uuid.UUID, action: Any, words: str) -> None:
    try:
        with reachable(), _sessions().begin() as session:
            job: Job | None = action(session, job_id)
    except HuntazeError as error:
        raise Failed(error.message) from None
    if job is None:
        raise Failed(f"There is no job {job_id}.")
    asked = " (asked to stop)" if job.state == JobState.RUNNING and job.cancel_requested_at else ""
    out.print(f"{job_id} is {words or job.state}{asked}")
