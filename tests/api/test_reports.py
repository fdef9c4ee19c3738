"""POST and GET /v1/reports: a creator's own, asked for and fetched."""

import uuid
from datetime import UTC, datetime

import httpx
import pytest

from huntaze.models.database import Sessions
from huntaze.models.job_args import ReportMake
from huntaze.models.users import User
from huntaze.tasks import reports
from tests.models.raw_facts import load, roll_all
from tests.models.test_analytics_reads import fact
from tests.tasks.test_reports import Claim, claim

assert claim  # a fixture


def test_a_report_is_asked_for_and_nobody_else_sees_it(api: httpx.Client, other: httpx.Client) -> None:
    days = {"first": "2026-01-01", "last": "2026-01-31"}
    asked = api.post("/v1/reports", json=days)
    assert asked.status_code == 202, asked.text
    told = asked.json()
    assert (told["state"], told["zone"], told["files"]) == ("making", "UTC", [])
    assert api.post("/v1/reports", json=days).json()["id"] == told["id"], "it is being made"
    assert api.get(asked.headers["Location"]).json() == told
    assert api.get(f"/v1/jobs/{told['job_id']}").json()["state"] == "waiting"
    assert [one["id"] for one in api.get("/v1/reports").json()["reports"]] == [told["id"]]
    assert other.get(asked.headers["Location"]).json()["code"] == "report.not_found"
    assert other.get("/v1/reports").json()["reports"] == []


def test_a_report_is_asked_for_made_and_fetched_by_its_urls(
    api: httpx.Client, claim: Claim, creator: User, sessions: Sessions
) -> None:
    load(sessions, creator.id, [fact(number, datetime(2026, 1, 9, tzinfo=UTC)) for number in range(9)])
    roll_all(sessions)
    asked = api.post("/v1/reports", json={"first": "2026-01-01", "last": "2026-01-31"}).json()
    reports.make_report(claim(uuid.UUID(asked["job_id"])), ReportMake(report_id=uuid.UUID(asked["id"])))
    told = api.get(f"/v1/reports/{asked['id']}").json()
    assert told["state"] == "ready"
    fetched = {one["format"]: (one, httpx.get(one["url"], trust_env=False)) for one in told["files"]}
    begins = {"pdf": b"%PDF-", "html": b"<!DOCTYPE html>", "csv": b"\xef\xbb\xbf", "parquet": b"PAR1"}
    assert fetched.keys() == begins.keys()
    for name, (one, answer) in fetched.items():
        assert (answer.status_code, len(answer.content)) == (200, one["size"]), name
        assert answer.headers["Content-Type"] == one["type"]
        assert answer.content.lower().startswith(begins[name].lower()), name
    signed = fetched["pdf"][0]["url"]
    assert httpx.get(signed.partition("?")[0], trust_env=False).status_code == 403, "by its signature alone"
    events = api.get(f"/v1/jobs/{asked['job_id']}").json()
    assert (events["state"], events["progress"]) == ("succeeded", 1.0)


@pytest.mark.parametrize(
    ("body", "field"),
    [({"first": "2026-02-01", "last": "2026-01-01"}, "last"), ({"first": "x"}, "first"), ({"zone": "UTC"}, "zone")],
)
def test_what_cannot_be_reported(api: httpx.Client, body: dict[str, str], field: str) -> None:
    answer = api.post("/v1/reports", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
