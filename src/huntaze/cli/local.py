"""`huntaze up` and `huntaze demo`: the whole fleet on one machine."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from huntaze.cli.api_client import ApiClient, ApiError
from huntaze.cli.demo import DemoFacts, run_demo
from huntaze.cli.demo_trends import TrendFacts, run_trend_demo
from huntaze.cli.demo_trends_report import print_trend_facts
from huntaze.cli.fleet import SANDBOX_TOKEN, Fleet, PortTaken, start_fleet, start_operators
from huntaze.cli.here import DATA_DIR
from huntaze.cli.inputs import check_video
from huntaze.cli.output import Failed, live_progress, out, print_json, print_line
from huntaze.cli.report import print_facts, print_urls
from huntaze.cli.stack.errors import StackError
from huntaze.cli.stack.ports import is_free
from huntaze.cli.stack.rundir import RunDir
from huntaze.cli.stack.supervisor import Supervisor

T = TypeVar("T")

Video = Annotated[Path | None, typer.Argument(help="a video file; without one the project's own sample is drawn")]
Data = Annotated[Path, typer.Option("--data", help="the folder that keeps databases, objects, logs and pictures")]
Port = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65535, help="port of the API; without it 8000, or another if that is taken"),
]
Reset = Annotated[bool, typer.Option("--reset", help="remove all data of earlier runs first")]
AsJson = Annotated[bool, typer.Option("--json", help="print the facts as JSON")]


def up(video: Video = None, data: Data = DATA_DIR, port: Port = None, reset: Reset = False) -> None:
    """Start the whole fleet here, show a video going through it, and stay up until Ctrl-C."""
    _run(_Session(video, data, port, reset, stay=True, as_json=False))


def demo(
    video: Video = None, data: Data = DATA_DIR, port: Port = None, reset: Reset = False, json: AsJson = False
) -> None:
    """The same as `up`, then a scrape of made-up posts to trends and recommendations; and leave. Exit code 0 only if
    every stage truly ran."""
    _run(_Session(video, data, port, reset, stay=False, as_json=json))


class _Stopped(Exception):
    """Ctrl-C, or SIGTERM."""


class _Session:
    """One run of the local fleet."""

    def __init__(
        self, video: Path | None, data: Path, port: int | None, reset: bool, *, stay: bool, as_json: bool
    ) -> None:
        self.video, self.data, self.ports = video, data, {} if port is None else {"api": port}
        self.reset, self.stay, self.as_json = reset, stay, as_json

    async def run(self) -> int:
        """Returns the exit code. Raises StackError, SettingsError, ApiError, _Stopped."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        with RunDir(self.data) as run:
            for port in self.ports.values():
                if not is_free(port):
                    raise PortTaken(port)
            if self.reset:
                run.reset()
            async with Supervisor(run.logs, lock_fd=run.lock_fd) as supervisor:
                flower = None
                with live_progress() as progress:
                    task = progress.add_task("starting", total=None)

                    def note(text: str) -> None:
                        return progress.update(task, description=text)

                    starting = start_fleet(supervisor, run, self.ports, note)
                    fleet = await _unless(stop, supervisor, starting)
                    if self.stay:  # before the upload, so that Flower shows its jobs too
                        note("starting beat and Flower")
                        flower = await _unless(stop, supervisor, start_operators(supervisor, fleet))
                run.publish(_whereabouts(fleet))
                facts = await _unless(stop, supervisor, asyncio.to_thread(self._demo, fleet, run.path))
                if not self.as_json:
                    print_facts(facts)
                if not self.stay:
                    trying = asyncio.to_thread(self._trends, fleet, facts)
                    return self._show_trends(facts, await _unless(stop, supervisor, trying))
                if flower is not None:
                    print_urls(fleet, flower, run)
                    run.publish(_whereabouts(fleet, flower))  # last: whoever reads it finds all of it done
                    with suppress(_Stopped):
                        await _unless(stop, supervisor, asyncio.Event().wait())
                    out.print("Stopping.")
                return 1 if facts.problems else 0

    def _demo(self, fleet: Fleet, home: Path) -> DemoFacts:
        video = self.video or _sample(home)
        with ApiClient(fleet.api_url, fleet.key) as api, live_progress() as progress:
            task = progress.add_task("upload", total=1.0)
            note = lambda stage, fraction: progress.update(task, description=stage, completed=fraction)  # noqa: E731
            return run_demo(api, video, home / "pictures", note)

    def _trends(self, fleet: Fleet, facts: DemoFacts) -> TrendFacts | None:
        """Scrapes the sandbox, and nobody else: what a real one finds is paid for. None after a video that failed."""
        if facts.problems or fleet.environment.get("HUNTAZE_APIFY_TOKEN") != SANDBOX_TOKEN:
            return None
        with ApiClient(fleet.api_url, fleet.key) as api, live_progress() as progress:
            task = progress.add_task("trends", total=1.0)
            note = lambda stage, fraction: progress.update(task, description=stage, completed=fraction)  # noqa: E731
            return run_trend_demo(api, fleet.sessions, fleet.creator_id, note)

    def _show_trends(self, facts: DemoFacts, trends: TrendFacts | None) -> int:
        """Returns the exit code."""
        if self.as_json:
            print_json(facts.as_json() | {"trends": trends and trends.as_json()})
        elif trends is not None:
            print_trend_facts(trends)
        elif not facts.problems:
            print_line("Trends    not shown: HUNTAZE_APIFY_TOKEN is set, and a scrape would be paid for")
        return 1 if facts.problems or (trends and trends.problems) else 0


def _whereabouts(fleet: Fleet, flower: str | None = None) -> dict[str, Any]:
    """What other commands in this folder, and a second `up`, need to know."""
    urls = {"api": fleet.api_url} if flower is None else {"api": fleet.api_url, "flower": flower}
    return {"urls": urls, "environment": fleet.environment, "key": fleet.key}


async def _unless(stop: asyncio.Event, supervisor: Supervisor, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; raises _Stopped when told to stop first, ServiceFailed when a service ends by itself first."""
    task = asyncio.create_task(work)
    stopped, failed = asyncio.create_task(stop.wait()), asyncio.create_task(supervisor.failure())
    try:
        await asyncio.wait({task, stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if failed.done():
            raise failed.result()
        raise _Stopped
    finally:
        for one in (task, stopped, failed):
            one.cancel()


def _sample(home: Path) -> Path:
    path = home / "sample.mp4"
    if not path.exists():
        from huntaze.pipelines.video.sample import write_sample  # a decoder's worth of imports, once a folder

        draft = path.with_name("sample.part.mp4")
        write_sample(draft)
        draft.replace(path)
    return path


def _run(session: _Session) -> None:
    if session.video is not None:
        check_video(session.video)
    try:
        code = asyncio.run(session.run())
    except _Stopped:
        raise typer.Exit(130) from None
    except (StackError, ApiError) as error:
        raise Failed(str(error)) from None
    raise typer.Exit(code)
