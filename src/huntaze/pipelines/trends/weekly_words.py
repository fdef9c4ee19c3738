"""What a week of trends means: a model's words, where each of their numbers holds, else plain sentences. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, Field

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.prompts.loading import load
from huntaze.pipelines.ai.replies import UnusableAnswer, has_link, line, read_list
from huntaze.pipelines.insights.figures import listing
from huntaze.pipelines.insights.numbers import unfounded
from huntaze.pipelines.trends.weekly import TOLD, Risen, Week, figures_of

PROMPT: Final = "trend_report.1"
PARAGRAPHS: Final = 4
TEXT_MOST: Final = 600  # characters of a paragraph
_RISING: Final = {"emerging": "It is still rising", "peaking": "It is at its peak", "fading": "It is fading"}


class _Paragraph(BaseModel):
    text: str = Field(max_length=TEXT_MOST)


class _Answer(BaseModel):
    """What servers that can be held to a schema are held to."""

    paragraphs: list[_Paragraph] = Field(max_length=PARAGRAPHS)


def build_request(week: Week) -> ChatRequest:
    """The question about one week. Names of trends are anybody's words, and fenced."""
    prompt = load(PROMPT)
    return ChatRequest(
        "reason",
        f"The figures:\n{listing(figures_of(week))}",
        system=prompt.system,
        max_tokens=1500,
        schema=_Answer.model_json_schema(),
        prompt_version=prompt.version,
    )


def parse_words(answer: str, week: Week) -> list[str]:
    """The paragraphs that can be used: without links, and with no number that is not a figure of the week. Raises
    UnusableAnswer if that is none."""
    figures = figures_of(week)
    told = [line(item.get("text"), TEXT_MOST) for item in read_list(answer, "paragraphs")]
    held = [one for one in told if one and not has_link(one) and not unfounded(_without_names(one, week), figures)]
    if not held:
        raise UnusableAnswer("no paragraph can be used", answer)
    return held[:PARAGRAPHS]


def _without_names(text: str, week: Week) -> str:
    """Digits of a trend's own name are no figures; a name of nothing but digits has to have its sign."""
    for name in _names(week.trends[:TOLD]):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text)
    return text


def _names(trends: Iterable[Risen]) -> list[str]:
    """The longest first: one may be a part of another."""
    labels = {one.label for one in trends}
    bare = {label.lstrip("#") for label in labels}
    return sorted({one for one in labels | bare if re.search(r"[^\W\d]", one) or one.startswith("#")}, key=len)[::-1]


def template(week: Week) -> list[str]:
    """The same for the same week, of its figures alone."""
    if not week.trends:
        return ["Nothing rose in these days, in what your own sources and everybody's have shown."]
    began = "1 trend began" if week.began == 1 else f"{week.began:,} trends began"
    told = [f"{began} in these seven days; in the seven before it was {week.began_before:,}."]
    one = week.trends[0]
    shown = f"{one.posts:,} posts by {one.authors:,} authors raised the alarm, at {one.alarm} times what it takes"
    on = " and ".join(one.platforms)
    told.append(f"The strongest was {one.label} on {on}: {shown}. {_RISING.get(one.state, 'It is over')}.")
    others = [other.label for other in week.trends[1:4]]
    if others:
        told.append(f"After it came {', '.join(others)}.")
    return told
