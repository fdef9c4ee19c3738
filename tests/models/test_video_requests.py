"""A request for a video: all of it or nothing, once, and somebody is woken."""

import uuid

import psycopg
import pytest
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import IntegrityError

from huntaze.models import channels, user_store, video_requests
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions, build_sessions, build_statements
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.models.video_requests import SeenObject, WantedVideo
from huntaze.pipelines.errors import Permanent
from huntaze.settings import Settings

SEEN = SeenObject("creators/x/a.mp4", "a.mp4", "video/mp4", 10, "e")
WANTED = WantedVideo(SEEN, 9, None)


@pytest.fixture
def statements(engine: Engine) -> Sessions:
    """As the API has them: each statement commits by itself."""
    return build_sessions(build_statements(engine))


def test_a_dispatcher_is_woken(statements: Sessions, creator: User, settings: Settings) -> None:
    with psycopg.connect(settings.database.libpq_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {channels.JOBS}")
        with statements() as session:
            video_requests.accept(session, creator.id, WANTED, "k", "f")
        assert [told.channel for told in listener.notifies(timeout=10, stop_after=1)] == [channels.JOBS]


def test_a_key_that_was_taken_meanwhile(statements: Sessions, creator: User) -> None:
    with statements() as session:
        first = video_requests.accept(session, creator.id, WANTED, "k", "f")
        assert video_requests.accept(session, creator.id, WANTED, "k", "f") == first
        assert video_requests.find(session, "k", "f") == first
        with pytest.raises(Permanent, match=r"request\.key_reused"):
            video_requests.accept(session, creator.id, WANTED, "k", "another")
        assert session.scalar(select(func.count()).select_from(ContentTask)) == 1


def test_a_video_that_is_gone_is_not_made_again(statements: Sessions, creator: User) -> None:
    with statements() as session:
        video_requests.accept(session, creator.id, WANTED, "k", "f")
        session.execute(delete(ContentTask))
        for again in (video_requests.find, lambda *key: video_requests.accept(session, creator.id, WANTED, *key[1:])):
            with pytest.raises(Permanent, match="was deleted"):
                again(session, "k", "f")


def test_another_creators_content_is_not_taken_and_nothing_is_left(statements: Sessions, creator: User) -> None:
    with statements() as session:
        other = user_store.ensure_user(session, f"mallory-{uuid.uuid4()}")
        video_requests.accept(session, other.id, WANTED, None, "f")
        with pytest.raises(IntegrityError):
            video_requests.accept(session, creator.id, WANTED, None, "f")
    with statements() as session:
        counts = [session.scalar(select(func.count()).select_from(table)) for table in (Content, ContentTask, Job)]
        assert counts == [1, 1, 1]
