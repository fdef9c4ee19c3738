"""What was seen in a video in, captions to publish it with out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.fence import fence, visible
from huntaze.pipelines.ai.prompts.loading import load
from huntaze.pipelines.ai.replies import UnusableAnswer, has_link, line, read_list

PROMPT: Final = "captions.1"
COUNT_MOST, CAPTION_MOST, HASHTAGS_MOST, NOTE_MOST = 5, 500, 8, 500  # captions; characters; words; characters
_SCENES_MOST: Final = 16


class Caption(BaseModel):
    """One caption. Hashtags are without the sign."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(max_length=CAPTION_MOST)
    hashtags: tuple[str, ...] = ()


class _Answer(BaseModel):
    """What servers that can be held to a schema are held to."""

    captions: list[Caption] = Field(min_length=1, max_length=COUNT_MOST)


_SCHEMA: Final = _Answer.model_json_schema()


@dataclass(frozen=True)
class Seen:
    """A video by its analysis (pipelines/video/report.py, as JSON). `language`: BCP 47, that of the captions."""

    analysis: Mapping[str, Any]
    count: int = 3
    language: str | None = None
    note: str | None = None


def build_request(seen: Seen) -> ChatRequest:
    """The question. An analysis is a model's words about pictures that anybody can write into: it is fenced too."""
    prompt, analysis = load(PROMPT), seen.analysis
    scenes = [one for one in analysis.get("scenes") or () if isinstance(one, dict)][:_SCENES_MOST]
    lines = [
        f"Captions asked for: {seen.count}",
        f"Summary: {fence('summary', str(analysis.get('summary') or ''), 2000)}",
        *(f"Seen: {fence('scene', str(one.get('description') or ''), 300)}" for one in scenes),
        f"Tags: {fence('tags', ', '.join(map(str, analysis.get('tags') or ())), 400)}",
    ]
    if seen.language:
        lines.append(f"Language of the captions: {fence('language', seen.language, 35)}")
    if seen.note:
        lines.append(f"The creator's style: {fence('style', seen.note, NOTE_MOST)}")
    return ChatRequest(
        "generate",
        "\n".join(lines),
        system=prompt.system,
        max_tokens=300 * seen.count,
        schema=_SCHEMA,
        prompt_version=prompt.version,
    )


def parse_captions(answer: str, count: int) -> tuple[Caption, ...]:
    """`count` at most, one at least; one that holds a link is not used. Raises UnusableAnswer."""
    found = [one for item in read_list(answer, "captions") if (one := _caption(item))]
    distinct = tuple({one.text.casefold(): one for one in reversed(found)}.values())[::-1]
    if not distinct:
        raise UnusableAnswer("no caption can be used", answer)
    return distinct[:count]


def _caption(item: dict[str, Any]) -> Caption | None:
    text = line(item.get("text"), CAPTION_MOST)
    if not text or has_link(text):
        return None
    given = item.get("hashtags")
    words = [visible(str(word), 40).lstrip("#").lower() for word in given] if isinstance(given, list) else []
    kept = dict.fromkeys(word for word in words if word.replace("_", "").isalnum())
    return Caption(text=text, hashtags=tuple(kept)[:HASHTAGS_MOST])
