"""Recommendations as values: what is relevant, what is left out, what is explored and with what chance."""

import random
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.recommend.evaluation import coverage, diversity, ndcg, recall
from huntaze.pipelines.recommend.interests import Interests, Said, Work, learn
from huntaze.pipelines.recommend.rank import (
    Candidate,
    Pick,
    Scored,
    Trends,
    diversify,
    explore,
    inclusion,
    recommend,
    score,
)
from huntaze.pipelines.recommend.words import tags_of, words_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def trend(name: str, text: str = "", strength: float = 2.0, peak_h: float = 1, **tags: float) -> Candidate:
    began = NOW - timedelta(hours=peak_h)
    return Candidate(
        uuid.uuid5(uuid.NAMESPACE_DNS, name), name, f"{name} {text}", {name: 1.0, **tags}, strength, 0.9, began, began
    )


BREAD = trend("sourdough", "bread flour oven crust", baking=0.8)
RYE = trend("rye", "bread flour oven crust grain", baking=0.8)
CARS = trend("drift", "engine wheels racing", strength=3.0, cars=0.7)
KNIT = trend("crochet", "wool yarn needles", cosy=0.5)
ALL = [BREAD, RYE, CARS, KNIT]
BAKER = Work("Fresh bread with a crust from my oven", ["baking", "kitchen"], NOW - 5 * DAY)


def names(picks: list[Pick]) -> list[str]:
    return [one.scored.candidate.name for one in picks]


def shown(*works: Work, said: tuple[Said, ...] = (), slots: int = 4, of: list[Candidate] | None = None) -> list[Pick]:
    trends = Trends(of or ALL)
    return recommend(trends, learn(works, said, NOW, trends.rarity), NOW, random.Random(1), slots)


def said(one: Candidate, *, used: bool) -> Said:
    return Said(one.id, used, one.text, list(one.tags), NOW)


def test_own_work_says_what_is_relevant_and_why() -> None:
    first = shown(BAKER)[0]
    assert first.scored.candidate in (BREAD, RYE)
    assert {"bread", "baking"} <= set(first.scored.terms)
    assert (first.explored, first.propensity) == (False, 1.0)


def test_without_any_work_the_strongest_come_first() -> None:
    assert names(shown())[0] == "drift"
    assert shown(slots=0) == shown(of=[BREAD], said=(said(BREAD, used=True),)) == []


def test_worth_is_relevance_times_strength_times_freshness() -> None:
    trends = Trends(ALL)
    interests = learn([BAKER], (), NOW, trends.rarity)
    worth = score(trends, BREAD, interests, NOW)
    assert worth.score == pytest.approx(worth.relevance * worth.strength * worth.freshness)
    later = score(trends, BREAD, interests, NOW + DAY)
    assert later.freshness == pytest.approx(worth.freshness / 2)
    assert score(trends, replace(BREAD, strength=9.0), interests, NOW).strength > worth.strength


def test_what_was_made_since_the_trend_began_is_not_recommended() -> None:
    made = Work("My first loaf", ["#Sourdough"], NOW)
    told = Work("A day of rye and butter", [], NOW)
    before = replace(made, at=BREAD.started_at - DAY)
    assert "sourdough" not in names(shown(BAKER, made))
    assert "rye" not in names(shown(BAKER, told))
    assert "sourdough" in names(shown(BAKER, before))


def test_feedback_changes_what_comes_next() -> None:
    assert names(shown(BAKER))[0] in ("sourdough", "rye")
    disliked = shown(BAKER, said=(said(BREAD, used=False),))
    assert "sourdough" not in names(disliked)
    plain, after = ({p.scored.candidate.name: p.scored.relevance for p in picks} for picks in (shown(BAKER), disliked))
    assert after["rye"] < plain["rye"], "what is like it, too"
    more = trend("racing", "engine wheels circuit", cars=0.9)
    liked = shown(said=(said(CARS, used=True),), of=[*ALL, more])
    assert names(liked)[0] == "racing"
    assert "drift" not in names(liked)


def test_what_comes_after_now_is_not_known() -> None:
    rarity = Trends(ALL).rarity
    assert learn([replace(BAKER, at=NOW + DAY)], [replace(said(BREAD, used=True), at=NOW + DAY)], NOW, rarity) == (
        Interests()
    )


def test_variety_takes_the_place_of_more_of_the_same() -> None:
    twins = [trend(f"bread{letter}", "bread flour oven crust baking", baking=0.9) for letter in "abcd"]
    trends = Trends([*twins, CARS, *(trend(f"other{letter}") for letter in "abcdefghijklmnopqrstuvwxyz")])
    ranked = [Scored(one, 1.0 - at / 100, 1.0, 1.0, ()) for at, one in enumerate(twins)]
    ranked.append(Scored(CARS, 0.9, 1.0, 1.0, ()))
    assert [one.candidate.name for one in diversify(trends, ranked, 2)] == ["breada", "drift"]


def test_a_tenth_explores() -> None:
    many = [trend(f"trend{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}", strength=1 + n) for n in range(60)]
    picks = shown(BAKER, of=many, slots=20)
    assert [one.explored for one in picks] == [False] * 18 + [True] * 2
    assert all(0 < one.propensity < 1 for one in picks[18:])
    assert len(set(names(picks))) == 20


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.integers(1, 10), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_chances_add_up_and_are_kept(weights: list[float], count: int, seed: int) -> None:
    chances = inclusion(weights, count)
    assert sum(chances) == pytest.approx(min(count, len(weights)))
    assert all(0 < one <= 1 + 1e-9 for one in chances)
    rest = [Scored(trend(f"t{at}"), 1.0, min(1.0, weight), 1.0, ()) for at, weight in enumerate(weights)]
    picks = explore(rest, count, random.Random(seed))
    assert len({one.scored.candidate.id for one in picks}) == len(picks) == min(count, len(weights))


def test_a_propensity_is_how_often_it_happens() -> None:
    rest = [Scored(trend(f"t{at}"), 1.0, weight, 1.0, ()) for at, weight in enumerate((0.9, 0.5, 0.1, 0.1))]
    chance, seen, expected = random.Random(3), Counter[str](), inclusion([0.9, 0.5, 0.1, 0.1], 2)
    for _ in range(4000):
        picks = explore(rest, 2, chance)
        seen.update(names(picks))
        assert all(one.propensity == expected[int(one.scored.candidate.name[1:])] for one in picks)
    assert [seen[f"t{at}"] / 4000 for at in range(4)] == pytest.approx(expected, abs=0.03)
    with pytest.raises(ValueError, match="below 0"):
        inclusion([-1.0], 1)


def test_words_and_tags_are_canonical() -> None:
    assert words_of("The BEST Crust, ever & ever") == ["best", "crust", "ever", "ever"]
    assert tags_of(["Home Office", "#FYP", "homeoffice", "123"]) == ["homeoffice"]


def test_measures_against_values_worked_out_by_hand() -> None:
    assert ndcg("abc", {"a", "c"}) == pytest.approx((1 + 0.5) / (1 + 0.63093), abs=1e-5)
    assert (ndcg("abc", set()), recall("abc", {"a", "z"}), recall("abc", set())) == (0.0, 0.5, 0.0)
    assert coverage(["ab", "bc"], 4) == 0.75
    assert diversity([{"a": 1.0}, {"a": 1.0}, {"b": 1.0}]) == pytest.approx(2 / 3)
