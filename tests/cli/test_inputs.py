"""What is given wrongly is told in a sentence, before anything is started or uploaded."""

import os
import socket
from pathlib import Path

import pytest

from huntaze.pipelines.video.sample import write_sample
from tests.cli.conftest import Run, Spawn


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    write_sample(path)
    return path


def test_pictures_that_cannot_be_written_end_in_a_sentence(run: Run, sample: Path) -> None:
    result = run("video", "inspect", sample, "--out", "/proc/nowhere")
    assert result.exit_code == 1
    assert "cannot be written to /proc/nowhere: No such file or directory" in result.stderr
    assert result.stderr.count("\n") == 1, "one line, and no blank one before it"


def test_a_pipe_is_no_video(spawn: Spawn, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for command in (("video", "inspect", "pipe.mp4", "--out", "o"), ("enqueue", "video", "pipe.mp4")):
        result = spawn(*command)
        assert result.returncode == 2
        assert result.stderr.startswith("pipe.mp4 is not a file")


@pytest.mark.parametrize("command", [("enqueue", "video"), ("demo",), ("up",)])
def test_an_empty_file_is_told_before_anything_is_started(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    result = run(*command, empty)
    assert result.exit_code == 2
    assert result.stderr == f"{empty} is empty; name a file that holds a video.\n"


def test_cells_are_looked_at_before_the_upload(run: Run, sample: Path) -> None:
    # Nobody listens at this address: the refusal is ours.
    result = run("enqueue", "video", sample, "--cells", 5, "--url", "http://127.0.0.1:9", "--key", "hz_a_b")
    assert result.exit_code == 2
    assert result.stderr == "--cells must be one of 1, 4, 9, 16, not 5.\n"


def test_nothing_but_the_sentence_goes_to_a_pipe(run: Run, sample: Path) -> None:
    result = run("enqueue", "video", sample, "--url", "http://127.0.0.1:9", "--key", "hz_a_b")
    assert result.exit_code == 1
    assert result.stderr.startswith("The API at http://127.0.0.1:9 does not answer")


def test_a_port_that_was_asked_for_is_never_replaced(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for command in ("demo", "up"):
            result = run(command, "--port", port)
            assert result.exit_code == 1
            assert f"Port {port} is taken: name another with --port, or leave it out" in result.stderr


@pytest.mark.parametrize("command", [("db", "status"), ("jobs", "list"), ("api",), ("worker",)])
def test_a_database_url_that_is_none_is_named_without_its_password(spawn: Spawn, command: tuple[str, ...]) -> None:
    result = spawn(*command, HUNTAZE_DATABASE_URL="postgresql://u:very-secret@host:notaport/x")
    assert result.returncode == 2
    assert "HUNTAZE_DATABASE_URL: is not a URL: the port has to be a number" in result.stderr
    assert "Traceback" not in result.stderr
    assert "very-secret" not in result.stderr + result.stdout


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("hz_secret\n", "holds a line break"),
        ("hz_sec ret", "holds a space"),
        ("hz_clé", "holds characters that no key has"),
        ("secret", "does not begin with hz_"),
    ],
)
def test_a_key_that_is_none_is_told_and_never_shown(run: Run, sample: Path, key: str, told: str) -> None:
    result = run("enqueue", "video", sample, "--url", "http://127.0.0.1:9", "--key", key)
    assert result.exit_code == 1
    assert f"The key {told}." in result.stderr
    assert key.strip() not in result.stderr
    assert "does not answer" not in result.stderr


def test_address_and_key_are_read_from_dotenv_too(run: Run, sample: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HUNTAZE_API_URL=http://127.0.0.1:9\nHUNTAZE_API_KEY=hz_a_b\n")
    result = run("enqueue", "video", sample)
    assert result.stderr.startswith("The API at http://127.0.0.1:9 does not answer")


def test_an_address_that_is_none_is_told(run: Run, sample: Path) -> None:
    result = run("enqueue", "video", sample, "--url", "localhost:8000", "--key", "hz_a_b")
    assert result.stderr == "localhost:8000 is no address of an API. Give it as http://host:port.\n"
