"""The schema as a whole: migrations forward, and whether the database is where this code expects it."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from huntaze.models.tables import METADATA

_LOCK = 0x68756E74617A65  # "huntaze": two upgrades at once take turns


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> tuple[str | None, str | None]:
    """Applies all outstanding migrations; returns the revisions before and after. Safe to run from many places."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = MigrationContext.configure(connection).get_current_revision()
        command.upgrade(_config(connection), "head")
        after = MigrationContext.configure(connection).get_current_revision()
    return before, after


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The database's revision and the newest that this code knows; they differ where an upgrade is due."""
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(_config(connection))
        return MigrationContext.configure(connection).get_current_revision(), script.get_current_head()


def differences(engine: Engine) -> list[object]:
    """What the tables in the database lack or have beyond the models; empty where they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": METADATA}
        )
        return list(compare_metadata(context, METADATA))


def make_revision(engine: Engine, message: str, number: str) -> Path:
    """Writes the next migration from the difference between models and database, for a developer to read and mend."""
    with engine.begin() as connection:
        script = command.revision(_config(connection), message=message, autogenerate=True, rev_id=number)
    assert script is not None
    assert not isinstance(script, list)
    return Path(script.path)
