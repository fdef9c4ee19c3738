"""Every normaliser against the shapes that its actors were seen to write, and against anything at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.trends.posts.identity import AuthorKeys, BadKeys, parse_keys
from huntaze.pipelines.trends.posts.normalise import NORMALISERS, normalise
from huntaze.pipelines.trends.posts.post import Interest, InterestPoint, NoPost, Outcome, Platform, Post, Row, post_url

KEYS = AuthorKeys({1: b"k" * 16})
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
Rows = Callable[[str, str], list[Row]]


@pytest.fixture
def rows(shared: Callable[[str], Path]) -> Rows:
    """The rows of a file of the shared folder, normalised."""

    def read(platform: str, name: str) -> list[Row]:
        items = json.loads(shared(f"data/apify_items/{name}.json").read_text())
        return [normalise(platform, item, KEYS, NOW) for item in items]

    return read


def one(platform: str, **item: Any) -> Row:
    return normalise(platform, item, KEYS, NOW)


def post(platform: str, **item: Any) -> Post:
    row = one(platform, **item)
    assert isinstance(row, Post), row
    return row


TIKTOK: dict[str, Any] = {"id": "73", "text": "a", "createTime": 1774878892}


def test_tiktok(rows: Rows) -> None:
    shop, outfit, slides = rows(Platform.TIKTOK, "clockworks_tiktok-scraper")
    assert isinstance(shop, Post)
    assert isinstance(outfit, Post)
    assert isinstance(slides, Post)
    assert shop[:5] == ("tiktok", "7623046776752295175", "video", datetime(2026, 3, 30, 13, 54, 52, tzinfo=UTC), True)
    assert (shop.sound_id, shop.sound_name, shop.language) == ("7623046815311923988", "sonido original", "es")
    assert (shop.views, shop.likes, shop.comments, shop.shares, shop.saves) == (165, 4, 0, 0, 0)
    assert (shop.is_ad, shop.author_key) == (False, KEYS.key("tiktok", "redacted_shop"))
    assert outfit.hashtags == ["foruyou", "fürdich", "outfit", "fit", "viralvideos"]  # the row lists the first alone
    assert (slides.kind, slides.text, slides.hashtags) == ("carousel", "", [])
    assert (slides.sound_id, slides.language) == (None, None)  # "0" and "un" say that nobody knows


def test_tiktok_by_hashtag(rows: Rows) -> None:
    (found,) = rows(Platform.TIKTOK, "clockworks_tiktok-scraper.hashtag-fixture")
    assert isinstance(found, Post)
    assert found.created_at == datetime(2024, 7, 15, 7, 53, 20, tzinfo=UTC)  # there is no createTime
    assert found.hashtags == ["menswear", "style"]
    assert (found.sound_id, found.is_ad, found.saves) == (None, False, 890)


def test_instagram(rows: Rows) -> None:
    picture, reel, carousel = rows(Platform.INSTAGRAM, "apify_instagram-scraper")
    assert isinstance(picture, Post)
    assert isinstance(reel, Post)
    assert isinstance(carousel, Post)
    assert (picture.kind, picture.likes, picture.views, picture.is_ad) == ("image", 55952, None, None)
    assert "@redacted" not in picture.text
    assert (reel.kind, reel.views, reel.sound_id) == ("video", 241820, "27237433435884969")
    assert (carousel.kind, carousel.comments, carousel.is_ad) == ("carousel", 0, False)
    assert carousel.created_at == datetime(2026, 8, 27, 7, 0, 32, tzinfo=UTC)
    assert post_url(reel.platform, reel.native_id) == "https://www.instagram.com/p/DZN3mhZBQ_Q/"


def test_instagram_errors_inside_a_run_that_succeeded(rows: Rows) -> None:
    expected = [NoPost(Outcome.SENTINEL, "no_results")] * 2
    assert rows(Platform.INSTAGRAM, "apify_instagram-scraper.errors") == expected


def test_x(rows: Rows) -> None:
    (found,) = rows(Platform.X, "apidojo_tweet-scraper")
    assert isinstance(found, Post)
    assert (found.native_id, found.created_at) == ("1840490505370513838", datetime(2024, 9, 29, 20, 35, 5, tzinfo=UTC))
    assert "Bob & Hack" in found.text
    assert (found.hashtags, found.is_repost, found.is_ad) == (["Jets"], False, None)
    assert (found.views, found.likes, found.comments, found.shares, found.saves) == (4885, 151, 16, 5, 1)
    (lite,) = rows(Platform.X, "apidojo_twitter-scraper-lite")
    assert isinstance(lite, Post)
    assert (lite.views, lite.likes, lite.language) == (None, 104121, "en")


def test_x_held_off(rows: Rows) -> None:
    assert rows(Platform.X, "apidojo_tweet-scraper.noresults") == [NoPost(Outcome.SENTINEL, "no_results")]


def test_reddit(rows: Rows) -> None:
    (old,) = rows(Platform.REDDIT, "trudax_reddit-scraper")
    assert isinstance(old, Post)
    assert (old.native_id, old.community, old.likes, old.comments) == ("1ave16e", "LuxuryTravel", 1, 0)
    assert old.text.startswith("Luxury accommodation scams")
    assert old.author_key == KEYS.key("reddit", "redacted")
    (feed,) = rows(Platform.REDDIT, "trudax_reddit-scraper-lite.fixture")
    assert isinstance(feed, Post)
    assert (feed.likes, feed.comments, feed.is_ad) == (None, None, None)
    assert feed.text == "Async runtimes in Rust\n\ntokio vs async-std"
    pro, comment = rows(Platform.REDDIT, "harshmaur_reddit-scraper-pro")
    assert isinstance(pro, Post)
    assert (pro.native_id, pro.likes, pro.comments, pro.kind) == ("1virjqk", 4, 8, "text")
    assert comment == NoPost(Outcome.IGNORED, "comment")


def test_youtube(rows: Rows) -> None:
    clip, old, short = rows(Platform.YOUTUBE, "streamers_youtube-scraper")
    assert isinstance(clip, Post)
    assert isinstance(old, Post)
    assert isinstance(short, Post)
    assert (clip.created_at, clip.created_exact) == (datetime(2021, 12, 21, tzinfo=UTC), False)
    assert (clip.views, clip.likes, clip.comments) == (35582192, 512238, 14)
    assert clip.author_key == KEYS.key("youtube", "StromaeVEVO")
    assert (old.created_exact, old.likes, old.comments) == (False, None, None)
    assert NOW - old.created_at - timedelta(days=5 * 365.2425) < timedelta(minutes=1)
    assert (short.kind, short.created_exact, short.comments) == ("short", True, 0)


def test_google_trends(rows: Rows) -> None:
    (found,) = rows(Platform.GOOGLE_TRENDS, "apify_google-trends-scraper")
    first, second = datetime.fromtimestamp(1673136000, UTC), datetime.fromtimestamp(1673740800, UTC)
    points = InterestPoint("web scraping", first, 99), InterestPoint("web scraping", second, 96)
    assert found == Interest(points)


def test_search_interest_without_data_is_not_nought() -> None:
    point = {"time": "1673136000", "value": [0], "hasData": [False]}
    found = one(Platform.GOOGLE_TRENDS, searchTerm="x", interestOverTime_timelineData=[point])
    assert isinstance(found, Interest)
    assert found.points[0].value is None
    empty = one(Platform.GOOGLE_TRENDS, searchTerm="x", interestOverTime_timelineData=[])
    assert empty == NoPost(Outcome.SENTINEL, "no_results")


@pytest.mark.parametrize(
    "platform", [Platform.TIKTOK, Platform.INSTAGRAM, Platform.X, Platform.REDDIT, Platform.YOUTUBE]
)
def test_what_lacks_id_time_or_text_is_quarantined(platform: Platform) -> None:
    whole: dict[str, Any] = {"id": "73", "text": "a", "caption": "a", "title": "a", "body": "a"}
    whole |= dict.fromkeys(("createTime", "timestamp", "createdAt", "date"), "2026-09-30T10:00:00Z")
    assert isinstance(one(platform, **whole), Post)
    for missing, reason in (("id", "id_missing"), ("time", "time_missing"), ("text", "text_missing")):
        gone = {"time": ("createTime", "timestamp", "createdAt", "date"), "text": ("text", "caption", "title", "body")}
        left = {name: value for name, value in whole.items() if name not in gone.get(missing, (missing,))}
        row = one(platform, **left)
        assert isinstance(row, NoPost)
        assert (row.outcome, row.reason) == (Outcome.QUARANTINED, reason)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({}, "empty"),
        ({"noResults": True}, "no_results"),
        ({"demo": True}, "demo"),
        ({"type": "mock_tweet", "id": -1, "text": "sponsored"}, "demo"),
        ({"error": "not_found", "errorDescription": "Post does not exist"}, "no_results"),
        ({"url": "x", "error": "CHANNEL_HAS_NO_VIDEOS", "note": "..."}, "held_off"),
        ({"errorCode": "NOT_FOUND", "input": "x"}, "no_results"),
        ({"error": "429 Too Many Requests"}, "held_off"),
    ],
)
def test_rows_that_stand_for_no_rows(item: dict[str, Any], reason: str) -> None:
    assert {normalise(platform, item, KEYS, NOW) for platform in NORMALISERS} == {NoPost(Outcome.SENTINEL, reason)}


def test_an_error_field_that_is_null_is_no_error() -> None:
    assert post(Platform.TIKTOK, **TIKTOK, error=None, errorCode="").native_id == "73"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-1, None),
        (0, 0),
        (None, None),
        (True, None),
        ("1,234", 1234),
        ("1.2K", 1200),
        ("3M", 3_000_000),
        ("many", None),
        (12.0, 12),
        (float("nan"), None),
        (float("inf"), None),
        (10**30, None),
        ([], None),
    ],
)
def test_counts(value: object, expected: int | None) -> None:
    assert post(Platform.TIKTOK, **TIKTOK, diggCount=value).likes == expected


@pytest.mark.parametrize(
    ("value", "expected", "exact"),
    [
        (1774878892, "2026-03-30T13:54:52", True),
        (1774878892000, "2026-03-30T13:54:52", True),
        (1774878892000000, "2026-03-30T13:54:52", True),
        ("1774878892", "2026-03-30T13:54:52", True),
        ("1774878892000", "2026-03-30T13:54:52", True),
        ("2026-03-30T15:54:52+02:00", "2026-03-30T13:54:52", True),
        ("2026-03-30 13:54:52", "2026-03-30T13:54:52", True),
        ("2026-03-30", "2026-03-30T00:00:00", False),
        ("Mon Mar 30 13:54:52 +0000 2026", "2026-03-30T13:54:52", True),
        ("Mon, 30 Mar 2026 13:54:52 GMT", "2026-03-30T13:54:52", True),
        ("2 hours ago", "2026-10-01T10:00:00", False),
        ("Streamed 3 minutes ago", "2026-10-01T11:57:00", True),
        ("a day ago", "2026-09-30T12:00:00", False),
    ],
)
def test_times(value: object, expected: str, exact: bool) -> None:
    found = post(Platform.YOUTUBE, id="a", title="t", date=value)
    assert (found.created_at, found.created_exact) == (datetime.fromisoformat(expected).replace(tzinfo=UTC), exact)


@pytest.mark.parametrize(
    "value", [None, "", "soon", 0, -5, True, 1e300, 10**400, "9999 years ago", "2030-01-01", "1970-01-01", "9" * 20, []]
)
def test_times_that_are_none(value: object) -> None:
    assert one(Platform.YOUTUBE, id="a", title="t", date=value) == NoPost(Outcome.QUARANTINED, "time_missing")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#one#two #Two, #three.", ["one", "two", "three"]),
        ("a #हिन्दी b", ["हिन्दी"]),
        ("#café_olé ＃東京 今日は#大阪。", ["café_olé", "東京", "大阪"]),
        ("#☁️ #👩‍🚀", ["☁️", "👩‍🚀"]),
        ("C#minor https://x.com/#top #1 # ##", []),
        ("it&#39;s #fun&amp;games", ["fun"]),
    ],
)
def test_hashtags_of_a_text(text: str, tags: list[str]) -> None:
    assert sorted(post(Platform.TIKTOK, **{**TIKTOK, "text": text}).hashtags) == sorted(tags)


def test_a_tag_is_told_once_whoever_tells_it() -> None:
    named = [{"name": "OOTD"}, {"name": "ootd"}, {"name": ""}, None, "#fit"]
    assert post(Platform.TIKTOK, **{**TIKTOK, "text": "#ootd #new"}, hashtags=named).hashtags == ["OOTD", "fit", "new"]


def test_texts_name_nobody() -> None:
    text = post(Platform.TIKTOK, **{**TIKTOK, "text": "by @ada.l and mail ada@example.org \0 \ud800"}).text
    assert "ada" not in text
    assert "example.org" not in text
    assert text.encode()
    assert "\0" not in text


def test_authors_are_told_apart_and_not_named() -> None:
    found = post(Platform.TIKTOK, **TIKTOK, authorMeta={"name": "Ada", "signature": "a bio", "avatar": "https://pic"})
    assert found.author_key == KEYS.key("tiktok", "@ada")
    assert found.author_key != KEYS.key("x", "ada")
    assert found.author_key != AuthorKeys({1: b"o" * 16}).key("tiktok", "ada")
    assert not {"Ada", "ada", "a bio", "https://pic"} & {str(value) for value in found}
    assert post(Platform.REDDIT, id="a", title="t", createdAt=1774878892, username="[deleted]").author_key is None


def test_keys_rotate() -> None:
    both = parse_keys("2:" + "ab" * 16 + ", 1:" + "6b" * 16)
    assert both.version == 2
    assert both.key("tiktok", "ada") not in (None, KEYS.key("tiktok", "ada"))
    assert set(both.all_keys("tiktok", "ada")) == {both.key("tiktok", "ada"), KEYS.key("tiktok", "ada")}
    assert "6b" not in repr(both)
    for bad in ("", "1", "1:xyz", "1:ab", "0:" + "ab" * 16, "x:" + "ab" * 16):
        with pytest.raises(BadKeys):
            parse_keys(bad)


NAMES = [
    *("id", "type", "text", "caption", "title", "body", "content", "error", "noResults", "dataType", "isVideo", "lang"),
    *("createTime", "createTimeISO", "timestamp", "createdAt", "date", "time", "value", "hasData", "name", "userName"),
    *("authorMeta", "author", "musicMeta", "musicInfo", "hashtags", "entities", "channelUrl", "mediaType"),
    *("diggCount", "likesCount", "likeCount", "searchTerm", "interestOverTime_timelineData", "textLanguage"),
    "communityName",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["2026-09-30", "1774878892", "#a @b", "-1", "post", "5 years ago", "\ud800\0", "@" * 60])
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.sampled_from(list(Platform)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12) | VALUES)
def test_whatever_comes_becomes_something(platform: Platform, item: object) -> None:
    row = normalise(platform, item, KEYS, NOW)
    if isinstance(row, Post):
        assert row.text.encode() is not None
        assert "\0" not in "".join((row.native_id, row.text, *row.hashtags, row.sound_name or "", row.language or ""))
        assert row.created_at <= NOW + timedelta(days=1)
        assert all(value is None or 0 <= value < 2**63 for value in row[-5:])
    else:
        assert isinstance(row, Interest) or row.reason


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8).map(lambda name: f"new_{name}"), VALUES, max_size=4))
def test_fields_that_nobody_knows_change_nothing(unknown: dict[str, Any]) -> None:
    assert one(Platform.TIKTOK, **TIKTOK, **unknown) == one(Platform.TIKTOK, **TIKTOK)
