"""What is taken for a change of an actor, and what for the weather; and what each platform is asked."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.trends.posts.health import JUMP, WATCHED, Counts, Finding, count_nulls, judge, verdict_of
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.normalise import normalise
from huntaze.pipelines.trends.posts.post import Platform, Post
from huntaze.pipelines.trends.posts.sources import BadSource, SourceSpec, check_source


def counts(posts: int, quarantined: int = 0, sentinels: int = 0, **nulls: int) -> Counts:
    return Counts(posts, quarantined, sentinels, nulls)


def test_a_field_that_vanishes_is_found_and_one_that_was_never_there_is_not() -> None:
    usual = [counts(200, likes=4, language=200)] * 3
    assert judge(usual, counts(200, likes=190, language=200)) == [Finding("null_rate", "likes", 0.02, 0.95)]
    assert judge(usual, counts(200, likes=40, language=200)) == []  # 20 %: the weather
    assert judge([], counts(200, likes=200)) == []  # a new source shows what is usual first


def test_few_rows_prove_little() -> None:
    usual = [counts(100, likes=30)]
    assert judge(usual, counts(3, likes=3)) == []
    assert judge(usual, counts(60, likes=58)) != []


def test_rows_that_are_no_posts_are_noticed_from_the_first_run_on() -> None:
    assert judge([], counts(0, quarantined=8)) == [Finding("quarantine", None, 0.0, 1.0)]
    assert judge([], counts(90, quarantined=10)) == []
    assert judge([counts(100, quarantined=60)] * 5, counts(100, quarantined=70)) == []  # it was always so


@pytest.mark.parametrize(
    ("now", "whole", "verdict"),
    [
        (counts(10), True, "sample"),
        (counts(10), False, "partial"),
        (counts(0), True, "unknown"),
        (counts(0, sentinels=1), True, "unknown"),
        (counts(0), False, "unknown"),
        (counts(10, sentinels=2), True, "sample"),
        (counts(10, sentinels=8), True, "partial"),
    ],
)
def test_what_a_run_tells(now: Counts, whole: bool, verdict: str) -> None:
    assert verdict_of(now, whole=whole, findings=[]) == verdict
    assert verdict_of(now, whole=whole, findings=[Finding("quarantine", None, 0.0, 1.0)]) == "unhealthy"


share = st.integers(0, 300).flatmap(lambda posts: st.tuples(st.just(posts), st.integers(0, posts)))


@settings(max_examples=200)
@given(st.lists(share, max_size=5), share, st.integers(0, 300))
def test_whatever_is_counted_is_judged(past: list[tuple[int, int]], now: tuple[int, int], quarantined: int) -> None:
    before = [counts(posts, likes=nulls) for posts, nulls in past]
    for finding in judge(before, counts(now[0], quarantined, likes=now[1])):
        assert 0 <= finding.usual <= 1
        assert finding.usual + JUMP < finding.seen <= 1


def test_nulls_are_counted_by_field() -> None:
    item = {"id": "1", "text": "", "createTime": 1774878892, "diggCount": -1, "playCount": 0}
    row = normalise("tiktok", item, AuthorKeys({1: b"k" * 16}), datetime(2026, 10, 1, tzinfo=UTC))
    assert isinstance(row, Post)
    found = count_nulls([row, row._replace(likes=1, text="a", hashtags=["a"])])
    assert (found["likes"], found["views"], found["text"], found["hashtags"], found["author_key"]) == (1, 0, 1, 1, 2)
    assert set(found) == set(count_nulls([])) == set(WATCHED)


@pytest.mark.parametrize("platform", list(Platform))
@pytest.mark.parametrize("query", ["#ootd", "@ada", "slow mornings"])
def test_every_platform_is_asked_within_its_cap(platform: Platform, query: str) -> None:
    spec = SourceSpec(platform, query, region="DE", language="de", max_items=77)
    if platform == Platform.GOOGLE_TRENDS:
        if query != "@ada":
            assert spec.input()["geo"] == "DE"
        return
    assert 77 in spec.input().values()
    assert query.strip("#@").replace(" ", "") in str(spec.input()).replace(" ", "")


@settings(max_examples=100)
@given(st.text(max_size=300), st.text(max_size=70), st.integers(), st.integers())
def test_a_source_is_refused_by_its_field(query: str, cron: str, items: int, charge: int) -> None:
    field = None
    try:
        check_source(SourceSpec("tiktok", query, cron, max_items=items, max_charge_micro_usd=charge))
    except BadSource as error:
        field = error.field
    assert field in (None, "query", "cron", "max_items", "max_charge_micro_usd")
