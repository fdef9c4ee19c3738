"""POST and GET /v1/trend-reports: a creator's own, asked for and fetched."""

import httpx


def test_a_trend_report_is_asked_for_and_nobody_else_sees_it(api: httpx.Client, other: httpx.Client) -> None:
    asked = api.post("/v1/trend-reports")
    assert asked.status_code == 202, asked.text
    told = asked.json()
    assert (told["state"], told["cadence"], told["files"], told["words"]) == ("making", "asked", [], None)
    assert api.post("/v1/trend-reports").json()["id"] == told["id"], "it is being made"
    assert api.get(asked.headers["Location"]).json() == told
    assert api.get(f"/v1/jobs/{told['job_id']}").json()["kind"] == "trends.report"
    assert [one["id"] for one in api.get("/v1/trend-reports").json()["reports"]] == [told["id"]]
    assert other.get(asked.headers["Location"]).json()["code"] == "report.not_found"
    assert other.get("/v1/trend-reports").json()["reports"] == []
