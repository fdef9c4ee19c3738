"""Settings: read once, at the door, from the environment and from `.env`; frozen from then on.

Every variable is declared in `setting_groups.py` with what it means and an example; `.env.example` and the errors come
from there.
"""

import os
from collections.abc import Mapping
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, ValidationError

from huntaze.setting_groups import (
    AISettings,
    ApifySettings,
    ApiSettings,
    BillingSettings,
    ClientSettings,
    DatabaseSettings,
    FlowerSettings,
    Group,
    InvoiceSettings,
    RedisSettings,
    RetentionSettings,
    S3Settings,
    WebhookSettings,
    WorkerSettings,
)


class SettingsError(Exception):
    """The environment does not describe a fleet. The message names each variable, what is expected and an example."""


GROUPS: dict[str, type[Group]] = {
    "database": DatabaseSettings,
    "redis": RedisSettings,
    "s3": S3Settings,
    "ai": AISettings,
    "api": ApiSettings,
    "worker": WorkerSettings,
    "retention": RetentionSettings,
    "webhooks": WebhookSettings,
    "billing": BillingSettings,
    "apify": ApifySettings,
    "flower": FlowerSettings,
    "invoice": InvoiceSettings,
}


class Settings(BaseModel):
    """All groups."""

    model_config = ConfigDict(frozen=True)

    database: DatabaseSettings
    redis: RedisSettings
    s3: S3Settings
    ai: AISettings
    api: ApiSettings
    worker: WorkerSettings
    retention: RetentionSettings
    webhooks: WebhookSettings
    billing: BillingSettings
    apify: ApifySettings
    flower: FlowerSettings
    invoice: InvoiceSettings


def load(*names: str) -> Settings:
    """Reads the environment and `.env` of the working directory. Raises SettingsError, naming all that is wrong.

    With `names`, only these groups are looked at, and the settings hold nothing else: for commands that need no more.
    """
    groups: dict[str, Group] = {}
    problems: list[str] = []
    for name in names or GROUPS:
        try:
            groups[name] = GROUPS[name]()
        except ValidationError as error:
            problems += [_explain(GROUPS[name], problem) for problem in error.errors()]
    if problems:
        raise SettingsError("\n".join(["The settings are not usable:", *problems, "All variables: .env.example"]))
    return Settings.model_construct(None, **groups)  # the groups have been validated, each by itself


def given(group: type[Group]) -> list[str]:
    """The variables of a group that are set, in the environment or in `.env`."""
    present = {name.upper() for name, value in {**dotenv_values(".env"), **os.environ}.items() if value}
    return [name for field in group.model_fields if (name := variable(group, field)) in present]


def variable(group: type[Group], field: str) -> str:
    """The environment variable of a field."""
    return f"{group.model_config.get('env_prefix', '')}{field}".upper()


def _explain(group: type[Group], problem: Mapping[str, Any]) -> str:
    field = str(problem["loc"][0])
    info = group.model_fields[field]
    trouble = "is not set" if problem["type"] == "missing" else str(problem["msg"]).removeprefix("Value error, ")
    example = (info.examples or [""])[0]
    return f"  {variable(group, field)}: {trouble}. Expected: {info.description}. Example: {example}"


def example_file() -> str:
    """The text of `.env.example`: every variable, what it means, its default or an example."""
    lines = [
        "# Every variable of the fleet. Made from src/huntaze/setting_groups.py (make env-example).",
        "# `huntaze up` needs none of them: what is not set here is embedded.",
    ]
    groups: list[type[Group]] = [*GROUPS.values(), ClientSettings]
    for group in groups:
        lines.append("")
        for field, info in group.model_fields.items():
            required = info.is_required()
            value = (info.examples or [""])[0] if required or info.default is None else info.default
            lines.append(f"# {info.description}{' (required)' if required else ''}")
            lines.append(f"#{variable(group, field)}={value}")
    return "\n".join(lines) + "\n"
