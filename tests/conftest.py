"""Real stores for every floor above the pipelines. Each test process starts its own, so tests run side by side."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, text

from huntaze.cli.stack.stores import Stores, embedded_stores
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import schema, user_store
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.models.users import User
from huntaze.settings import Settings, load

# A machine that is busy is not a failure: what hangs is found by whoever waits for the suite.
hypothesis_settings.register_profile("huntaze", deadline=None)
hypothesis_settings.load_profile("huntaze")

# xdist tells its workers a terminal's width; what the tests read is a pipe, which has none.
os.environ.pop("COLUMNS", None)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with embedded_stores(tmp_path_factory.mktemp("stores")) as started:
        yield started


@pytest.fixture(scope="session")
def environment(stores: Stores) -> dict[str, str]:
    """The variables that point a process of the fleet at the stores of this test run."""
    return {
        "HUNTAZE_DATABASE_URL": stores.database_url,
        "HUNTAZE_REDIS_URL": stores.redis_url,
        "HUNTAZE_S3_ENDPOINT_URL": stores.s3.endpoint_url,
        "HUNTAZE_S3_ACCESS_KEY_ID": stores.s3.access_key,
        "HUNTAZE_S3_SECRET_ACCESS_KEY": stores.s3.secret_key,
        "HUNTAZE_S3_BUCKET": "huntaze-test",
        "HUNTAZE_AI_BASE_URL": "http://127.0.0.1:9/v1",  # nobody listens: a test that needs a model brings one
        "HUNTAZE_FLOWER_PASSWORD": secrets.token_urlsafe(12),
        "HUNTAZE_WEBHOOKS_KEY": secrets.token_urlsafe(32),
    }


@pytest.fixture(scope="session")
def settings(environment: dict[str, str]) -> Settings:
    os.environ.update(environment)
    return load()


@pytest.fixture(scope="session")
def migrated(settings: Settings) -> Iterator[Engine]:
    engine = build_engine(settings.database.sqlalchemy_url, pool_size=20, application="tests")
    schema.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    """The database, with empty tables."""
    tables = ", ".join(t.name for t in schema.METADATA.sorted_tables if t.name != "event_position")
    with migrated.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables}"))
    return migrated


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return build_sessions(engine)


@pytest.fixture
def creator(sessions: Sessions) -> User:
    with sessions.begin() as session:
        return user_store.ensure_user(session, "ada")


@pytest.fixture(scope="session")
def objects(settings: Settings) -> Iterator[S3ObjectStore]:
    store = S3ObjectStore(settings.s3)
    store.ensure_bucket()
    yield store
    store.close()


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Finds a file of the shared folder; skips the test, saying so, where it is missing."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{path} is missing: this test needs the shared folder beside the project")
        return path

    return find
