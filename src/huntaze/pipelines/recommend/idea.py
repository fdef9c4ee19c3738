"""What to make of a trend: a model's words, where its numbers hold, else a plain sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, Field

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.fence import fence
from huntaze.pipelines.ai.prompts.loading import load
from huntaze.pipelines.ai.replies import UnusableAnswer, has_link, line, read_list
from huntaze.pipelines.insights.figures import Figure
from huntaze.pipelines.insights.numbers import unfounded

PROMPT: Final = "ideas.1"
IDEAS: Final = 5  # trends a call
IDEA_MOST, LABEL_MOST, RELATED_MOST = 400, 100, 5  # characters; characters; tags


@dataclass(frozen=True)
class Subject:
    """A trend as the idea is about it. `terms`: what it has in common with the creator's work."""

    label: str
    related: Sequence[str]
    terms: Sequence[str]
    posts: int
    authors: int
    platforms: Sequence[str]
    state: str

    @property
    def figures(self) -> list[Figure]:
        """All the numbers that an idea may quote."""
        return [
            Figure("posts", Decimal(self.posts), "posts that raised the alarm"),
            Figure("authors", Decimal(self.authors), "their authors"),
        ]


class _Idea(BaseModel):
    trend: int = Field(ge=1, le=IDEAS)
    idea: str = Field(max_length=IDEA_MOST)


class _Answer(BaseModel):
    """What servers that can be held to a schema are held to."""

    ideas: list[_Idea] = Field(max_length=IDEAS)


def build_request(subjects: Sequence[Subject]) -> ChatRequest:
    """One question for all of them. Names of trends are anybody's words, and fenced."""
    prompt = load(PROMPT)
    return ChatRequest(
        "generate",
        "\n".join(_lines(number, one) for number, one in enumerate(subjects, start=1)),
        system=prompt.system,
        max_tokens=1000,
        schema=_Answer.model_json_schema(),
        prompt_version=prompt.version,
    )


def _lines(number: int, one: Subject) -> str:
    related = ", ".join(one.related[:RELATED_MOST])
    return "\n".join(
        (
            f"Trend {number}: {fence('trend', one.label, LABEL_MOST)}, {one.state}, on {', '.join(one.platforms)}",
            f"  posted with: {fence('related', related, 2 * LABEL_MOST)}",
            f"  in common: {fence('common', ', '.join(one.terms), 2 * LABEL_MOST)}",
            *(f"  {figure.name} = {figure.shown}: {figure.about}" for figure in one.figures),
        )
    )


def parse_ideas(answer: str, subjects: Sequence[Subject]) -> dict[int, str]:
    """{place: idea} of those that can be used. Raises UnusableAnswer if that is none."""
    found: dict[int, str] = {}
    for item in read_list(answer, "ideas"):
        number, idea = item.get("trend"), _idea(item)
        if type(number) is int and 1 <= number <= len(subjects) and idea and _holds(idea, subjects[number - 1]):
            found.setdefault(number - 1, idea)
    if not found:
        raise UnusableAnswer("no idea can be used", answer)
    return found


def _idea(item: dict[str, Any]) -> str:
    idea = line(item.get("idea"), IDEA_MOST)
    return "" if has_link(idea) else idea


def _holds(idea: str, subject: Subject) -> bool:
    """Digits of the trend's own name are no figures."""
    return not unfounded(idea.replace(subject.label, "").replace(subject.label.lstrip("#"), ""), subject.figures)


def template(one: Subject) -> str:
    """The same for the same trend, of its figures alone."""
    rising = {"emerging": "is rising", "peaking": "is at its peak"}.get(one.state, "is still talked about")
    told = f"{one.label} {rising} on {' and '.join(one.platforms)}: {one.posts} posts by {one.authors} authors."
    if one.terms:
        return f"{told} It touches what you make ({', '.join(one.terms[:3])}): show your own take on it."
    return f"{told} It is new ground for you: try it with one short post."
