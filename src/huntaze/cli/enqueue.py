"""`huntaze enqueue`: work for a fleet that runs, through its API."""

from pathlib import Path
from typing import Annotated, Any

import typer

from huntaze.cli.api_client import ApiClient, ApiError
from huntaze.cli.demo import run_demo
from huntaze.cli.here import DATA_DIR, api_here
from huntaze.cli.inputs import check_cells, check_video
from huntaze.cli.output import Failed, live_progress, print_json, print_line
from huntaze.cli.report import print_facts

enqueue = typer.Typer(no_args_is_help=True, help="Upload and enqueue.")


@enqueue.callback()
def _group() -> None:
    """Upload and enqueue."""


@enqueue.command()
def video(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a video file")],
    cells: Annotated[int | None, typer.Option(help="pictures on the grid: 1, 4, 9 or 16")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="follow it to its end and print the analysis")] = False,
    url: Annotated[str | None, typer.Option(envvar="HUNTAZE_API_URL", help="of the API")] = None,
    key: Annotated[str | None, typer.Option(envvar="HUNTAZE_API_KEY", help="a creator's key")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Upload FILE through a presigned URL and have it analysed."""
    check_video(file)
    check_cells(cells)
    access = api_here(url, key)
    if access is None:
        raise Failed("No fleet runs in this folder. Start one (huntaze up), or give --url and --key.", 2)
    try:
        with ApiClient(access.url, access.key) as api, live_progress() as progress:
            task = progress.add_task("upload", total=1.0)

            def note(stage: str, fraction: float) -> None:
                progress.update(task, description=stage, completed=fraction)

            if wait:
                facts = run_demo(api, file, DATA_DIR / "pictures", note, cells)
            else:
                accepted = api.analyze(api.upload(file, lambda sent, size: note("upload", sent / size)), cells)
    except ApiError as error:
        raise Failed(str(error)) from None
    if not wait:
        _print_accepted(accepted, as_json=json)
        return
    if json:
        print_json(facts.as_json())
    else:
        print_facts(facts)
    raise typer.Exit(1 if facts.problems else 0)


def _print_accepted(accepted: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(accepted)
    else:
        print_line(f"video {accepted['id']}, job {accepted['job_id']}: see huntaze jobs show {accepted['job_id']}")
