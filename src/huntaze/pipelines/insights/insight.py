"""Figures in, typed insights out: nothing of what a model wrote is kept that the figures do not bear out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.prompts.loading import load
from huntaze.pipelines.ai.replies import has_link, line, read_list, share
from huntaze.pipelines.insights.figures import Figure, listing
from huntaze.pipelines.insights.numbers import unfounded

PROMPT: Final = "insights.1"
MOST: Final = 4
HEADLINE_MOST, ADVICE_MOST, EVIDENCE_MOST = 160, 400, 6  # characters; characters; figures


class Evidence(BaseModel):
    """A figure as it was given to the model: ours, never the model's wording. `value`: decimal digits."""

    model_config = ConfigDict(frozen=True)

    figure: str
    value: str
    unit: str
    about: str


class Insight(BaseModel):
    """`confidence`: 0..1, the model's own."""

    model_config = ConfigDict(frozen=True)

    headline: str
    evidence: tuple[Evidence, ...]
    advice: str
    confidence: float


class _Quoted(BaseModel):
    figure: str
    value: str


class _Written(BaseModel):
    headline: str = Field(max_length=HEADLINE_MOST)
    evidence: list[_Quoted] = Field(min_length=1, max_length=EVIDENCE_MOST)
    advice: str = Field(max_length=ADVICE_MOST)
    confidence: float = Field(ge=0, le=1)


class _Answer(BaseModel):
    """What servers that can be held to a schema are held to."""

    insights: list[_Written] = Field(max_length=MOST)


_SCHEMA: Final = _Answer.model_json_schema()


@dataclass(frozen=True)
class Checked:
    """What is left of an answer. `dropped`: why each of the others is not there, for operators."""

    insights: tuple[Insight, ...]
    dropped: tuple[str, ...]


def build_request(figures: Sequence[Figure]) -> ChatRequest:
    """The question about the figures of one creator."""
    prompt = load(PROMPT)
    return ChatRequest(
        "reason",
        f"The figures:\n{listing(figures)}",
        system=prompt.system,
        max_tokens=1500,
        schema=_SCHEMA,
        prompt_version=prompt.version,
    )


def parse_insights(answer: str, figures: Sequence[Figure]) -> Checked:
    """An insight that quotes a figure wrongly, or any number that is not there, is dropped whole. Raises
    UnusableAnswer."""
    kept: list[Insight] = []
    dropped: list[str] = []
    by_name = {one.name: one for one in figures}
    for item in read_list(answer, "insights"):
        found = _insight(item, by_name)
        if isinstance(found, str):
            dropped.append(found)
        elif len(kept) < MOST:
            kept.append(found)
    return Checked(tuple(kept), tuple(dropped[:20]))


def _insight(item: Mapping[str, Any], figures: Mapping[str, Figure]) -> Insight | str:
    """The insight, or what is wrong with it."""
    headline, advice = line(item.get("headline"), HEADLINE_MOST), line(item.get("advice"), ADVICE_MOST)
    quoted = item.get("evidence")
    if not headline or not advice or not isinstance(quoted, list) or not quoted:
        return "a part of it is missing"
    if has_link(headline) or has_link(advice):
        return "it holds a link"
    evidence: list[Evidence] = []
    for one in quoted[:EVIDENCE_MOST]:
        figure = figures.get(str(one.get("figure"))) if isinstance(one, dict) else None
        if figure is None:
            return "it rests on a figure that there is not"
        if _number(one.get("value")) != figure.value:
            return f"it quotes {figure.name} wrongly"
        evidence.append(Evidence(figure=figure.name, value=figure.shown, unit=figure.unit, about=figure.about))
    if wrong := unfounded(f"{headline} \n {advice}", figures.values()):
        return f"it quotes {', '.join(wrong[:5])}, which is in no figure"
    return Insight(headline=headline, evidence=tuple(evidence), advice=advice, confidence=share(item.get("confidence")))


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip().removesuffix("%").replace(",", "").strip()[:40])
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
