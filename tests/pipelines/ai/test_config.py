"""The file of deployments: little has to be said, and what is wrong is named."""

from datetime import date

import pytest

from huntaze.pipelines.ai.catalogue import PLAN, known
from huntaze.pipelines.ai.config import ConfigError, parse_config
from huntaze.pipelines.ai.deployments import Retirement, retirements

AZURE = 'base_url = "https://r.openai.azure.com/openai/v1/"\nwire = "azure_v1"\napi_key_env = "AZURE_KEY"\n'


def test_three_lines_are_the_product_s_plan() -> None:
    routes = parse_config(AZURE)
    assert routes.roles == PLAN
    for role, today, asked in [
        ("generate", date(2026, 7, 12), ["DeepSeek-V3-0324", "DeepSeek-V4-Flash"]),
        ("generate", date(2026, 7, 13), ["DeepSeek-V4-Flash"]),
        ("reason", date(2026, 8, 12), ["DeepSeek-R1", "DeepSeek-V4-Pro"]),
        ("reason", date(2026, 8, 13), ["DeepSeek-V4-Pro"]),
        ("vision", date(2030, 1, 1), ["Phi-4-multimodal-instruct"]),
    ]:
        chain = routes.chain(role, today)  # type: ignore[arg-type]
        assert [one.name for one in chain] == asked
        assert all(one.priced and one.wire == "azure_v1" and one.api_key_env == "AZURE_KEY" for one in chain)
    eyes = routes.deployments["Phi-4-multimodal-instruct"]
    assert eyes.base_url == "https://r.openai.azure.com/openai/v1"
    assert (eyes.input_micro_usd_per_million, eyes.audio_micro_usd_per_million) == (80_000, 4_000_000)
    assert routes.deployments["DeepSeek-R1"].thinking_tokens > 0
    assert routes.cache_s["generate"] == 3600


FULL = """
economise_at = 0.9
[roles]
generate = "writer"
vision = "eyes"
[deployments.writer]
base_url = "https://r.openai.azure.com/openai/v1"
wire = "azure_v1"
bearer_env = "TOKEN"
model = "my-writer"
known_as = "deepseek-v3-0324"
retires_at = 2027-01-31
fallback = "eyes"
requests_per_minute = 60
[deployments.eyes]
base_url = "http://gpu.internal:8000/v1"
model = "vision"
input_micro_usd_per_million = 0
output_micro_usd_per_million = 0
[cache_s]
vision = 60
"""


def test_what_is_said_counts_more_than_what_is_known() -> None:
    routes = parse_config(FULL)
    writer = routes.deployments["writer"]
    assert (writer.model, writer.retires_at, writer.fallback) == ("my-writer", date(2027, 1, 31), "eyes")
    assert writer.output_micro_usd_per_million == 4_560_000
    assert (writer.api_key_env, writer.bearer_env, writer.requests_per_minute) == (None, "TOKEN", 60)
    assert set(routes.roles) == {"generate", "vision"}, "without a server for all, a role that is not named has none"
    assert (routes.cache_s["vision"], routes.cache_s["generate"]) == (60, 3600)
    assert [one.name for one in routes.chain("generate", date(2026, 1, 1), pressure=0.95)] == ["eyes"]
    assert [one.name for one in routes.chain("generate", date(2026, 1, 1), pressure=0.5)] == ["writer", "eyes"]


def test_a_key_of_one_s_own_replaces_the_shared_one() -> None:
    routes = parse_config(f'{AZURE}[deployments.generate]\nmodel = "DeepSeek-V4-Flash"\nbearer_env = "TOKEN"\n')
    one = routes.deployments["generate"]
    assert (one.api_key_env, one.bearer_env) == (None, "TOKEN")
    assert routes.roles["generate"] == "generate", "a deployment that is called as a role serves it"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("base_url =", "is not TOML"),
        ("", "roles: none is set up"),
        ("colour = 1", "colour: is no field that is known"),
        ("[roles]\npaint = 'x'", "roles.paint: Input should be 'generate', 'reason' or 'vision'"),
        ("[roles]\nvision = 'x'", "roles.vision: no deployment is called 'x'; there are: none"),
        ("[deployments.vision]\nmodel = 'x'", "deployments.vision.base_url: is not set"),
        ("[deployments.vision]\nmodel='x'\nbase_url='ftp://h'", "deployments.vision.base_url: must start with http"),
        (f"{AZURE}wire_kind = 1", "wire_kind: is no field"),
        (f"{AZURE}[deployments.vision]\nmodel='x'\nprice=1", "deployments.vision.price: is no field"),
        (
            f"{AZURE}[deployments.vision]\nmodel='x'\nwire='smoke'",
            "deployments.vision.wire: Input should be 'azure_v1'",
        ),
        (f"{AZURE}[deployments.vision]\nmodel='x'\nfallback='y'", "deployments.vision.fallback: no deployment is"),
        (f"{AZURE}[deployments.vision]\nmodel='x'\nfallback='vision'", "fallback: comes back to 'vision' itself"),
        (f"{AZURE}[deployments.vision]\nmodel='x'\nretires_at='soon'", "deployments.vision.retires_at: "),
        (f"{AZURE}[deployments.vision]\nmodel='x'\nthinking_tokens=99999", "leaves no room for an answer"),
        (f"{AZURE}bearer_env = 'B'", "has api_key_env and bearer_env"),
        (f"{AZURE}economise_at = 2.0", "economise_at: "),
        (
            f"{AZURE}[deployments.vision]\nmodel='x'\nextra_body={{n=3}}",
            "deployments.vision.extra_body: must not hold n:",
        ),
        (f"{AZURE}[deployments.vision]\nmodel='x'\nextra_body={{max_completion_tokens=9}}", "must not hold max_comp"),
        (f"{AZURE}[cache_s]\nvision = -1", "cache_s.vision: "),
    ],
)
def test_what_is_wrong_is_named_by_its_field(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert any(told in problem for problem in caught.value.problems), caught.value.problems


def test_a_key_in_the_place_of_its_name_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(AZURE.replace("AZURE_KEY", "sk-secret-1234"))
    assert "api_key_env: " in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["https://me:sk-secret-1234@h/v1", "https://h/v1?code=sk-secret-1234", "http://h/#k"]
)
def test_an_address_holds_no_secret(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(AZURE.replace("https://r.openai.azure.com/openai/v1/", address))
    assert "base_url: must be an address alone" in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{AZURE}[deployments.vision]\nmodel='x'\nprice=1\n[deployments.reason]\nwire='y'\n")
    assert len(caught.value.problems) == 2


def test_what_is_wrong_above_all_is_told_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(AZURE.replace("azure_v1", "smoke"))
    assert caught.value.problems == ["wire: Input should be 'azure_v1', 'azure_models' or 'openai'"]


def test_retirements_say_who_follows() -> None:
    routes = parse_config(AZURE)
    first, second = retirements(routes, date(2026, 7, 1))
    assert first == Retirement("DeepSeek-V3-0324", ("generate",), date(2026, 7, 13), 12, "DeepSeek-V4-Flash")
    assert (second.deployment, second.days) == ("DeepSeek-R1", 43)
    alone = parse_config(f"{AZURE}[deployments.vision]\nmodel = 'x'\nretires_at = 2026-07-01\n")
    assert retirements(alone, date(2026, 7, 2))[0].successor is None
    assert [one.name for one in alone.chain("vision", date(2026, 7, 2))] == ["vision"], "dates move: it is asked"


def test_models_are_known_in_any_case() -> None:
    assert known("phi-4-MULTIMODAL-instruct") == known("Phi-4-multimodal-instruct") != {}
    assert known("gpt-9") == {}
