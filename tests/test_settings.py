"""A wrong or missing variable is named, with what is expected and an example."""

from pathlib import Path

import pytest

from huntaze import settings
from huntaze.settings import GROUPS, SettingsError, load

COMPLETE = {
    "HUNTAZE_DATABASE_URL": "postgresql://u:p@h/d",
    "HUNTAZE_REDIS_URL": "redis://h/0",
    "HUNTAZE_S3_BUCKET": "bucket",
    "HUNTAZE_AI_BASE_URL": "http://h/v1",
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Without the variables of this test run, and without a .env."""
    monkeypatch.chdir(str(tmp_path))
    for group in GROUPS.values():
        for field in group.model_fields:
            monkeypatch.delenv(settings.variable(group, field), raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def test_a_complete_environment_loads_and_is_frozen() -> None:
    loaded = load()
    assert loaded.database.sqlalchemy_url == "postgresql+psycopg://u:p@h/d"
    assert loaded.database.libpq_url == "postgresql://u:p@h/d"
    with pytest.raises(Exception, match="frozen"):
        loaded.s3.bucket = "another"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HUNTAZE_DATABASE_URL", None, "HUNTAZE_DATABASE_URL: is not set"),
        ("HUNTAZE_DATABASE_URL", "mysql://h", "must start with postgresql"),
        ("HUNTAZE_REDIS_URL", "http://h", "must start with redis://"),
        ("HUNTAZE_WORKER_LEASE_S", "soon", "HUNTAZE_WORKER_LEASE_S: Input should be a valid number"),
        ("HUNTAZE_API_PORT", "70000", "HUNTAZE_API_PORT: Input should be less than or equal to 65535"),
        ("HUNTAZE_S3_ENDPOINT_URL", "s3.internal", "must start with http://"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, told: str) -> None:
    monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert told in str(caught.value)
    assert "Expected: " in str(caught.value)
    assert "Example: " in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUNTAZE_S3_BUCKET")
    monkeypatch.delenv("HUNTAZE_AI_BASE_URL")
    with pytest.raises(SettingsError, match=r"(?s)HUNTAZE_S3_BUCKET.*HUNTAZE_AI_BASE_URL"):
        load()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUNTAZE_AI_API_KEY", "very-secret")
    monkeypatch.setenv("HUNTAZE_DATABASE_URL", "mysql://u:very-secret@h/d")
    monkeypatch.setenv("HUNTAZE_AI_BASE_URL", "https://u:very-secret@h/v1")
    with pytest.raises(SettingsError, match="HUNTAZE_AI_BASE_URL: must be an address alone") as caught:
        load()
    assert "very-secret" not in str(caught.value)
    monkeypatch.setenv("HUNTAZE_AI_BASE_URL", "https://h/v1")
    assert "very-secret" not in repr(load("ai").ai)


def test_some_groups_can_be_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUNTAZE_S3_BUCKET")
    assert load("redis").redis.prefix == "huntaze:"


def test_a_file_of_deployments_takes_the_server_s_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "ai.toml"
    file.write_text('base_url = "http://h/v1"')
    monkeypatch.delenv("HUNTAZE_AI_BASE_URL")
    monkeypatch.setenv("HUNTAZE_AI_CONFIG", str(file))
    assert load("ai").ai.config == file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'base_url = "http://h/v1"\n[deployments.vision]\nmodel = "x"\nprice = 1',
            "deployments.vision.price: is no field",
        ),
        ("[roles]\nvision = 'eyes'", "roles.vision: no deployment is called 'eyes'"),
        (None, "cannot be read"),
    ],
)
def test_what_is_wrong_with_the_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "ai.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("HUNTAZE_AI_CONFIG", str(file))
    with pytest.raises(SettingsError) as caught:
        load()
    assert f"HUNTAZE_AI_CONFIG: {file}: {told}" in str(caught.value)
