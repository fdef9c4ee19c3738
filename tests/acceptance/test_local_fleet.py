"""`huntaze up` and `huntaze demo`, as a newcomer runs them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from huntaze.cli.api_client import ApiClient
from huntaze.cli.stack.rundir import published
from tests.waiting import until

HUNTAZE = str(Path(sys.executable).with_name("huntaze"))
# A newcomer has none of our variables set: everything is embedded.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("HUNTAZE_")}


@dataclass(frozen=True)
class Up:
    process: subprocess.Popen[str]
    folder: Path
    facts: dict[str, Any]

    def pids(self) -> list[int]:
        """All processes that have the folder of this fleet in their environment or command line."""
        mark = str(self.folder).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    spoken = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if mark in spoken and state not in "ZX":
                    found.append(int(entry.name))
        return found


def start_up(folder: Path, *arguments: str, **variables: str) -> Up:
    log = (folder / "up.log").open("w")
    process = subprocess.Popen(
        [HUNTAZE, "up", *arguments],
        cwd=folder,
        env={**CLEAN, "MARK": str(folder), **variables},
        stdout=log,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    log.close()

    def facts() -> dict[str, Any]:
        assert process.poll() is None, (folder / "up.log").read_text()
        found = published(folder / ".huntaze")
        return found if "flower" in found.get("urls", {}) else {}

    return Up(process, folder, until(facts, "huntaze up to be up", 120))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = start_up(tmp_path_factory.mktemp("up"))
    yield started
    started.process.send_signal(signal.SIGINT)
    started.process.wait(30)


@pytest.fixture
def api(up: Up) -> Iterator[ApiClient]:
    with ApiClient(up.facts["urls"]["api"], up.facts["key"]) as client:
        yield client


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HUNTAZE, *arguments], cwd=folder, env={**CLEAN, **variables}, capture_output=True, text=True, timeout=120
    )


def test_up_shows_the_analysis_and_where_everything_is(up: Up) -> None:
    shown = (up.folder / "up.log").read_text()
    assert "SANDBOX answer: made from pixels, no model has seen this video" in shown
    assert up.facts["urls"]["flower"] in shown
    assert up.facts["environment"]["HUNTAZE_FLOWER_PASSWORD"] in shown
    assert f"{up.facts['urls']['api']}/docs" in shown


def test_the_api_has_a_page_for_its_readers(up: Up) -> None:
    page = httpx.get(f"{up.facts['urls']['api']}/docs")
    assert page.status_code == 200
    assert "swagger" in page.text.lower()


def test_flower_shows_the_jobs_of_the_first_video_too(up: Up, api: ApiClient) -> None:
    first = {job["id"]: job["kind"] for job in api.get("/v1/jobs")["jobs"]}
    assert set(first.values()) == {"video.extract", "video.analyze"}
    login = ("ops", up.facts["environment"]["HUNTAZE_FLOWER_PASSWORD"])

    def shown() -> bool:
        tasks = httpx.get(f"{up.facts['urls']['flower']}/api/tasks", auth=login, timeout=20).json()
        return first.items() <= {id: task["name"] for id, task in tasks.items()}.items()

    until(shown, "Flower to show the jobs of the first video")


def test_flower_shows_each_job_by_kind_under_its_id(up: Up, api: ApiClient) -> None:
    jobs = {job["id"]: job["kind"] for job in api.get("/v1/jobs")["jobs"]}
    password = up.facts["environment"]["HUNTAZE_FLOWER_PASSWORD"]
    content = up.folder / "clip.mp4"
    content.write_bytes((up.folder / ".huntaze" / "sample.mp4").read_bytes())
    result = run(up.folder, "enqueue", "video", str(content), "--wait", "--json")
    assert result.returncode == 0, result.stderr
    job_id = json.loads(result.stdout)["job_id"]
    assert job_id not in jobs

    def task() -> dict[str, Any] | None:
        tasks = httpx.get(f"{up.facts['urls']['flower']}/api/tasks", auth=("ops", password), timeout=20).json()
        found: dict[str, Any] | None = tasks.get(job_id)
        return found if found and found["state"] == "SUCCESS" else None

    shown = until(task, "Flower to show the job")
    assert shown is not None
    assert shown["name"] == "video.extract"
    assert job_id in shown["args"]


def test_flower_is_shut_without_the_password(up: Up) -> None:
    for path in ("/", "/tasks", "/api/tasks"):
        assert httpx.get(up.facts["urls"]["flower"] + path).status_code == 401, path


def test_a_second_up_says_that_one_is_running_and_where(up: Up) -> None:
    second = run(up.folder, "up")
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert up.facts["urls"]["api"] in second.stderr.replace("\n", "")


def test_other_commands_find_the_fleet_of_their_folder(up: Up) -> None:
    jobs = json.loads(run(up.folder, "jobs", "list", "--json").stdout)
    assert {job["kind"] for job in jobs} >= {"video.extract", "video.analyze"}
    shown = json.loads(run(up.folder, "jobs", "show", jobs[0]["id"], "--json").stdout)
    assert shown["attempts"]
    doctor = run(up.folder, "doctor", "--json")
    findings = json.loads(doctor.stdout)
    assert doctor.returncode == 0, findings
    assert {finding["check"] for finding in findings} >= {"postgresql", "schema", "redis", "s3", "ai", "worker", "beat"}
    assert all(finding["ok"] for finding in findings), findings


def test_a_bad_video_fails_with_a_code_and_a_sentence(up: Up) -> None:
    bad = up.folder / "bad.mp4"
    bad.write_text("this is not a video")
    result = run(up.folder, "enqueue", "video", str(bad), "--wait", "--json")
    facts = json.loads(result.stdout)
    assert result.returncode == 1
    assert facts["state"] == "failed"
    assert facts["error"]["code"] == "media.unreadable"
    assert facts["error"]["message"].endswith(".")
    assert facts["jobs"][0]["attempt"] == 1, "a bad video is never retried"


def test_ctrl_c_stops_all_of_it_within_ten_seconds_and_objects_survive(tmp_path: Path) -> None:
    first = start_up(tmp_path)
    assert len(first.pids()) > 8
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(10) == 0
    assert first.pids() == []
    again = start_up(tmp_path)
    with ApiClient(again.facts["urls"]["api"], again.facts["key"]) as api:
        videos = api.get("/v1/videos")["videos"]
        assert len(videos) == 2, "the ledger is still there"
        oldest = api.get(f"/v1/videos/{videos[-1]['id']}")
        assert httpx.get(oldest["artifacts"]["grid"]).content[:2] == b"\xff\xd8", "and so are the objects"
    again.process.kill()
    again.process.wait()
    until(lambda: not again.pids(), "everything to be gone after kill -9", 5)


def test_demo_prints_its_facts_and_leaves(tmp_path: Path) -> None:
    result = run(tmp_path, "demo", "--json")
    facts = json.loads(result.stdout)
    assert result.returncode == 0, result.stderr
    assert facts["problems"] == []
    assert facts["state"] == "succeeded"
    assert len(facts["cells"]) == 9
    assert facts["reading"]["bytes"] > 0
    assert facts["usage"]["sandbox"] is True
    assert Path(tmp_path, facts["grid"]).stat().st_size > 10_000
    assert facts["stages"]["extract: frames"] > 0
    trends = facts["trends"]
    assert trends["problems"] == []
    assert (trends["run"]["verdict"], trends["run"]["posts"]) == ("sample", 2000)
    assert any(one["label"].startswith("#sandbox") for one in trends["trends"])
    first = trends["recommendations"][0]
    assert str(first["why"]["posts"]) in first["idea"]["text"]
    assert first["examples"]
    assert not published(tmp_path / ".huntaze")


def test_demo_of_something_else_than_a_video_fails(tmp_path: Path) -> None:
    missing = run(tmp_path, "demo", "nowhere.mp4")
    assert missing.returncode == 2
    assert "nowhere.mp4 is not a file" in missing.stderr


@pytest.mark.parametrize("command", ["api", "worker", "dispatcher", "beat", "flower"])
def test_a_process_without_settings_names_the_variable(tmp_path: Path, command: str) -> None:
    result = run(tmp_path, command)
    assert result.returncode == 2
    assert re.search(r"HUNTAZE_DATABASE_URL: is not set\. Expected: .* Example: postgresql://", result.stderr)
    assert "Traceback" not in result.stderr
