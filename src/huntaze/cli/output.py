"""Tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from huntaze.models.database import DatabaseAway

_PIPE_COLUMNS = 1000  # a pipe has no width: whoever reads it wants each row on one line, whole
WIDE = 120  # columns from which on a table may show all it has
PANEL_COLUMNS = 100


def _console(*, stderr: bool = False) -> Console:
    piped = not (sys.stderr if stderr else sys.stdout).isatty() and "COLUMNS" not in os.environ
    return Console(stderr=stderr, highlight=False, width=_PIPE_COLUMNS if piped else None)


out = _console()
err = _console(stderr=True)


class Failed(typer.Exit):
    """Ends the command with a sentence on standard error. 1: it did not work; 2: it was asked wrongly."""

    def __init__(self, message: str, code: int = 1) -> None:
        err.print(message, markup=False, style="red", soft_wrap=True)
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


def live_progress() -> Progress:
    """On a terminal a live line, on anything else nothing but the result."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_line(text: str) -> None:
    """A line that may hold a path or a URL: as it is, so that it can be copied from any terminal."""
    out.print(text, markup=False, soft_wrap=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str, whole: Collection[str] = ("id", "prefix")
) -> None:
    """A table, or a sentence where there is nothing to show. Where it is narrow, the columns of `whole` stay whole."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column in whole, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if table.row_count:
        out.print(table, markup=False)
    else:
        out.print(empty, style="dim")
