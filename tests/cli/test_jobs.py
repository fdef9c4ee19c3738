"""jobs by time, and jobs prune."""

import json
from datetime import timedelta
from typing import Any

import pytest

from huntaze.models import content_store
from huntaze.models.base import new_id
from huntaze.models.content import Content, ContentTask, TaskStatus
from huntaze.models.database import Sessions
from huntaze.models.jobs import JobState
from huntaze.models.users import User
from tests.cli.conftest import Run
from tests.models.old_jobs import left, now, old_job


def shown(run: Run, *arguments: object) -> Any:
    result = run("jobs", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def listed(run: Run, *arguments: object) -> list[str]:
    return [job["id"] for job in shown(run, "list", *arguments)]


def test_jobs_are_listed_by_time(run: Run, sessions: Sessions) -> None:
    # Not older than the ids may be: those are of now.
    ages = [timedelta(minutes=minutes) for minutes in (1, 3, 5)]
    ids = [str(old_job(sessions, JobState.SUCCEEDED, age)) for age in ages]
    moment = (now(sessions) - timedelta(minutes=4)).isoformat()
    assert listed(run, "--since", "2m") == ids[:1]
    assert listed(run, "--until", "2m") == ids[:0:-1]
    assert listed(run, "--since", moment) == ids[1::-1]
    assert listed(run, "--until", moment) == ids[2:]
    assert listed(run, "--since", "4m", "--until", "2m") == ids[1:2]
    assert listed(run, "--since", "999999w") == ids[::-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "--since", "yesterday"), "--since yesterday is no time. Give it as 2026-11-22T10:00Z or 2026-11-22;"),
        (("list", "--until", "3y"), "--until 3y is no length of time. Give it as 90s, 15m, 2h, 3d or 1w.\n"),
        (("prune", "--older-than", "2026-01-01"), "--older-than 2026-01-01 is no length of time."),
        (
            ("prune", "--older-than", "6d"),
            "--older-than must be 7d or more: that long an Idempotency-Key is remembered.",
        ),
        (("prune", "--state", "running"), "A job that is running has not ended; only succeeded, failed, cancelled"),
    ],
)
def test_a_wrong_wish_is_refused_in_a_sentence(
    run: Run, sessions: Sessions, arguments: tuple[str, ...], told: str
) -> None:
    old_job(sessions, JobState.SUCCEEDED, timedelta(days=99))
    result = run("jobs", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(told)
    assert len(left(sessions)) == 1


def test_prune_counts_and_deletes(run: Run, sessions: Sessions) -> None:
    for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        old_job(sessions, state, timedelta(days=10))
    assert shown(run, "prune", "--dry-run")["would_delete"] == {"succeeded": 1, "failed": 0, "cancelled": 1}
    asked = ("prune", "--older-than", "9d", "--state", "failed")
    assert shown(run, *asked, "--dry-run")["would_delete"] == {"failed": 1}
    assert len(left(sessions)) == 3
    assert shown(run, *asked)["deleted"] == {"failed": 1, "batches": 0}
    assert "would be deleted" in run("jobs", "prune", "--dry-run").stdout
    assert shown(run, "prune")["deleted"] == {"succeeded": 1, "failed": 0, "cancelled": 1, "batches": 0}
    assert left(sessions) == set()


def test_a_video_outlives_its_jobs(run: Run, sessions: Sessions, creator: User) -> None:
    job = old_job(sessions, JobState.SUCCEEDED, timedelta(days=10))
    facts = {"creator_id": creator.id, "kind": "video", "name": "x", "content_type": "video/mp4", "size": 1}
    with sessions.begin() as session:
        session.add(content := Content(id=new_id(), object_key="k", **facts))
        session.flush()
        analysed = {"status": TaskStatus.SUCCEEDED, "analysis": {}, "job_id": job}
        session.add(task := ContentTask(id=new_id(), creator_id=creator.id, content_id=content.id, **analysed))
    shown(run, "prune")
    assert left(sessions) == set()
    with sessions() as session:
        assert content_store.get_task(session, task.id, creator.id) is not None
