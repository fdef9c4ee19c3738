"""What doctor says of the models, without asking any."""

from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from huntaze.cli.doctor_ai import examine_ai, retirement_findings
from huntaze.pipelines.ai.config import parse_config
from huntaze.setting_groups import AISettings

AZURE = 'base_url = "https://r.openai.azure.com/openai/v1"\nwire = "azure_v1"\n'


@pytest.fixture
def server() -> Iterator[str]:
    """Answers everything with 404, as a models' server does at its root."""

    class Quiet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing on the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Quiet) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/v1"
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for field in AISettings.model_fields:
        monkeypatch.delenv(f"HUNTAZE_AI_{field}".upper(), raising=False)


def said(settings: AISettings) -> list[tuple[str, bool, bool, str]]:
    return [(one.check, one.ok, one.warning, one.detail) for one in examine_ai(settings)]


def test_one_server_that_answers_is_fine(server: str) -> None:
    (ai, models) = said(AISettings(base_url=server))
    assert ai == ("ai", True, False, f"{server} answers, for generate, reason, vision: Phi-4-multimodal-instruct")
    assert models == ("ai models", True, False, "none in use ends within 60 days")
    assert "SANDBOX" in said(AISettings(base_url=server, model="sandbox-vision"))[0][3]


def test_prices_of_another_model_are_told(server: str) -> None:
    findings = said(AISettings(base_url=server, model="vision"))
    assert ("ai prices", False, True) in [one[:3] for one in findings]
    priced = AISettings(base_url=server, model="vision", input_micro_usd_per_million=0, output_micro_usd_per_million=0)
    assert "ai prices" not in [one[0] for one in said(priced)]


def test_who_is_away_has_no_key_or_no_price_fails(tmp_path: Path, server: str) -> None:
    file = tmp_path / "ai.toml"
    file.write_text(
        f'[deployments.vision]\nmodel="x"\nbase_url="{server}"\napi_key_env="NO_SUCH_KEY"\n'
        '[deployments.reason]\nmodel="y"\nbase_url="http://127.0.0.1:9/v1"\n'
        "input_micro_usd_per_million=1\noutput_micro_usd_per_million=1\n"
    )
    findings = said(AISettings(config=file))
    assert [one[:3] for one in findings] == [
        ("ai", False, True),  # no role generate
        ("ai", False, False),  # reason
        ("ai", True, False),
        ("ai key", False, False),
        ("ai prices", False, False),
        ("ai models", True, False),
    ]
    told = " ".join(one[3] for one in findings)
    assert "no model is set up for the role generate" in told
    assert "NO_SUCH_KEY is not set" in told
    assert "http://127.0.0.1:9/v1: ConnectError" in told


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 5, 13), []),  # 61 days ahead
        (date(2026, 5, 14), [(True, "in 60 days, on 2026-07-13; DeepSeek-V4-Flash answers then")]),
        (date(2026, 7, 13), [(True, "since 2026-07-13; DeepSeek-V4-Flash answers"), (True, "in 31 days")]),
    ],
)
def test_the_end_of_a_model_is_told_sixty_days_ahead(today: date, expected: list[tuple[bool, str]]) -> None:
    findings = [one for one in retirement_findings(parse_config(AZURE), today) if not one.ok]
    assert len(findings) == len(expected)
    for finding, (warning, told) in zip(findings, expected, strict=True):
        assert finding.warning is warning
        assert told in finding.detail


def test_an_end_without_a_successor_is_a_failure_once_it_has_come() -> None:
    routes = parse_config(f"{AZURE}[deployments.vision]\nmodel='x'\nretires_at = 2026-07-01\n")
    before, after = (next(retirement_findings(routes, day)) for day in (date(2026, 6, 30), date(2026, 7, 1)))
    assert (before.ok, before.warning, after.ok, after.warning) == (False, True, False, False)
    assert "nothing follows it" in after.detail
