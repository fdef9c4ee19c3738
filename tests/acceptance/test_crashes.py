"""What is promised about killing things, with real processes."""

import os
import signal
from pathlib import Path

from huntaze.models import job_reads, job_store
from huntaze.models.jobs import JobState
from tests.acceptance.conftest import Gate, Processes, Videos
from tests.waiting import until


def child_pid(worker: str | None) -> int:
    """The pid in the name of a job's worker, node/pid.thread."""
    assert worker is not None
    return int(worker.rpartition("/")[2].partition(".")[0])


def test_a_killed_child_costs_one_attempt_and_leaves_one_analysis(
    processes: Processes, videos: Videos, gate: Gate, sandbox: str, sample: Path
) -> None:
    behind_gate = {"HUNTAZE_S3_ENDPOINT_URL": f"http://127.0.0.1:{gate.port}", "HUNTAZE_AI_BASE_URL": sandbox}
    processes.dispatcher()
    processes.worker(HUNTAZE_WORKER_LEASE_S="600", **behind_gate)  # which nobody waits for: the node has seen it die
    gate.shut()
    task, job = videos.enqueue(sample)
    until(gate.waiting.is_set, "the worker to be in the middle of the video")
    os.kill(child_pid(videos.job(job).worker), signal.SIGKILL)
    gate.open()
    until(lambda: videos.task(task).status == "succeeded", "the video to be analysed after all")
    until(lambda: videos.events("video.analyzed"), "the event to be placed")
    done = videos.job(job)
    assert (done.state, done.attempt, done.crashes, done.errors) == (JobState.SUCCEEDED, 2, 1, 0), processes.logs()
    assert videos.events("video.analyzed") == 1
    assert videos.events("video.extracted") == 1
    with videos.sessions() as session:
        outcomes = [attempt["outcome"] for attempt in job_store.attempts_of(session, job.id)]
        assert len(job_reads.search(session)) == 2, "one job to extract, one to analyse"
    assert outcomes == ["crashed", "succeeded"]


def test_sigterm_hands_back_what_cannot_finish_and_costs_no_attempt(
    processes: Processes, videos: Videos, gate: Gate, sample: Path
) -> None:
    processes.dispatcher()
    worker = processes.worker(HUNTAZE_S3_ENDPOINT_URL=f"http://127.0.0.1:{gate.port}", HUNTAZE_WORKER_GRACE_S="0.5")
    gate.shut()
    _, job = videos.enqueue(sample)
    until(gate.waiting.is_set, "the worker to be in the middle of the video")
    held = videos.job(job)
    worker.send_signal(signal.SIGTERM)
    worker.wait(10)
    back = videos.job(job)
    assert back.state in (JobState.WAITING, JobState.QUEUED), processes.logs()
    assert (back.errors, back.crashes, back.lease_until) == (0, 0, None)
    until(lambda: not Path(f"/proc/{child_pid(held.worker)}").exists(), "the child to be gone")


def test_sigterm_lets_a_job_finish_within_the_grace_period(
    processes: Processes, videos: Videos, gate: Gate, sample: Path
) -> None:
    processes.dispatcher()
    worker = processes.worker(HUNTAZE_S3_ENDPOINT_URL=f"http://127.0.0.1:{gate.port}", HUNTAZE_WORKER_GRACE_S="30")
    gate.shut()
    _, job = videos.enqueue(sample)
    until(gate.waiting.is_set, "the worker to be in the middle of the video")
    worker.send_signal(signal.SIGTERM)
    gate.open()
    worker.wait(30)
    assert videos.job(job).state == JobState.SUCCEEDED, processes.logs()
    assert videos.job(job).attempt == 1


def test_a_killed_dispatcher_is_replaced_by_the_next(
    processes: Processes, videos: Videos, sandbox: str, sample: Path
) -> None:
    first = processes.dispatcher()
    processes.worker(HUNTAZE_AI_BASE_URL=sandbox)
    first.kill()
    first.wait()
    task, job = videos.enqueue(sample)
    processes.dispatcher()
    until(lambda: videos.task(task).status == "succeeded", "the video to be analysed")
    assert videos.job(job).attempt == 1, "nothing was lost, so nothing ran twice"


def test_a_killed_node_is_missed_when_its_leases_run_out(
    processes: Processes, videos: Videos, gate: Gate, sandbox: str, sample: Path
) -> None:
    behind_gate = {"HUNTAZE_S3_ENDPOINT_URL": f"http://127.0.0.1:{gate.port}", "HUNTAZE_AI_BASE_URL": sandbox}
    processes.dispatcher()
    node = processes.worker(HUNTAZE_WORKER_LEASE_S="2", **behind_gate)
    gate.shut()
    task, job = videos.enqueue(sample)
    until(gate.waiting.is_set, "the worker to be in the middle of the video")
    child = child_pid(videos.job(job).worker)
    node.kill()
    os.kill(child, signal.SIGKILL)
    gate.open()
    processes.worker(**behind_gate)
    until(lambda: videos.task(task).status == "succeeded", "the video to be analysed after all", 40)
    assert (videos.job(job).attempt, videos.job(job).crashes) == (2, 1), processes.logs()
