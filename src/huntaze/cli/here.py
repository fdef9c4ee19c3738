"""Which fleet a command speaks to: the one the environment names, else the one that runs in this folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huntaze.cli.output import reachable
from huntaze.cli.stack.rundir import published
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.setting_groups import ClientSettings
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


@contextmanager
def ledger(command: str) -> Iterator[Sessions]:
    """The database, for one command; a sentence where it is away. Raises SettingsError, Failed."""
    url = settings_here("database").database.sqlalchemy_url
    engine = build_engine(url, pool_size=1, application=f"huntaze-{command}")
    try:
        with reachable():
            yield build_sessions(engine)
    finally:
        engine.dispose()


def api_here(url: str | None, key: str | None) -> ApiAccess | None:
    """The API that was named, here or in the settings, or the running fleet's; None where there is neither."""
    named = ClientSettings()
    facts = published(DATA_DIR)
    url = url or named.url or facts.get("urls", {}).get("api")
    key = key or (named.key.get_secret_value() if named.key else None) or facts.get("key")
    return ApiAccess(url, key) if url and key else None
