"""What real processes tell of themselves: figures that outlive a pool's children, lines that name their job."""

import json
import os
import signal
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from huntaze.cli.stack.ports import HeldPort
from huntaze.models.jobs import Job, JobState
from tests.acceptance.conftest import Processes
from tests.acceptance.kinds import Frames, Hold, Poison
from tests.acceptance.ledger import Ledger
from tests.waiting import until

Figures = dict[str, float]


@pytest.fixture
def ports() -> list[int]:
    """Two that are free."""
    with ExitStack() as held:
        return [held.enter_context(HeldPort()).number for _ in range(2)]


def scrape(port: int) -> Figures:
    """{series: value}, but for the times at which series began."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {series: float(value) for series, value in lines if "_created" not in series}


def started(figures: Figures, kind: str) -> float:
    return figures[f'huntaze_attempts_started_total{{kind="{kind}"}}']


def ended(figures: Figures, kind: str, outcome: str) -> float:
    return figures[f'huntaze_attempts_ended_total{{kind="{kind}",outcome="{outcome}"}}']


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes of a node's pool."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in listed]


def shared_memory(process: subprocess.Popen[bytes]) -> int:
    """How many pieces of memory a process shares with its children."""
    return Path(f"/proc/{process.pid}/maps").read_text().count("/dev/zero")


def holds_port(pid: int, port: int) -> bool:
    listening = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
    }
    assert listening, "somebody listens"
    links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists()}
    return any(f"socket:[{inode}]" in links for inode in listening)


def lines(fleet: Processes) -> list[dict[str, Any]]:
    """All that the processes wrote: JSON, every line of it."""
    text = "".join(path.read_text() for path in sorted(fleet.folder.glob("*.log")))
    return [json.loads(line) for line in text.splitlines()]


def running(ledger: Ledger, job: Job) -> int:
    """The pid of the child that runs a job, once one does."""
    until(lambda: ledger.job(job).state == JobState.RUNNING, f"{job.kind} to run")
    return int(str(ledger.job(job).worker).rpartition("/")[2].partition(".")[0])


def test_what_killed_children_counted_stays_counted(fleet: Processes, ledger: Ledger, ports: list[int]) -> None:
    node_port, dispatcher_port = ports
    fleet.dispatcher(HUNTAZE_WORKER_METRICS_PORT=str(dispatcher_port))
    quick = {"HUNTAZE_WORKER_LEASE_S": "1", "HUNTAZE_WORKER_METRICS_PORT": str(node_port)}
    node = fleet.worker("video", 2, **quick)
    ledger.ended([ledger.enqueue(Frames(seconds=0)) for _ in range(6)], "the first jobs to be done")
    before, memory, first = scrape(node_port), shared_memory(node), set(children(node))
    assert (started(before, "test.frames"), ended(before, "test.frames", "succeeded")) == (6, 6)
    assert memory > 0, "the figures are found there"
    assert before["huntaze_worker_slots"] == 2

    ledger.ended([ledger.enqueue(Poison())], "the poison to be shelved")
    for child in first & set(children(node)):
        os.kill(child, signal.SIGKILL)
    until(lambda: len(set(children(node)) - first) == 2, "all children to be new ones")
    ledger.ended([ledger.enqueue(Frames(seconds=0)) for _ in range(4)], "their jobs to be done")

    after = scrape(node_port)
    assert (started(after, "test.frames"), ended(after, "test.frames", "succeeded")) == (10, 10)
    assert after['huntaze_attempt_seconds_count{kind="test.frames"}'] == 10
    assert after['huntaze_job_wait_seconds_bucket{kind="test.frames",le="+Inf"}'] == 10
    assert started(after, "test.poison") == 3, "what a child counted right before its death"
    assert after['huntaze_job_wait_seconds_count{kind="test.poison"}'] == 1, "a lost attempt is no wait"
    assert after.keys() == before.keys(), "nothing is kept of a process that is gone"
    until(lambda: scrape(node_port)["huntaze_worker_running"] == 0, "no job to be taken for running")
    assert shared_memory(node) == memory
    assert not any(holds_port(child, node_port) for child in children(node)), "the next node gets the port"
    figures = scrape(dispatcher_port)
    assert ended(figures, "test.poison", "crashed") == 3
    assert figures['huntaze_hints_sent_total{queue="video"}'] >= 13


def test_what_a_stop_broke_off_is_counted_by_who_takes_it_up(
    fleet: Processes, ledger: Ledger, ports: list[int], tmp_path: Path
) -> None:
    fleet.dispatcher()
    node = fleet.worker("video", HUNTAZE_WORKER_GRACE_S="0.2", HUNTAZE_WORKER_METRICS_PORT=str(ports[0]))
    job = ledger.enqueue(Frames(file=tmp_path / "go"))
    running(ledger, job)
    assert scrape(ports[0])["huntaze_worker_running"] == 1
    node.send_signal(signal.SIGTERM)
    node.wait(10)
    fleet.worker("video", HUNTAZE_WORKER_METRICS_PORT=str(ports[0]))  # the port is free again
    (tmp_path / "go").touch()
    ledger.ended([job], "the job to be done by the next node")
    until(lambda: ended(scrape(ports[0]), "test.frames", "succeeded"), "it to be counted")
    assert ended(scrape(ports[0]), "test.frames", "handed_back") == 1


def test_a_port_that_is_taken_costs_the_figures_alone(fleet: Processes, ledger: Ledger, ports: list[int]) -> None:
    fleet.dispatcher(HUNTAZE_WORKER_METRICS_PORT=str(ports[0]))
    fleet.worker("video,default", HUNTAZE_WORKER_METRICS_PORT=str(ports[0]))
    ledger.ended([ledger.enqueue(Frames(seconds=0))], "a job to be done")
    assert [line["address"] for line in lines(fleet) if line["event"].startswith("no metrics")] == [
        f"127.0.0.1:{ports[0]}"
    ]


def test_every_line_of_a_job_names_it(fleet: Processes, ledger: Ledger) -> None:
    fleet.dispatcher()
    fleet.worker("video", 1, HUNTAZE_WORKER_LEASE_S="1")
    fleet.worker("default", 4)
    done = ledger.ended([ledger.enqueue(Frames(seconds=0)), ledger.enqueue(Hold(seconds=0))], "jobs to be done")
    poison = ledger.ended([ledger.enqueue(Poison())], "the poison to be shelved")[0]

    def told() -> list[dict[str, Any]]:
        return [line for line in lines(fleet) if line["event"].startswith("Task handler raised error")]

    until(lambda: len(told()) >= 3, "Celery to tell of the dead children")
    for job in done:
        own = [line for line in lines(fleet) if line.get("job_id") == str(job.id)]
        assert {"job started", "job succeeded"} <= {line["event"] for line in own}
        for line in own:
            named = (line["kind"], line["attempt"], line["creator_id"])
            assert named == (job.kind, 1, str(ledger.creator.id)), line
    assert all((line["job_id"], line["kind"]) == (str(poison.id), "test.poison") for line in told())
