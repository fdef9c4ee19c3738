"""Counting by hand, a rebuild, a log read in, a person erased."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from huntaze.models import analytics_cursor
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.cli.conftest import Run
from tests.models.raw_facts import everything, kept, load, raw, roll_all, spread_out

AT = datetime(2024, 3, 30, tzinfo=UTC)
LINE = '10.0.0.{n} - - [17/May/2015:10:05:0{n} +0000] "GET / HTTP/1.1" 200 {n} "-" "agent \\"x\\""\n'


def test_status_tells_how_far_counting_is_behind(run: Run, sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, spread_out(300, AT, timedelta(days=3)))
    found = json.loads(run("analytics", "status", "--json").stdout)
    assert (found["new_facts"], found["dirty_buckets"], found["rolled_at"]) == (300, 0, None)
    assert {"2024-03", "2024-04"} <= {month["month"] for month in found["months"]}
    assert "never" in run("analytics", "status").stdout
    done = json.loads(run("analytics", "rollup", "--json").stdout)
    assert done == {"facts": 300, "buckets": 288, "days": 3, "months": 2}
    assert json.loads(run("analytics", "status", "--json").stdout)["new_facts"] == 0
    assert kept(sessions)["day"].keys() == raw(sessions)["day"].keys()
    assert "counted facts: 0, buckets: 0, days: 0, months: 0" in run("analytics", "rollup").stdout


def test_a_rebuild_gives_the_same_bytes(run: Run, sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, spread_out(300, AT, timedelta(days=3)))
    roll_all(sessions)
    before = everything(sessions)
    with sessions.begin() as session:
        session.execute(text("UPDATE analytics_buckets SET total = total + 1"))
    done = json.loads(run("analytics", "rebuild", "--from", "2024-03-30", "--to", "2024-04-02", "--json").stdout)
    assert done == {"facts": 0, "buckets": 288, "days": 3, "months": 3}, "a day at a time"
    assert everything(sessions) == before


def test_a_rebuild_of_what_cannot_be_rebuilt_is_refused(run: Run, sessions: Sessions) -> None:
    with sessions.begin() as session:
        analytics_cursor.lock(session, wait=True)
        analytics_cursor.make_final(session, AT)
    result = run("analytics", "rebuild", "--from", "2024-03-01", "--to", "2024-04-02")
    assert result.exit_code == 2
    assert "raw facts are kept from 2024-03-30 on" in result.stderr
    assert run("analytics", "rebuild", "--from", "2024-04-02", "--to", "2024-04-02").exit_code == 2


def test_a_log_is_read_once_however_often(run: Run, sessions: Sessions, creator: User, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(LINE.format(n=n) for n in (1, 2, 2, 3)))
    first = json.loads(run("analytics", "import", log, "--creator", creator.handle, "--json").stdout)
    assert (first["accepted"], first["repeated"], first["facts"]) == (4, 0, 4), "two equal lines are two requests"
    again = run("analytics", "import", log, "--creator", creator.handle)
    assert "0 lines are new, 4 were known" in again.stdout
    log.write_text(log.read_text() + "nonsense\n")
    broken = run("analytics", "import", log, "--creator", creator.handle)
    assert broken.exit_code == 1
    assert "line 5 is not in the combined log format" in broken.stderr
    assert "There is no creator nobody" in run("analytics", "import", log, "--creator", "nobody").stderr


def test_the_shared_log(run: Run, sessions: Sessions, creator: User, shared: Callable[[str], Path]) -> None:
    log = shared("data/weblog/apache_logs")
    done = json.loads(run("analytics", "import", log, "--creator", creator.handle, "--json").stdout)
    assert (done["accepted"], done["repeated"], done["facts"]) == (10_000, 0, 10_000)
    assert (done["days"], done["months"]) == (4, 1)


@pytest.mark.parametrize("own", [False, True])
def test_an_erasure_is_a_job_that_does_not_know_the_name(
    run: Run, sessions: Sessions, creator: User, own: bool
) -> None:
    named = ("--creator", creator.handle) if own else ()
    asked = json.loads(run("analytics", "erase", "grace@example", *named, "--json").stdout)
    with sessions() as session:
        job = session.execute(text("SELECT kind, creator_id, jobs::text AS row FROM jobs")).one()
        erasure = session.execute(text("SELECT id, creator_id FROM analytics_erasures")).one()
    assert (job.kind, str(erasure.id)) == ("analytics.erase", asked["erasure_id"])
    assert job.creator_id == erasure.creator_id == (creator.id if own else None)
    assert "grace" not in job.row
    assert "has the receipt" in run("analytics", "erase", "grace@example").stdout
