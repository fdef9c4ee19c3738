"""Server-Sent Events: live, resumable, without gap or repeat."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from sqlalchemy import text

from huntaze.api.app import build_app
from huntaze.api.server import GRACE_S
from huntaze.api.streams import StreamPolicy, Streams
from huntaze.models import event_store, user_store
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.models.events import Event
from huntaze.models.users import User
from huntaze.settings import Settings
from tests.api.conftest import Connect, Serve
from tests.api.listening import emitted, following, in_background, placed, placed_silently


def test_news_come_live(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    placed(sessions, creator.id, 0)  # before the stream: not news
    with api.stream("GET", "/v1/events") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
    with following(api) as stream:
        assert stream.opening.fields["retry"] == "2000"
        placed(sessions, creator.id, 1, 2)
        block = stream.block()
        while block.comment is not None:
            block = stream.block()
        event = block.event
        assert (event["type"], event["data"]) == ("test.counted", {"n": 1})
        assert set(event) == {"position", "type", "subject_id", "created_at", "data"}
        assert stream.numbers(1) == [2]


def test_a_disconnect_costs_nothing(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with following(api) as stream:
        placed(sessions, creator.id, 1, 2, 3)
        assert stream.numbers(2) == [1, 2]
    placed(sessions, creator.id, 4)
    with following(api, {"Last-Event-ID": stream.last_id}) as again:
        placed(sessions, creator.id, 5)
        assert again.numbers(3) == [3, 4, 5]
    with following(api, after=stream.last_id) as by_query:
        assert by_query.numbers(3) == [3, 4, 5]
    with following(api, {"Last-Event-ID": again.last_id}, after=stream.last_id) as both:
        placed(sessions, creator.id, 6)
        assert both.numbers(1) == [6], "the header is newer than the URL it was first called by"


def test_cut_off_before_the_first_event(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with following(api) as stream:
        pass
    placed(sessions, creator.id, 1)
    with following(api, {"Last-Event-ID": stream.opening.fields["id"]}) as again:
        assert again.numbers(1) == [1]


def test_what_commits_late_is_not_skipped(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with following(api) as stream, sessions() as slow:
        event_store.emit(slow, creator.id, "test.counted", uuid.uuid4(), {"n": 1})  # earlier id, not committed
        placed(sessions, creator.id, 2, 3)
        assert stream.numbers(2) == [2, 3]
        slow.commit()
        placed(sessions, creator.id, 4)
        assert stream.numbers(2) == [1, 4], "each once, in the order of the stream"


def test_what_has_no_position_is_not_told(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with following(api) as stream:
        emitted(sessions, creator.id, 1)
        assert stream.block().comment == ": keep-alive"
        with sessions.begin() as session:
            event_store.place(session)
        assert stream.numbers(1) == [1]


def test_writers_placers_and_cuts_at_once(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    total, seen, position = 200, [], "0"

    def write() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: placed(sessions, creator.id, n), range(total)))

    with sessions() as session:
        position = str(event_store.last_position(session))
    with in_background(write):
        while len(seen) < total:  # cut off after every few events
            with following(api, {"Last-Event-ID": position}) as stream:
                seen += stream.numbers(min(23, total - len(seen)))
                position = stream.last_id
    assert sorted(seen) == list(range(total)), "no gap, no repeat"
    with sessions() as session:
        expected = session.query(Event).order_by(Event.position).all()
    assert seen == [event.data["n"] for event in expected]


def test_a_long_absence_is_caught_up_in_batches(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with sessions.begin() as session:
        start = event_store.last_position(session)
        session.add_all(
            Event(creator_id=creator.id, type="test.counted", subject_id=uuid.uuid4(), data={"n": n})
            for n in range(450)
        )
        session.flush()
        event_store.place(session)
        order = [event.data["n"] for event in event_store.read_after(session, creator.id, start, 1000)]
    with following(api, after=start) as stream:
        blocks = [stream.block() for _ in order]
    assert [block.comment for block in blocks] == [None] * 450, "one batch after the other, without a wait between"
    assert [block.event["data"]["n"] for block in blocks] == order


def test_each_creator_has_its_own(
    api: httpx.Client, other: httpx.Client, creator: User, stranger: User, sessions: Sessions
) -> None:
    with following(api) as mine, following(other) as theirs:
        placed(sessions, stranger.id, 1)
        placed(sessions, creator.id, 2)
        assert mine.numbers(1) == [2]
        assert theirs.numbers(1) == [1]
        assert theirs.block().comment == ": keep-alive"


def test_a_position_from_the_future_counts_as_now(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with following(api, after=2**62) as stream:
        placed(sessions, creator.id, 1)
        assert stream.numbers(1) == [1]


@pytest.mark.parametrize("value", ["-1", "x", str(2**63), "1.5"])
def test_a_mistake_is_named(api: httpx.Client, value: str) -> None:
    by_header = api.get("/v1/events", headers={"Last-Event-ID": value})
    assert (by_header.status_code, by_header.json()["errors"][0]["field"]) == (422, "Last-Event-Id")
    by_query = api.get("/v1/events", params={"after": value})
    assert (by_query.status_code, by_query.json()["errors"][0]["field"]) == (422, "after")


def test_a_revoked_key_ends_its_streams(
    connect: Connect, creator: User, make_key: Callable[..., str], sessions: Sessions
) -> None:
    key = make_key(creator)
    with following(connect(key)) as stream:
        with sessions.begin() as session:
            user_store.revoke_key(session, key.split("_")[1])
        with pytest.raises(EOFError):
            stream.numbers(1)


def test_streams_of_a_creator_are_bounded(connect: Connect, creator: User, make_key: Callable[..., str]) -> None:
    key = make_key(creator)
    with ExitStack() as stack:
        kept = [stack.enter_context(following(connect(key))) for _ in range(5)]
        with connect(key).stream("GET", "/v1/events") as refused:
            assert refused.status_code == 429
            assert json.loads(refused.read())["code"] == "streams.too_many"
            assert int(refused.headers["retry-after"]) > 0
        assert "huntaze_open_streams 5.0" in connect().get("/metrics").text
        del kept
    assert attempt_until_open(connect(key)), "a place is free again as soon as the server has seen the cut"


def attempt_until_open(client: httpx.Client) -> bool:
    for _ in range(200):
        with client.stream("GET", "/v1/events") as response:
            if response.status_code == 200:
                return True
    return False


def test_lost_notifications_and_a_lost_connection(
    serve: Serve, settings: Settings, creator: User, make_key: Callable[..., str], sessions: Sessions
) -> None:
    app = build_app(settings, policy=StreamPolicy(poll_s=0.2))
    headers = {"Authorization": f"Bearer {make_key(creator)}"}
    with (
        serve(app) as url,
        httpx.Client(base_url=url, headers=headers, timeout=10) as client,
        following(client) as stream,
    ):
        emitted(sessions, creator.id, 1)
        placed_silently(sessions)
        assert stream.numbers(1) == [1], "found by looking"
        with sessions.begin() as session:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'huntaze-api%'"
            session.execute(text(cut))
        placed(sessions, creator.id, 2)
        assert stream.numbers(1) == [2], "the stream outlives its connections"


def test_a_database_that_is_away_is_not_asked_without_a_pause() -> None:
    engine = build_engine("postgresql+psycopg://x:secret@127.0.0.1:9/x", pool_size=1, application="tests")
    streams = Streams(StreamPolicy(keep_alive_s=9, recheck_s=0.05, retry_s=0.2))
    streams.serve_from(build_sessions(engine))

    async def follow(rounds: int) -> None:
        with streams.opened(uuid.uuid4()) as stream:
            async for batch in stream.batches(lambda: True):
                assert batch == []
                rounds -= 1
                if rounds == 0:
                    streams.close()

    begun = time.monotonic()
    asyncio.run(follow(5))
    assert time.monotonic() - begun > 5 * 0.2 - 0.1, "the key was to be asked for again meanwhile"


def test_a_stop_ends_the_streams_at_once(
    serve: Serve, settings: Settings, creator: User, make_key: Callable[..., str]
) -> None:
    app = build_app(settings)
    headers = {"Authorization": f"Bearer {make_key(creator)}"}
    with httpx.Client(headers=headers, timeout=10) as client:
        with serve(app) as url:
            response = client.send(client.build_request("GET", f"{url}/v1/events"), stream=True)
            lines = response.iter_lines()
            assert next(lines) == "retry: 2000"
            begun = time.monotonic()
        # The server is gone by now: it did not wait for the client, nor for the grace that requests get.
        assert time.monotonic() - begun < GRACE_S - 1
        assert [line for line in lines if line][1:] == []
        response.close()
