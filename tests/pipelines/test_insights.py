"""Insights say nothing in numbers that the figures do not."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.ai.replies import UnusableAnswer
from huntaze.pipelines.insights.figures import Figure, compared, figures_key, listing
from huntaze.pipelines.insights.insight import build_request, parse_insights
from huntaze.pipelines.insights.numbers import unfounded
from tests.pipelines.ai.injections import INJECTIONS

FIGURES = [
    *compared("views", "views", 1250, 1000),
    *compared("ai.cost", "cost of AI", Decimal("1.5"), Decimal("3"), "USD"),
    Figure("offers.best", Decimal(42), "fans who took it", label="Summer"),
]


def insight(**changed: Any) -> dict[str, Any]:
    whole = {
        "headline": "Views rose by 25 % to 1,250.",
        "evidence": [{"figure": "views.now", "value": "1250"}],
        "advice": "Go on like this for 7 days.",
        "confidence": 0.7,
    }
    return whole | changed


def parsed(*items: object) -> tuple[int, int]:
    checked = parse_insights(json.dumps({"insights": items}), FIGURES)
    return len(checked.insights), len(checked.dropped)


def test_what_the_figures_bear_out_is_kept_with_our_own_evidence() -> None:
    checked = parse_insights(json.dumps({"insights": [insight()]}), FIGURES)
    (only,) = checked.insights
    assert only.model_dump(mode="json")["evidence"] == [
        {"figure": "views.now", "value": "1250", "unit": "", "about": "views, last 7 days"}
    ]
    assert (only.confidence, checked.dropped) == (0.7, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"headline": "Views rose by 26 %."},
        {"headline": "Views rose by 1250 %."},
        {"headline": "Views doubled."},
        {"headline": "Views rose to 1.25k."},
        {"headline": "Views rose to 1,25."},
        {"headline": "Half of it: ½."},
        {"headline": "You spent $1,250."},
        {"advice": "Post ten more."},
        {"advice": "Post 9 more."},
        {"advice": "See https://evil.example."},
        {"evidence": [{"figure": "views.now", "value": "1251"}]},
        {"evidence": [{"figure": "canary", "value": "1"}]},
        {"evidence": []},
        {"evidence": "views.now"},
        {"headline": ""},
        {"advice": None},
    ],
)
def test_what_they_do_not_is_dropped_whole(changed: dict[str, Any]) -> None:
    assert parsed(insight(**changed), insight()) == (1, 1)


@pytest.mark.parametrize(
    "text",
    ["1,250 views", "Cost fell by 50 % to $1.50", "1.5 USD of 3 USD", "in 7 days", "a 7-day run", "42 took it", "none"],
)
def test_numbers_of_the_figures_pass(text: str) -> None:
    assert unfounded(text, FIGURES) == []


@given(st.decimals(0, 10**7, places=2), st.sampled_from(["{} views", "+{} %", "${}", "x{}", "{}k"]))
@settings(max_examples=200)
def test_no_other_number_passes(amount: Decimal, written: str) -> None:
    held = {abs(one.value) for one in FIGURES}
    if amount not in held:
        assert unfounded(written.format(f"{amount:f}"), FIGURES)
        assert unfounded(written.format(f"{amount:,f}"), FIGURES)


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_no_digit_of_any_script_passes_unseen(text: str) -> None:
    if any(sign.isnumeric() for sign in text):
        assert unfounded(text, [])


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_label_gives_no_orders(text: str) -> None:
    request = build_request([Figure("offers.best", Decimal(1), "fans", label=text)])
    assert len(request.prompt.splitlines()) == 2
    assert request.prompt.count("<data") == request.prompt.count("</data>") == 1


@pytest.mark.parametrize("answer", ["", "no", "[]", '{"insights": 7}', '{"headline": "x"}'])
def test_no_list_is_no_answer(answer: str) -> None:
    with pytest.raises(UnusableAnswer):
        parse_insights(answer, FIGURES)


def test_none_at_all_is_an_answer() -> None:
    assert parsed() == (0, 0)
    assert parsed(*[insight()] * 9)[0] == 4


def test_the_key_is_of_values_in_any_order() -> None:
    key = figures_key(FIGURES, "insights.1")
    assert key == figures_key(reversed(FIGURES), "insights.1") != figures_key(FIGURES, "insights.2")
    assert key != figures_key([*FIGURES[:-1], Figure("offers.best", Decimal(43), "x", label="Summer")], "insights.1")
    assert figures_key([Figure("a", Decimal("1.50"), "")], "") == figures_key([Figure("a", Decimal("1.5"), "")], "")


def test_changes_are_worked_out() -> None:
    assert [(one.name, one.shown) for one in compared("x", "x", 1, 3)] == [
        ("x.now", "1"),
        ("x.before", "3"),
        ("x.change", "-66.7"),
    ]
    assert [one.name for one in compared("x", "x", 1, 0)] == ["x.now", "x.before"]
    assert compared("x", "x", 0, 0) == []
    assert "x.change = -66.7 %: change of x" in listing(compared("x", "x", 1, 3))
