"""`huntaze db`: the schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy import Engine

from huntaze.cli.here import settings_here
from huntaze.cli.output import out, print_json, reachable
from huntaze.models import schema
from huntaze.models.database import build_engine

db = typer.Typer(no_args_is_help=True, help="Migrate the database, or see where it stands.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@contextmanager
def _engine() -> Iterator[Engine]:
    engine = build_engine(settings_here("database").database.sqlalchemy_url, pool_size=1, application="huntaze-db")
    try:
        with reachable():
            yield engine
    finally:
        engine.dispose()


@db.command()
def upgrade(json: AsJson = False) -> None:
    """Apply all outstanding migrations. Safe to run from many places at once."""
    with _engine() as engine:
        before, after = schema.upgrade(engine)
    if json:
        print_json({"before": before, "after": after})
    else:
        out.print(f"at {after}: nothing to do" if before == after else f"{before or 'empty'} -> {after}")


@db.command()
def status(json: AsJson = False) -> None:
    """Show the database's revision and this code's. Exit code 1 where an upgrade is due."""
    with _engine() as engine:
        have, want = schema.revisions(engine)
    if json:
        print_json({"database": have, "code": want, "current": have == want})
    else:
        out.print(f"database {have or 'empty'}, code {want}" + ("" if have == want else ": run huntaze db upgrade"))
    raise typer.Exit(0 if have == want else 1)
