"""POST and GET /v1/reports: a creator's own, asked for and fetched."""

import httpx
import pytest


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


@pytest.mark.parametrize(
    ("body", "field"),
    [({"first": "2026-02-01", "last": "2026-01-01"}, "last"), ({"first": "x"}, "first"), ({"zone": "UTC"}, "zone")],
)
def test_what_cannot_be_reported(api: httpx.Client, body: dict[str, str], field: str) -> None:
    answer = api.post("/v1/reports", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
