"""The supervisor with small real services: start, failure, and above all the end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from huntaze.cli.stack import guard
from huntaze.cli.stack.errors import ServiceFailed
from huntaze.cli.stack.service import Probe, Service, Stage
from huntaze.cli.stack.supervisor import Supervisor
from tests.stack.conditions import alive, marked, wait_until

MakeService = Callable[..., Service]
Supervise = Callable[..., subprocess.Popen[str]]

IDLE = "import signal; print('ready', flush=True); signal.pause()"


def exists(path: Path) -> Probe:
    async def probe() -> bool:
        return path.exists()

    return probe


def says_ready(log: Path) -> Probe:
    async def probe() -> bool:
        return "ready" in log.read_text()

    return probe


async def never() -> bool:
    return False


def pids(family: Path) -> list[int]:
    return [int(line) for line in family.read_text().split()]


def test_service_runs_below_a_guard_with_its_own_environment_and_a_private_log(
    logs: Path, service: MakeService, mark: str
) -> None:
    facts = "sorted(os.environ), os.getsid(0) == os.getpid(), os.listdir('/proc/self/fd')"
    code = f"import os; print({facts}, flush=True); {IDLE}"

    async def scenario() -> None:
        read_end, lock = os.pipe()
        async with Supervisor(logs, lock_fd=lock) as supervisor:
            await supervisor.start(service("shown", code, ready=says_ready(logs / "shown.log")))
            assert alive(supervisor.main_pid("shown"))
        os.close(lock)
        os.set_blocking(read_end, False)
        assert os.read(read_end, 1) == b""  # all holders of the lock have gone
        os.close(read_end)

    asyncio.run(scenario())
    # 3 is the listing itself: no descriptor of the supervisor's is handed on, above all not the lock's.
    assert (logs / "shown.log").read_text() == "['LC_CTYPE', 'MARK'] True ['0', '1', '2', '3']\nready\n"
    assert (logs / "shown.log").stat().st_mode & 0o777 == 0o600
    assert marked(mark) == []


def test_service_that_ends_early_is_reported_with_name_log_tail_and_path(logs: Path, service: MakeService) -> None:
    code = "for n in range(1, 31): print('line', n)\nraise SystemExit(3)"

    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("fine", IDLE), service("broken", code, ready=never))

    with pytest.raises(ServiceFailed) as caught:
        asyncio.run(scenario())
    assert caught.value.name == "broken"
    assert caught.value.log_tail == tuple(f"line {n}" for n in range(16, 31))
    text = str(caught.value)
    assert text.startswith("broken ended before it was ready: exit status 3.")
    assert "line 16\n" in text
    assert "line 30\n" in text
    assert "line 15\n" not in text
    assert text.endswith(f"The whole log: {logs}/broken.log")


def test_service_that_is_never_ready_is_reported_in_time(logs: Path, service: MakeService, mark: str) -> None:
    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("slow", IDLE, ready=never, ready_timeout_s=0.2))

    with pytest.raises(ServiceFailed, match=r"^slow was not ready within 0\.2 s\."):
        asyncio.run(scenario())
    assert marked(mark) == []


def test_service_that_has_ended_is_not_ready_whoever_answers_the_probe(
    logs: Path, service: MakeService, mark: str
) -> None:
    async def somebody_else_answers() -> bool:
        while "address in use" not in (logs / "late.log").read_text() or marked(mark):
            await asyncio.sleep(0.01)
        return True

    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("late", "raise SystemExit('address in use')", ready=somebody_else_answers))

    with pytest.raises(ServiceFailed, match="late ended before it was ready: exit status 1") as caught:
        asyncio.run(scenario())
    assert caught.value.log_tail == ("address in use",)


def test_program_that_is_missing_is_named(logs: Path) -> None:
    missing = Service(name="ghost", argv=("/no/such/program",), env={}, ready=never, stage=Stage.WORK)

    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(missing)

    with pytest.raises(ServiceFailed, match="cannot run /no/such/program: No such file or directory"):
        asyncio.run(scenario())


def test_unexpected_end_of_a_service_that_was_up_is_reported(logs: Path, service: MakeService) -> None:
    async def scenario() -> ServiceFailed:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(
                service("worker", f"print('last words', flush=True); {IDLE}", ready=says_ready(logs / "worker.log"))
            )
            failure = asyncio.create_task(supervisor.failure())
            os.kill(supervisor.main_pid("worker"), signal.SIGKILL)
            return await asyncio.wait_for(failure, 5)

    failed = asyncio.run(scenario())
    assert str(failed).startswith("worker ended by itself: killed by SIGKILL.")
    assert failed.log_tail == ("last words", "ready")


def test_deliberate_stop_is_no_failure(logs: Path, service: MakeService) -> None:
    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("api", IDLE), service("worker", IDLE))
            failure = asyncio.create_task(supervisor.failure())
            await supervisor.stop("api")
            await supervisor.stop()
            assert not failure.done()
            failure.cancel()
        # The stop may come before the service has begun; the signal must not be lost even then.
        assert all("[guard]" not in log.read_text() for log in logs.iterdir())

    asyncio.run(scenario())


def test_stages_stop_from_the_doors_down_and_each_stage_at_once(
    tmp_path: Path, logs: Path, service: MakeService
) -> None:
    trace = tmp_path / "trace"
    stages = {
        "s3": (Stage.STORES, "postgres"),
        "postgres": (Stage.STORES, "s3"),
        "worker": (Stage.WORK, "dispatcher"),
        "dispatcher": (Stage.WORK, "worker"),
        "api": (Stage.DOORS, "flower"),
        "flower": (Stage.DOORS, "api"),
    }

    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            services = [
                service(name, "orderly.py", trace, name, companion, stage=stage, ready=says_ready(logs / f"{name}.log"))
                for name, (stage, companion) in stages.items()
            ]
            await supervisor.start(*services)

    asyncio.run(scenario())
    events = [line.split() for line in trace.read_text().splitlines()]
    assert len(events) == 12  # each was asked and went by itself
    for stage, at in ((Stage.DOORS, 0), (Stage.WORK, 4), (Stage.STORES, 8)):
        members = {name for name, (its, _) in stages.items() if its is stage}
        assert {name for name, _ in events[at : at + 4]} == members
        assert [event for _, event in events[at : at + 4]] == ["asked", "asked", "gone", "gone"]


def test_what_ignores_its_stop_signal_is_killed_with_all_its_children(
    tmp_path: Path, logs: Path, service: MakeService, mark: str
) -> None:
    family = tmp_path / "family"

    async def scenario() -> float:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(
                service("pool", "stubborn_pool.py", family, ready=exists(family), stop_timeout_s=0.3)
            )
            assert len(pids(family)) == 3
            assert all(alive(pid) for pid in pids(family))
            asked_at = time.monotonic()
        return time.monotonic() - asked_at

    took_s = asyncio.run(scenario())
    assert 0.3 <= took_s < 1.2
    assert marked(mark) == []
    assert (logs / "pool.log").read_text().endswith("still there 0.3 s after SIGTERM: killed\n")


def test_children_left_behind_by_a_service_that_ended_are_collected(
    tmp_path: Path, logs: Path, service: MakeService, mark: str
) -> None:
    family = tmp_path / "family"

    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("pool", "stubborn_pool.py", family, ready=exists(family)))
            failure = asyncio.create_task(supervisor.failure())
            os.kill(pids(family)[0], signal.SIGKILL)
            await asyncio.wait_for(failure, 5)
            assert marked(mark) == []

    asyncio.run(scenario())


def test_stop_gives_up_on_a_guard_that_does_not_move(logs: Path, service: MakeService, mark: str) -> None:
    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("stuck", IDLE, ready=says_ready(logs / "stuck.log"), stop_timeout_s=0.1))
            stopped = Path(f"/proc/{supervisor.main_pid('stuck')}/stat").read_text().rpartition(")")[2].split()[1]
            os.kill(int(stopped), signal.SIGSTOP)

    asyncio.run(scenario())
    assert marked(mark) == []


def test_service_dies_with_its_guard(logs: Path, service: MakeService) -> None:
    async def scenario() -> int:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("worker", IDLE, ready=says_ready(logs / "worker.log")))
            pid = supervisor.main_pid("worker")
            os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
            failed = await asyncio.wait_for(supervisor.failure(), 5)
            assert failed.reason == "ended by itself: its guard was killed by SIGKILL"
            return pid

    pid = asyncio.run(scenario())
    wait_until(lambda: not alive(pid))


def test_kill_9_of_the_supervisor_leaves_nothing(tmp_path: Path, supervise: Supervise, mark: str) -> None:
    program = Path(__file__).parent / "programs" / "stubborn_pool.py"
    families = {mode: tmp_path / f"{mode}.family" for mode in ("ready", "never-ready")}
    supervisors = [
        supervise(tmp_path / mode, mode, sys.executable, program, family) for mode, family in families.items()
    ]
    below = []
    for supervisor, family in zip(supervisors, families.values(), strict=True):
        wait_until(family.exists)
        below += list(guard.descendants(supervisor.pid))
        assert set(pids(family)) < set(below)
    for supervisor in supervisors:
        supervisor.kill()
    wait_until(lambda: not any(alive(pid) for pid in below), within_s=5)
    assert marked(mark) == []


def test_one_name_one_service(logs: Path, service: MakeService) -> None:
    async def scenario() -> None:
        async with Supervisor(logs) as supervisor:
            await supervisor.start(service("api", IDLE))
            await supervisor.start(service("api", IDLE))

    with pytest.raises(ValueError, match="a service called api is running already"):
        asyncio.run(scenario())


def test_log_of_the_run_before_is_kept(logs: Path, service: MakeService) -> None:
    async def scenario(word: str) -> None:
        async with Supervisor(logs) as supervisor:
            log = logs / "api.log"
            await supervisor.start(service("api", f"print('{word}'); {IDLE}", ready=says_ready(log)))

    asyncio.run(scenario("first"))
    asyncio.run(scenario("second"))
    assert (logs / "api.log.1").read_text() == "first\nready\n"
    assert (logs / "api.log").read_text() == "second\nready\n"
