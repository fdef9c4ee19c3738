"""`huntaze batches`: jobs that were asked for together, for operators."""

import uuid
from typing import Annotated, Any

import typer

from huntaze.cli.here import ledger
from huntaze.cli.output import WIDE, Failed, out, print_json, print_table
from huntaze.models import batch_store
from huntaze.models.batches import Batch
from huntaze.models.jobs import JobState

batches = typer.Typer(no_args_is_help=True, help="List and show batches.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
_ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


def _facts(batch: Batch) -> dict[str, Any]:
    return {column.key: getattr(batch, column.key) for column in Batch.__table__.columns}


@batches.command("list")
def list_batches(
    creator: Annotated[uuid.UUID | None, typer.Option(help="only this creator's")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show batches, newest first."""
    with ledger("batches") as sessions, sessions() as session:
        found = batch_store.search(session, creator_id=creator, limit=limit)
    if json:
        print_json([_facts(batch) for batch in found])
        return
    wide = out.width >= WIDE
    rows = [(batch.id, batch.total, *(getattr(batch, end) for end in _ENDS)) for batch in found]
    more = [(_when(batch, "ended_at"), _when(batch, "created_at"), batch.name) for batch in found]
    rows = [(*row, *rest) for row, rest in zip(rows, more, strict=True)] if wide else rows
    columns = ["id", "jobs", *_ENDS, *(["ended (UTC)", "created (UTC)", "name"] if wide else [])]
    print_table(columns, rows, "there are no such batches")


def _when(batch: Batch, column: str) -> str:
    moment = getattr(batch, column)
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


@batches.command()
def show(batch_id: Annotated[uuid.UUID, typer.Argument(help="as `batches list` shows")], json: AsJson = False) -> None:
    """Show one batch, and where its jobs stand: of each chain the last."""
    with ledger("batches") as sessions, sessions() as session:
        batch = batch_store.get(session, batch_id)
        now = {} if batch is None else batch_store.count_states(session, batch_id)
    if batch is None:
        raise Failed(f"There is no batch {batch_id}.")
    if json:
        print_json({**_facts(batch), "now": now})
        return
    facts = [(name, value) for name, value in _facts(batch).items() if value is not None]
    print_table(["", ""], [*facts, *((f"{state} now", count) for state, count in now.items() if count)], "")
