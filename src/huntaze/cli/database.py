"""`huntaze db`: the schema."""

from typing import Annotated

import typer
from sqlalchemy import Engine

from huntaze.cli.here import settings_here
from huntaze.cli.output import out, print_json, reachable
from huntaze.models import schema
from huntaze.models.database import build_engine

db = typer.Typer(no_args_is_help=True, help="Migrate the database, or see where it stands.")


def _engine() -> Engine:
    return build_engine(settings_here("database").database.sqlalchemy_url, pool_size=1, application="huntaze-db")


@db.command()
def upgrade() -> None:
    """Apply all outstanding migrations. Safe to run from many places at once."""
    with reachable():
        before, after = schema.upgrade(_engine())
    out.print(f"at {after}: nothing to do" if before == after else f"{before or 'empty'} -> {after}")


@db.command()
def status(json: Annotated[bool, typer.Option("--json", help="print JSON")] = False) -> None:
    """Show the database's revision and this code's. Exit code 1 where an upgrade is due."""
    with reachable():
        have, want = schema.revisions(_engine())
    if json:
        print_json({"database": have, "code": want, "current": have == want})
    else:
        out.print(f"database {have or 'empty'}, code {want}" + ("" if have == want else ": run huntaze db upgrade"))
    raise typer.Exit(0 if have == want else 1)
