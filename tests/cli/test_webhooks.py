"""huntaze webhooks, against a real ledger."""

import json
import uuid

import pytest
from sqlalchemy import delete, select

from huntaze.models import event_store, webhook_deliveries
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.models.webhook_deliveries import Attempt
from huntaze.models.webhooks import DeliveryState, WebhookSecret
from tests.cli.conftest import Run

URL = "https://hooks.example.com/in"


def made(run: Run) -> uuid.UUID:
    """A partner's endpoint, by the command."""
    id, secret = run("webhooks", "create", URL, "--partner", "Tools", "--type", "video.*").stdout.split()
    assert secret.startswith("whsec_")
    return uuid.UUID(id)


def failed(sessions: Sessions, creator: User, endpoint: uuid.UUID) -> uuid.UUID:
    """An event whose delivery was given up after one attempt."""
    with sessions.begin() as session:
        event_store.emit(session, creator.id, "video.analyzed", uuid.uuid4(), {})
        webhook_deliveries.place(session)
        [event] = event_store.read_after(session, creator.id, 0)
        attempt = Attempt(0.1, None, "webhook.timeout")
        webhook_deliveries.end(session, (endpoint, event.id), DeliveryState.FAILED, attempt, "webhook.timeout")
        session.execute(delete(Job))
    return event.id


def test_made_listed_switched(run: Run, sessions: Sessions) -> None:
    id = made(run)
    assert run("webhooks", "list").stdout.splitlines()[1].split()[:3] == [str(id), "enabled", URL]
    assert run("webhooks", "disable", id).stdout == f"{id} is disabled: asked\n"
    [facts] = json.loads(run("webhooks", "list", "--json").stdout)
    assert (facts["disabled_reason"], facts["partner"], facts["types"]) == ("asked", "Tools", ["video.*"])
    assert run("webhooks", "enable", id).stdout == f"{id} is enabled\n"
    assert run("webhooks", "rotate", id, "--overlap", "2h").stdout.startswith("whsec_")
    with sessions() as session:
        assert len(session.scalars(select(WebhookSecret)).all()) == 2


def test_the_log_a_resend_and_a_replay(run: Run, sessions: Sessions, creator: User) -> None:
    id = made(run)
    event_id = failed(sessions, creator, id)
    line = run("webhooks", "log", id).stdout.splitlines()[1].split()
    assert line == [str(event_id), "video.analyzed", "failed", "1", "webhook.timeout"]
    assert run("webhooks", "log", id, event_id).stdout.splitlines()[-1].split()[-1] == "webhook.timeout"
    [attempt] = json.loads(run("webhooks", "log", id, event_id, "--json").stdout)["log"]
    assert (attempt["status"], attempt["seconds"]) == (None, 0.1)
    assert run("webhooks", "resend", id, event_id).stdout == f"{event_id} is sent again\n"
    again = run("webhooks", "resend", id, event_id)
    assert (again.exit_code, "under way" in again.stderr) == (1, True)
    asked = json.loads(run("webhooks", "replay", id, "--since", "2h", "--json").stdout)
    with sessions() as session:
        job = session.get_one(Job, uuid.UUID(asked["job_id"]))
    assert job.args["since"] < job.args["until"]


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (("create", "https://127.0.0.1/", "--partner", "x", "--type", "*"), "loopback", 2),
        (("create", "http://a.example/", "--partner", "x", "--type", "*"), "https://", 2),
        (("create", URL, "--partner", "x", "--type", "VIDEO"), "--type VIDEO is none", 2),
        (("enable", uuid.UUID(int=1)), "There is no endpoint", 1),
        (("rotate", uuid.UUID(int=1), "--overlap", "8d"), "--overlap must be 7d or less", 2),
        (("log", uuid.UUID(int=1), uuid.UUID(int=2)), "There is no delivery", 1),
        (("resend", uuid.UUID(int=1), uuid.UUID(int=2)), "There is no delivery", 1),
        (("replay", uuid.UUID(int=1), "--since", "1h", "--until", "2h"), "--since must be before --until", 2),
        (("replay", uuid.UUID(int=1), "--since", "1h"), "There is no endpoint", 1),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, sessions: Sessions, arguments: tuple[object, ...], sentence: str, code: int
) -> None:
    result = run("webhooks", *arguments)
    assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr
