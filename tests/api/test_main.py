"""The process as it is started: `python -m huntaze.api`."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from huntaze import settings
from huntaze.api import __main__ as api_main
from huntaze.models.users import User
from tests.api.listening import following

COMMAND = [sys.executable, "-m", "huntaze.api"]


def test_settings_that_do_not_do_are_explained(tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HUNTAZE_")}
    done = subprocess.run(COMMAND, env=plain, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "HUNTAZE_DATABASE_URL: is not set. Expected:" in done.stderr
    assert "HUNTAZE_AI_BASE_URL: is not set." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_groups_of_settings_that_routes_ask_for_are_read() -> None:
    folder = Path(api_main.__file__).parent
    asked = {name for file in folder.rglob("*.py") for name in re.findall(r"settings\.(\w+)", file.read_text())}
    assert asked & settings.GROUPS.keys() <= set(api_main.GROUPS)


def test_it_serves_until_it_is_told_to_stop(
    environment: dict[str, str], creator: User, make_key: Callable[..., str], tmp_path: Path
) -> None:
    key = make_key(creator)
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], env=os.environ | environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        log: list[str] = []
        url = None
        while url is None:
            log.append(process.stderr.readline())
            assert log[-1], log
            url = re.search(r"http://127.0.0.1:\d+", log[-1])
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url.group(), headers=headers, timeout=10) as client, following(client) as stream:
            process.send_signal(signal.SIGTERM)
            with pytest.raises(EOFError):
                stream.numbers(1)
            process.wait(timeout=4)  # less than the grace that a request would get
        log += process.stderr.readlines()
    entries = [json.loads(line) for line in log]
    (request,) = [entry for entry in entries if entry["event"] == "request"]
    assert (request["route"], request["status"], request["method"]) == ("/v1/events", 200, "GET")
    assert not [line for line in log if key in line]
    assert "Traceback" not in "".join(log)


def test_its_log_is_the_fleets_log() -> None:
    program = """
import logging
from huntaze.api.server import configure_logs
configure_logs()
logging.getLogger("httpx").info("GET https://bucket/key?X-Amz-Signature=00")
logging.getLogger("uvicorn.error").info("up", extra={"color_message": "%s", "websocket": object(), "port": 1})
def fail(secret):
    raise ValueError("wrong")
try:
    fail("hz_" + "secret")
except ValueError:
    logging.getLogger("x").exception("failed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    up, failed = (json.loads(line) for line in done.stderr.splitlines())
    assert (up.pop("event"), up.pop("port"), set(up)) == ("up", 1, {"level", "logger", "timestamp"})
    assert (failed["event"], failed["exception"].splitlines()[-1]) == ("failed", "ValueError: wrong")
    assert "hz_secret" not in done.stderr


def test_it_knows_no_celery() -> None:
    program = "import sys, huntaze.api.app; print(sorted(m for m in sys.modules if m.split('.')[0] == 'celery'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
