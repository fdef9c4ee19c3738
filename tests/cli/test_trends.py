"""huntaze trends: any series through the detector, and what a ledger knows to rise."""

import csv
import json
import uuid
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from huntaze.models import job_store
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job
from huntaze.models.trend_topics import Trend, TrendTopic
from huntaze.models.users import User
from tests.cli.conftest import Run

START = datetime(2026, 11, 1, tzinfo=UTC)
BURST = 24 * 4


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Days of five an hour, a burst, and some hours more."""
    values = [*[5] * BURST, 300, *[5] * 10]
    file = tmp_path / "series.csv"
    rows = [f"{START + hour * timedelta(hours=1):%Y-%m-%d %H:%M:%S},{value}" for hour, value in enumerate(values)]
    file.write_text("\n".join(["timestamp,value", *rows, ""]), encoding="utf-8")
    return file


def test_a_backtest_answers_each_row(run: Run, series: Path, tmp_path: Path) -> None:
    result = run("trends", "backtest", series)
    rows = list(csv.DictReader(StringIO(result.stdout)))
    assert [",".join((row["timestamp"], row["value"])) for row in rows] == series.read_text().splitlines()[1:]
    alarms = [number for number, row in enumerate(rows) if float(row["anomaly_score"]) >= 1]
    assert alarms == [BURST]
    assert result.stderr.endswith("107 rows, one every 60 min; 1 alarm: 2026-11-05 00:00:00\n")
    told = json.loads(run("trends", "backtest", series, "--json").stdout)
    assert [str(one["anomaly_score"]) for one in told] == [row["anomaly_score"] for row in rows]
    to = tmp_path / "scores.csv"
    assert run("trends", "backtest", series, "--out", to).stdout == ""
    assert to.read_text() == result.stdout


def test_what_is_no_series_is_told_by_file_and_line(run: Run, series: Path, tmp_path: Path) -> None:
    series.write_text("timestamp,value\n2026-11-01,3\n2026-11-02,many\n")
    wrong = run("trends", "backtest", series)
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr == f"{series}, line 3: value 'many' should be a number of at most 1e+15.\n"
    missing = run("trends", "backtest", tmp_path / "none.csv")
    assert (missing.exit_code, missing.stderr) == (
        2,
        f"{tmp_path}/none.csv cannot be read: No such file or directory.\n",
    )
    series.write_bytes(b"\xff\xfe\x00")
    assert "is not text in UTF-8" in run("trends", "backtest", series).stderr
    series.write_text("timestamp,value\n2026-11-01,3\n")
    nowhere = run("trends", "backtest", series, "--out", tmp_path / "no" / "where.csv")
    assert (nowhere.exit_code, "Name another file with --out." in nowhere.stderr) == (1, True)


def trend(sessions: Sessions, name: str, age_h: int, strength: float, platform: str = "tiktok") -> None:
    with sessions.begin() as session:
        at = job_store.db_now(session) - timedelta(hours=age_h)
        topic = TrendTopic(kind="hashtag", name=name)
        session.add(topic)
        session.flush()
        counts = {"posts": 9, "authors": 9, "confidence": 0.9, "strength": strength, "level": 4.25, "velocity": -1.0}
        places = {"platforms": [platform], "regions": []}
        session.add(Trend(topic_id=topic.id, started_at=at, peak_at=at, **counts, **places))


def test_trends_are_listed_by_strength_that_halves_in_half_a_day(run: Run, sessions: Sessions) -> None:
    trend(sessions, "old", 24, 8.0)
    trend(sessions, "new", 0, 3.0)
    trend(sessions, "elsewhere", 0, 1.5, platform="x")
    shown = run("trends", "list").stdout.splitlines()
    assert [line.split()[:4] for line in shown[1:]] == [
        ["#new", "emerging", "3.00", "4.2"],
        ["#old", "emerging", "2.00", "4.2"],
        ["#elsewhere", "emerging", "1.50", "4.2"],
    ]
    facts = json.loads(run("trends", "list", "--platform", "x", "--json").stdout)
    assert [(one["name"], one["platforms"], one["lead_h"]) for one in facts] == [("elsewhere", ["x"], None)]
    assert run("trends", "list", "--state", "over").stdout == "there are no such trends\n"


def test_jobs_of_the_clock_by_hand(run: Run, sessions: Sessions, creator: User) -> None:
    made = [
        json.loads(run("trends", "detect", "--json").stdout),
        json.loads(run("trends", "recommend", "--creator", creator.handle, "--slot", "2026-11-01", "--json").stdout),
        json.loads(run("trends", "recommend", "--json").stdout),
    ]
    assert [one["kind"] for one in made] == ["trends.detect", "trends.recommend", "trends.recommend_run"]
    with sessions() as session:
        _, one, everybody = (session.get_one(Job, uuid.UUID(made_one["job_id"])) for made_one in made)
        assert (one.creator_id, one.args["slot"]) == (creator.id, "2026-11-01T00:00:00Z")
        assert everybody.creator_id is None
    again = run("trends", "recommend", "--creator", str(creator.id))
    assert again.stdout == f"job {one.id} is waiting; huntaze jobs show {one.id}\n", "one set at a time"


def test_what_no_job_can_be_made_of_is_told(run: Run, sessions: Sessions) -> None:
    nobody = run("trends", "recommend", "--creator", "nobody")
    assert (nobody.exit_code, nobody.stderr) == (2, "--creator nobody: there is no creator with this handle or id.\n")
    early = run("trends", "detect", "--slot", "2099-01-01")
    assert (early.exit_code, "has not come yet" in early.stderr) == (2, True)


def test_a_report_is_asked_for_and_listed(run: Run, creator: User) -> None:
    asked = json.loads(run("trends", "report", "--creator", creator.handle, "--json").stdout)
    assert (asked["state"], asked["creator_id"]) == ("making", str(creator.id))
    told = run("trends", "report", "--creator", creator.handle).stdout
    assert asked["id"] in told, "it is being made"
    assert run("trends", "reports").stdout.splitlines()[1].split()[:2] == [asked["id"], "asked"]
    assert json.loads(run("trends", "reports", "--creator", creator.handle, "--json").stdout) == [asked]
    assert run("trends", "reports", "--creator", "nobody").exit_code == 2
