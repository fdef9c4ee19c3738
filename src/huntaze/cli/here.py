"""Which fleet a command speaks to: the one the environment names, else the one that runs in this folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from huntaze.cli.stack.rundir import published
from huntaze.settings import GROUPS, Settings, given, load

DATA_DIR = Path(".huntaze")


@dataclass(frozen=True)
class ApiAccess:
    """Where the API is, and a key for it."""

    url: str
    key: str


def settings_here(*groups: str) -> Settings:
    """The settings for these groups. Raises SettingsError."""
    if not given(GROUPS["database"]):
        os.environ.update(published(DATA_DIR).get("environment", {}))
    return load(*groups)


def api_here(url: str | None, key: str | None) -> ApiAccess | None:
    """The API that was named, or the running fleet's; None where there is neither."""
    facts = published(DATA_DIR)
    url = url or facts.get("urls", {}).get("api")
    key = key or facts.get("key")
    return ApiAccess(url, key) if url and key else None
