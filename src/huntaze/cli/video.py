"""`huntaze video inspect`: the pipeline on a local file, without any fleet."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from huntaze.cli.inputs import check_cells, check_video
from huntaze.cli.output import Failed, live_progress, out, print_json, print_line
from huntaze.pipelines.errors import HuntazeError
from huntaze.pipelines.video.extract import Extraction, extract

video = typer.Typer(no_args_is_help=True, help="Look at videos here, without a fleet.")


@video.callback()
def _group() -> None:
    """Look at videos here, without a fleet."""


@video.command()
def inspect(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a video file")],
    to: Annotated[Path, typer.Option("--out", file_okay=False, help="folder for the pictures; made if missing")],
    cells: Annotated[int | None, typer.Option(help="pictures on the grid: 1, 4, 9 or 16; else by length")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Probe FILE, take frames out, lay the grid: pictures in DIR, facts on standard output."""
    check_video(file, empty=True)  # the pipeline has a code for an empty one
    check_cells(cells)
    try:
        with file.open("rb") as opened, live_progress() as progress:
            task = progress.add_task("open", total=1.0)
            found = extract(
                opened,
                size_bytes=file.stat().st_size,
                cells=cells,
                progress=lambda fraction, stage: progress.update(task, description=stage, completed=fraction),
            )
    except HuntazeError as error:
        if json:
            print_json({"file": str(file), "error": {"code": error.code, "message": error.message}})
            raise typer.Exit(1) from None
        raise Failed(f"{file}: {error.message} ({error.code})") from None
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror or error}.") from None
    try:
        paths = _write(found, to)
    except OSError as error:
        raise Failed(
            f"The pictures cannot be written to {to}: {error.strerror or error}. Name another folder with --out."
        ) from None
    facts = _facts(file, found, paths)
    if json:
        print_json(facts)
        return
    length = "unknown length" if found.facts.duration_s is None else f"{found.facts.duration_s:.2f} s"
    kind = f"{found.facts.container}, {found.facts.codec}, {found.facts.width}x{found.facts.height}, {length}"
    print_line(f"{file}: {kind}{', damaged' if found.damaged else ''}")
    out.print("frames at " + ", ".join(f"{time:.2f}" for time in found.times_s) + " s")
    for stage in found.stages:
        out.print(f"{stage.name}: {stage.seconds * 1000:.0f} ms")
    for name, path in paths.items():
        print_line(f"{name}: {path}")


def _write(found: Extraction, folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    bodies = {
        "grid.jpg": found.grid_jpeg,
        "poster.jpg": found.poster_jpeg,
        "poster.webp": found.poster_webp(),
        "preview.webp": found.preview_webp(),
        "storyboard.jpg": found.storyboard.jpeg,
        "storyboard.vtt": found.storyboard.vtt.encode(),
    }
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    return {name: folder / name for name in bodies}


def _facts(file: Path, found: Extraction, paths: dict[str, Path]) -> dict[str, Any]:
    return {
        "file": str(file),
        "media": asdict(found.facts),
        "damaged": found.damaged,
        "cut_short": found.cut_short,
        "grid": {"rows": found.grid.rows, "columns": found.grid.columns},
        "cells": [{"cell": cell.index, "time_s": round(cell.time_s, 3)} for cell in found.grid.cells],
        "poster_time_s": found.poster_time_s,
        "stages": {stage.name: round(stage.seconds, 4) for stage in found.stages},
        "pictures": {name: str(path) for name, path in paths.items()},
    }
