"""Tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from huntaze.models.database import DatabaseAway

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Failed(typer.Exit):
    """Ends the command with a sentence on standard error. 1: it did not work; 2: it was asked wrongly."""

    def __init__(self, message: str, code: int = 1) -> None:
        err.print(message, markup=False, style="red")
        super().__init__(code)


@contextmanager
def reachable() -> Iterator[None]:
    """Around what needs PostgreSQL: a sentence instead of a traceback where it is away."""
    try:
        yield
    except DatabaseAway as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise Failed(
            f"PostgreSQL cannot be reached: {reason}. Check HUNTAZE_DATABASE_URL, or run huntaze up."
        ) from None


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or a sentence where there is nothing to show."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if table.row_count:
        out.print(table)
    else:
        out.print(empty, style="dim")
