"""`huntaze reports`: have one made, and see those that there are."""

import uuid
from datetime import date
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.cli.here import ledger
from huntaze.cli.output import Failed, print_json, print_line, print_table
from huntaze.models import report_requests, report_store
from huntaze.models.reports import Report
from huntaze.models.users import User
from huntaze.pipelines.analytics.ranges import BadRange

reports = typer.Typer(no_args_is_help=True, help="Make and list reports of creators' figures.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
_OPTIONS = {"from": "--from", "to": "--to"}


def _day(value: str | None, option: str) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError:
        raise Failed(f"{option} {value}: this is no day; write it as 2026-10-31.", 2) from None


def _creator(session: Session, handle: str) -> uuid.UUID:
    found = session.scalars(select(User.id).where(User.handle == handle)).one_or_none()
    if found is None:
        raise Failed(f"--creator {handle}: there is no creator with this handle.", 2)
    return found


def _facts(report: Report) -> dict[str, Any]:
    return {column.key: getattr(report, column.key) for column in Report.__table__.columns}


@reports.command()
def make(
    creator: Annotated[str, typer.Option(help="the creator's handle")],
    first: Annotated[str | None, typer.Option("--from", help="first day; default: 29 days before --to")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last day, included; default: today")] = None,
    json: AsJson = False,
) -> None:
    """Have a report made of whole days of the creator's zone. A worker makes it; the creator is told."""
    start, end = _day(first, "--from"), _day(last, "--to")
    with ledger("reports") as sessions, sessions.begin() as session:
        try:
            report = report_requests.ask(session, _creator(session, creator), start, end)
        except BadRange as error:
            raise Failed(f"{_OPTIONS.get(error.field, error.field)}: {error.message}", 2) from None
        session.refresh(report)
        facts = _facts(report)
    if json:
        print_json(facts)
    else:
        print_line(f"{facts['id']}: {facts['first']} to {facts['last']} ({facts['zone']}); see huntaze reports list")


@reports.command("list")
def list_reports(
    creator: Annotated[str | None, typer.Option(help="only this creator's, by handle")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: AsJson = False,
) -> None:
    """Show reports, newest first."""
    with ledger("reports") as sessions, sessions() as session:
        owner = None if creator is None else _creator(session, creator)
        found = report_store.list_reports(session, owner, limit=limit)
        facts = [_facts(report) for report in found]
    if json:
        print_json(facts)
        return
    rows = [(one["id"], one["cadence"], one["first"], one["last"], one["zone"], one["state"]) for one in facts]
    print_table(["id", "cadence", "first", "last", "zone", "state"], rows, "there are no reports")
