"""Pages come in once, however often and in whatever order they are read."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from huntaze.models import trend_ingest, trend_retention
from huntaze.models.database import Sessions
from huntaze.models.trend_ingest import PageOf, Stored
from huntaze.models.trend_posts import Post, PostMetric, TrendInterest, TrendRawRow
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.normalise import normalise

KEYS = AuthorKeys({3: b"k" * 16})
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def page_of(**changes: Any) -> PageOf:
    made = PageOf(uuid.uuid4(), uuid.uuid4(), f"set-{uuid.uuid4()}", NOW, KEYS.version, "DE", "de")
    return replace(made, **changes)


def video(number: int, **fields: Any) -> dict[str, Any]:
    base = {
        "id": str(7_000_000_000 + number),
        "diggCount": number,
        "playCount": 10 * number,
        "text": f"clip {number} #tag",
        "createTime": 1774878892 + number,
    }
    return {
        **base,
        "authorMeta": {"name": f"user{number % 5}"},
        "diggCount": number,
        "playCount": 10 * number,
        **fields,
    }


def store(sessions: Sessions, page: PageOf, items: list[Any], offset: int = 0, platform: str = "tiktok") -> Stored:
    told = [normalise(platform, item, KEYS, page.observed_at) for item in items]
    with sessions.begin() as session:
        return trend_ingest.store_page(session, page, offset, told, items)


def counts(sessions: Sessions) -> tuple[int, ...]:
    """Posts, figures, raw rows."""
    with sessions() as session:
        tables = (Post, PostMetric, TrendRawRow)
        return tuple(session.scalars(select(func.count()).select_from(table)).one() for table in tables)


def only(sessions: Sessions) -> Post:
    with sessions() as session:
        return session.scalars(select(Post)).one()


def test_a_page_that_is_read_again_changes_nothing(sessions: Sessions) -> None:
    page, items = page_of(), [video(n) for n in range(20)]
    first = store(sessions, page, items)
    assert (first.rows, first.posts, first.posts_new, first.quarantined) == (20, 20, 20, 0)
    assert first.nulls["sound_id"] == 20
    assert first.nulls["likes"] == 0
    before = counts(sessions)
    assert before == (20, 20, 20)
    again = store(sessions, page, items)
    assert (again.posts, again.posts_new) == (20, 0)
    assert counts(sessions) == before


def test_a_post_is_one_row_with_the_newest_figures(sessions: Sessions) -> None:
    store(sessions, page_of(), [video(1, diggCount=5, playCount=50)])
    later = page_of(observed_at=NOW + timedelta(hours=2))
    assert store(sessions, later, [video(1, diggCount=9, playCount=-1)]).posts_new == 0
    found = only(sessions)
    assert (found.likes, found.views, found.observed_at) == (9, 50, later.observed_at)  # hidden now is not nought
    assert found.first_seen_at == NOW
    between = page_of(observed_at=NOW + timedelta(hours=1))
    store(sessions, between, [video(1, diggCount=7)])  # a look that comes in late
    assert only(sessions).likes == 9
    with sessions() as session:
        likes = session.scalars(select(PostMetric.likes).order_by(PostMetric.observed_at)).all()
    assert likes == [5, 7, 9]


def test_the_same_post_twice_on_one_page(sessions: Sessions) -> None:
    assert store(sessions, page_of(), [video(1), video(1, diggCount=8)]).posts == 1
    assert only(sessions).likes == 8
    assert counts(sessions) == (1, 1, 2)


def test_what_a_post_has(sessions: Sessions) -> None:
    page = page_of()
    store(sessions, page, [video(3, textLanguage="fr", isAd=True, musicMeta={"musicId": "9", "musicName": "la la"})])
    found = only(sessions)
    assert (found.platform, found.native_id, found.kind) == ("tiktok", "7000000003", "video")
    assert (found.text, found.hashtags, found.sound_id, found.sound_name) == ("clip 3 #tag", ["tag"], "9", "la la")
    assert (found.region, found.language, found.is_ad, found.is_repost) == ("DE", "fr", True, None)
    assert (found.author_key, found.author_key_version) == (KEYS.key("tiktok", "user3"), 3)
    assert (found.source_id, found.run_id, found.created_exact) == (page.source_id, page.run_id, True)


def test_rows_that_are_no_posts_are_kept_with_their_reason_and_without_people(sessions: Sessions) -> None:
    bad = {"text": "mail ada@example.org", "authorMeta": {"name": "ada", "signature": "bio"}, "createTime": 1774878892}
    stored = store(sessions, page_of(), [video(1), bad, {"noResults": True}, {}], offset=100)
    assert (stored.posts, stored.quarantined, stored.sentinels) == (1, 1, 2)
    with sessions() as session:
        raw = session.scalars(select(TrendRawRow).order_by(TrendRawRow.row_offset)).all()
    assert [(row.row_offset, row.outcome, row.reason) for row in raw] == [
        (100, "post", None),
        (101, "quarantined", "id_missing"),
        (102, "sentinel", "no_results"),
        (103, "sentinel", "empty"),
    ]
    assert [row.body for row in raw[2:]] == [{"noResults": True}, {}]
    assert raw[0].body is None
    assert raw[1].author_key == KEYS.key("tiktok", "ada")
    assert raw[1].body == {"text": "mail …@…", "authorMeta": "…", "createTime": 1774878892}


def test_comments_are_not_kept_at_all(sessions: Sessions) -> None:
    store(sessions, page_of(), [{"dataType": "comment", "id": "x", "body": "somebody's words"}], platform="reddit")
    with sessions() as session:
        raw = session.scalars(select(TrendRawRow)).one()
    assert (raw.outcome, raw.reason, raw.body) == ("ignored", "comment", None)


def test_search_interest(sessions: Sessions) -> None:
    points = [{"time": 1773136000 + n, "value": [n], "hasData": [n != 2]} for n in range(4)]
    item = {"searchTerm": "web", "interestOverTime_timelineData": points}
    page = page_of()
    for _ in range(2):
        assert store(sessions, page, [item], platform="google_trends").posts == 1
    with sessions() as session:
        assert session.scalars(select(TrendInterest.value).order_by(TrendInterest.at)).all() == [0, 1, None, 3]


@pytest.mark.parametrize("hostile", ["\0", "\ud800", "\\", "\t\n\\N", '{"a"}', "'", "x" * 100_000])
def test_texts_that_break_copies_do_not(sessions: Sessions, hostile: str) -> None:
    text = f"a {hostile} b #t{hostile[:3]}"
    store(sessions, page_of(), [video(1, text=text, musicMeta={"musicName": hostile, "musicId": "1"})])
    expected = hostile.replace("\0", "").replace("\ud800", "?")
    assert only(sessions).text == f"a {expected} b #t{expected[:3]}"[:5000].strip()


def test_pages_with_posts_in_common_do_not_block_each_other(sessions: Sessions) -> None:
    items = [video(n) for n in range(200)]
    orders = [items, items[::-1], items[100:] + items[:100], items[::2] + items[1::2]] * 2

    def one(number: int) -> int:
        observed = NOW + timedelta(minutes=number)
        return store(sessions, page_of(observed_at=observed), orders[number]).posts_new

    with ThreadPoolExecutor(len(orders)) as pool:
        fresh = list(pool.map(one, range(len(orders))))
    assert sum(fresh) == 200
    assert counts(sessions)[:2] == (200, 200 * len(orders))


def test_each_row_is_known_by_its_place(sessions: Sessions) -> None:
    items = [video(1), {}, video(2), video(3), {}, {}, video(4)]
    store(sessions, page_of(), items, offset=7)
    with sessions() as session:
        places = select(TrendRawRow.row_offset).where(TrendRawRow.outcome == "post")
        assert session.scalars(places.order_by(TrendRawRow.row_offset)).all() == [7, 9, 10, 13]


def test_pages_in_one_transaction_are_apart(sessions: Sessions) -> None:
    with sessions.begin() as session:
        for first in (0, 10):
            page = page_of(observed_at=NOW + timedelta(hours=first))
            items = [video(n) for n in range(first, first + 12)]
            told = [normalise("tiktok", item, KEYS, page.observed_at) for item in items]
            fresh = trend_ingest.store_page(session, page, first, told, items).posts_new
    assert fresh == 10
    assert counts(sessions) == (22, 24, 24)


def test_old_posts_go_whoever_found_them(sessions: Sessions) -> None:
    old = NOW - timedelta(days=40)
    made = {"createTime": int((old - timedelta(days=1)).timestamp())}
    for number in range(3):  # a source each
        store(sessions, page_of(observed_at=old), [video(number, **made), video(number + 10, **made)])
    store(sessions, page_of(), [video(1, **made), video(20)])  # seen again, and one of today
    with sessions.begin() as session:
        assert trend_retention.prune_posts(session, NOW - timedelta(days=30)) == 5
        assert trend_retention.prune_posts(session, NOW - timedelta(days=30)) == 0
    with sessions() as session:
        left = session.scalars(select(Post.native_id).order_by(Post.native_id)).all()
    assert left == ["7000000001", "7000000020"]
    assert counts(sessions)[1] == 3
