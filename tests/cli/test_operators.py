"""jobs, queues, keys, db and doctor against a real ledger."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from huntaze.models import flow_store, job_enqueue, job_reads, job_store, node_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from tests.cli.conftest import Run


def enqueue(sessions: Sessions, count: int = 1, **options: Any) -> list[str]:
    with sessions.begin() as session:
        return [str(job_enqueue.enqueue(session, Noop(), **options).job.id) for _ in range(count)]


def shelve(sessions: Sessions, ids: list[str], code: str = "x.broken") -> None:
    with sessions.begin() as session:
        now = job_store.db_now(session)
        failed = update(Job).where(Job.id.in_(ids)).values(state=JobState.FAILED, error_code=code, finished_at=now)
        session.execute(failed)


def states(sessions: Sessions) -> dict[str, str]:
    with sessions() as session:
        return {str(job.id): job.state for job in job_reads.search(session, limit=1000)}


def shown(run: Run, *arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_jobs_list_prints_ids_that_jobs_show_takes(run: Run, sessions: Sessions) -> None:
    [id] = enqueue(sessions)
    line = run("jobs", "list").stdout.splitlines()[1]
    assert line.split()[0] == id
    assert run("jobs", "show", id).exit_code == 0


def test_one_job_is_retried_and_cancelled(run: Run, sessions: Sessions) -> None:
    [id] = enqueue(sessions)
    shelve(sessions, [id])
    assert shown(run, "jobs", "retry", id)["state"] == "waiting"
    assert run("jobs", "retry", id).stderr.startswith("Only a failed job can be retried")
    assert shown(run, "jobs", "cancel", id)["state"] == "cancelled"


def test_failed_jobs_are_retried_by_filter(run: Run, sessions: Sessions, creator: User) -> None:
    mine, others, waiting = enqueue(sessions, 2, creator_id=creator.id), enqueue(sessions, 3), enqueue(sessions)
    shelve(sessions, mine)
    shelve(sessions, others, "x.other")
    assert run("jobs", "retry", "--kind", "video.extract").stdout == "0 jobs are waiting again\n"
    assert run("jobs", "retry", "--creator", creator.id, "--kind", "noop").stdout == "2 jobs are waiting again\n"
    assert shown(run, "jobs", "retry", "--error", "x.other", "--limit", 2)["limit_reached"] is True
    assert run("jobs", "retry", "--error", "x.other").stdout == "1 job is waiting again\n"
    assert states(sessions) == dict.fromkeys([*mine, *others, *waiting], "waiting")


@pytest.mark.parametrize("both", [False, True])
def test_a_retry_needs_an_id_or_a_filter(run: Run, sessions: Sessions, both: bool) -> None:
    [id] = enqueue(sessions)
    shelve(sessions, [id])
    result = run("jobs", "retry", *([id, "--kind", "noop"] if both else []))
    assert result.exit_code == 2
    assert "Name one job, or at least one of --kind" in result.stderr
    assert states(sessions) == {id: "failed"}


def test_queues_show_what_waits_and_who_works(run: Run, sessions: Sessions) -> None:
    enqueue(sessions, 2)
    with sessions.begin() as session:
        node_store.beat(session, "one", "worker", node_store.Worker(("default", "ai"), 4, {"noop": 1}))
        node_store.beat(session, "two", "worker", node_store.Worker(("default",), 2, {"noop": 1}))
    facts = shown(run, "queues", "list")
    queues = {queue.pop("queue"): queue for queue in facts["queues"]}
    assert queues["default"].pop("oldest_due_s") > 0
    assert queues["default"] == {"slots": 6, "waiting": 2, "queued": 0, "running": 0, "paused": False}
    assert {name: queue["slots"] for name, queue in queues.items()} == {"default": 6, "ai": 4, "video": 0}
    assert facts["stranded"] == []
    assert facts["pauses"] == []


@pytest.mark.parametrize(("scope", "name"), [("queue", "default"), ("kind", "noop")])
def test_pauses_hold_until_they_are_ended(run: Run, sessions: Sessions, scope: str, name: str) -> None:
    assert run("queues", "pause", scope, name).stdout == f"{scope} {name} is paused\n"
    assert [(one["scope"], one["name"]) for one in shown(run, "queues", "list")["pauses"]] == [(scope, name)]
    assert f"{scope} {name} is paused since" in run("queues", "list").stdout
    assert shown(run, "queues", "resume", scope, name)["was_paused"] is True
    assert run("queues", "resume", scope, name).stdout == f"{scope} {name} was not paused\n"
    with sessions() as session:
        assert flow_store.pauses(session) == []


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_unknown_name_is_refused_with_the_known_ones(run: Run, sessions: Sessions, command: str) -> None:
    result = run("queues", command, "queue", "vidoe")
    assert result.exit_code == 2
    assert result.stderr == "There is no queue vidoe; there are: ai, default, video.\n"
    assert "video.extract" in run("queues", command, "kind", "video").stderr


def test_a_pause_of_a_kind_that_is_gone_can_be_ended(run: Run, sessions: Sessions) -> None:
    with sessions.begin() as session:
        flow_store.pause(session, "kind", "retired")
    assert run("queues", "resume", "kind", "retired").stdout == "kind retired runs again\n"


def test_stranded_kinds_are_a_warning_of_the_doctor(run: Run, sessions: Sessions, objects: object) -> None:
    enqueue(sessions, 3)
    with sessions.begin() as session:
        node_store.beat(session, "one", "worker", node_store.Worker(("default",), 2, {"events.place": 1}))
    told = "3 jobs of kind noop version 1 wait for a worker that knows them"
    assert told in run("queues", "list").stdout
    findings = json.loads(run("doctor", "--json").stdout)
    [kinds] = [finding for finding in findings if finding["check"] == "kinds"]
    assert (kinds["ok"], kinds["warning"], kinds["detail"]) == (False, True, told)


def test_what_an_operator_does_is_told_to_programs_too(run: Run, sessions: Sessions) -> None:
    upgraded = shown(run, "db", "upgrade")
    assert upgraded["before"] == upgraded["after"] == shown(run, "db", "status")["code"]
    key = shown(run, "keys", "create", "ada")
    assert shown(run, "keys", "revoke", key["prefix"]) == {"prefix": key["prefix"], "revoked": True}
    assert run("keys", "revoke", key["prefix"]).exit_code == 1
