"""huntaze sources, against a real ledger."""

import json
import uuid

import pytest
from sqlalchemy import select

from huntaze.cli.doctor_sources import examine_sources
from huntaze.models import trend_source_store, trend_verdicts
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job
from huntaze.models.trend_sources import TrendRun
from huntaze.pipelines.trends.posts.health import Finding
from huntaze.pipelines.trends.posts.identity import parse_keys
from huntaze.pipelines.trends.posts.sources import SourceSpec
from huntaze.settings import Settings
from tests.cli.conftest import Run

KEYS = "2:" + "ab" * 16 + ",1:" + "cd" * 16


def test_a_source_is_added_run_paused_and_changed(run: Run, sessions: Sessions) -> None:
    made = run("sources", "add", "tiktok", "#ootd", "--region", "DE", "--max-usd", "0.25", "--json")
    assert made.exit_code == 0, made.stderr
    facts = json.loads(made.stdout)
    assert (facts["creator_id"], facts["max_charge_micro_usd"]) == (None, 250_000)
    id = facts["id"]
    assert "is planned; at most $0.2500" in run("sources", "run", id).stdout
    again = run("sources", "run", id)
    assert (again.exit_code, again.stderr) == (1, "A run of this source is under way; wait for its end.\n")
    with sessions() as session:
        planned = session.scalars(select(TrendRun)).one()
        assert session.scalars(select(Job.subject_id)).one() == planned.id
    assert json.loads(run("sources", "runs", id, "--json").stdout)[0]["state"] == "intended"
    assert run("sources", "list").stdout.splitlines()[1].split()[:5] == [id, "tiktok", "#ootd", "active", "intended"]
    spent = json.loads(run("sources", "budget", "--json").stdout)
    assert (spent["reserved_micro_usd"], spent["spent_micro_usd"]) == (250_000, 0)
    assert "is paused" in run("sources", "pause", id).stdout
    changed = run("sources", "set", id, "--max-items", 50, "--build", "1.2.3", "--json")
    assert json.loads(changed.stdout)["build"] == "1.2.3"
    assert json.loads(run("sources", "list", "--json").stdout)[0]["max_items"] == 50


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("tiktok", "#"), "The query names nothing behind its sign."),
        (("tiktok", "a", "--cron", "* * * * *"), "Runs must be 15 minutes apart or more."),
        (("tiktok", "a", "--region", "de"), "The region must be two capital letters (ISO 3166-1), such as DE."),
        (("google_trends", "@ada"), "Google Trends knows no profiles; name words to search for."),
    ],
)
def test_what_a_source_cannot_be(run: Run, sessions: Sessions, arguments: tuple[str, ...], sentence: str) -> None:
    result = run("sources", "add", *arguments)
    assert (result.exit_code, result.stderr) == (2, f"{sentence}\n")


def test_a_source_that_is_none(run: Run, sessions: Sessions) -> None:
    unknown = uuid.uuid4()
    result = run("sources", "pause", unknown)
    assert (result.exit_code, result.stderr) == (1, f"There is no source {unknown}; see huntaze sources list.\n")
    assert "there are no sources" in run("sources", "list").stdout


def test_an_alarm_is_shown_until_somebody_resumes_the_source(run: Run, sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        source = trend_source_store.create(session, SourceSpec("x", "#ootd"))
        planned = trend_source_store.plan_now(session, source, 10**9)
        trend_verdicts.raise_alarms(session, source, planned.id, [Finding("null_rate", "likes", 0.1, 0.9)])
    assert run("sources", "alarms").stdout.splitlines()[1].endswith("x #ootd: null_rate of likes 90 %, usually 10 %")
    with sessions() as session:
        found = list(examine_sources(session, settings.apify))
    assert [(one.check, one.ok) for one in found] == [("sources", False), ("scraping", True)]
    assert "1 alarms are closed" in run("sources", "resume", source.id).stdout
    assert run("sources", "alarms").stdout == "no alarm is open\n"


def test_an_author_is_forgotten_without_being_named(
    run: Run, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("sources", "forget", "tiktok", "@Ada")
    assert (refused.exit_code, "HUNTAZE_APIFY_AUTHOR_KEYS" in refused.stderr) == (2, True)
    monkeypatch.setenv("HUNTAZE_APIFY_AUTHOR_KEYS", KEYS)
    assert run("sources", "forget", "tiktok", "@Ada").exit_code == 0
    with sessions() as session:
        args = session.scalars(select(Job.args)).one()
    assert set(args["author_keys"]) == {key.hex() for key in parse_keys(KEYS).all_keys("tiktok", "ada")}
    assert list(args) == ["author_keys"]
