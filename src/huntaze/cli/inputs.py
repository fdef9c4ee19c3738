"""What a command is given, looked at before anything is started or uploaded."""

from pathlib import Path

from huntaze.cli.output import Failed


def check_video(file: Path, *, empty: bool = False) -> None:
    """Only a regular file has an end and a size: a pipe would be waited for. Raises Failed (exit code 2)."""
    if not file.is_file():
        raise Failed(f"{file} is not a file; name a video (a pipe or a device has no end).", 2)
    if not empty and file.stat().st_size == 0:
        raise Failed(f"{file} is empty; name a file that holds a video.", 2)


def check_cells(cells: int | None) -> None:
    """Raises Failed (exit code 2) for a number of pictures that lays no square."""
    if cells is None:
        return
    from huntaze.pipelines.video.grid import SQUARES  # a picture library's worth of imports, for who asks

    if cells not in SQUARES:
        raise Failed(f"--cells must be one of {', '.join(map(str, SQUARES))}, not {cells}.", 2)
