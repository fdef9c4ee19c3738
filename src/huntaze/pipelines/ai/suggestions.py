"""A fan's message in, three replies out that the creator could send."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.fence import fence, visible
from huntaze.pipelines.ai.prompts.loading import load
from huntaze.pipelines.ai.replies import UnusableAnswer, has_link, line, read_list

PROMPT: Final = "suggestions.1"
COUNT: Final = 3
MESSAGE_MOST, TURN_MOST, TURNS_MOST, NOTE_MOST, REPLY_MOST = 2000, 600, 10, 500, 600  # characters; turns

Tone = Literal["warm", "playful", "grateful", "curious", "apologetic", "professional", "neutral"]
Speaker = Literal["fan", "creator"]


class Suggestion(BaseModel):
    """One reply. A tone that is not known is `neutral`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tone: Tone
    text: str = Field(max_length=REPLY_MOST)


class _Answer(BaseModel):
    """What servers that can be held to a schema are held to."""

    suggestions: list[Suggestion] = Field(min_length=COUNT, max_length=COUNT)


_SCHEMA: Final = _Answer.model_json_schema()


@dataclass(frozen=True)
class Message:
    """What a fan wrote. `before`: (who, text), the oldest first; `note`: how the creator likes to sound."""

    text: str
    before: Sequence[tuple[Speaker, str]] = field(default=())
    note: str | None = None


def build_request(message: Message) -> ChatRequest:
    """The question. Whoever wrote what is in it, all of it is fenced."""
    prompt = load(PROMPT)
    lines = [f"{who} wrote: {fence('message', text, TURN_MOST)}" for who, text in message.before[-TURNS_MOST:]]
    lines.append(f"fan wrote, and waits for a reply: {fence('message', message.text, MESSAGE_MOST)}")
    if message.note:
        lines.append(f"The creator's style: {fence('style', message.note, NOTE_MOST)}")
    return ChatRequest(
        "generate",
        "\n".join(lines),
        system=prompt.system,
        max_tokens=900,
        schema=_SCHEMA,
        prompt_version=prompt.version,
    )


def parse_suggestions(answer: str) -> tuple[Suggestion, ...]:
    """Three that differ. One that holds a link is not used: a fan may have asked the model for it. Raises
    UnusableAnswer."""
    found = _distinct(_suggestion(item) for item in read_list(answer, "suggestions"))
    if len(found) < COUNT:
        raise UnusableAnswer(f"{len(found)} of {COUNT} suggestions can be used", answer)
    return found[:COUNT]


def _distinct(items: Any) -> tuple[Suggestion, ...]:
    return tuple({one.text.casefold(): one for one in reversed([one for one in items if one])}.values())[::-1]


def _suggestion(item: dict[str, Any]) -> Suggestion | None:
    text = line(item.get("text"), REPLY_MOST)
    if not text or has_link(text):
        return None
    tone = visible(str(item.get("tone")), 40).lower()
    return Suggestion(tone=tone if tone in get_args(Tone) else "neutral", text=text)  # type: ignore[arg-type]


class Incoming:
    """Suggestions out of an answer that is still being written, each as soon as it is whole."""

    def __init__(self) -> None:
        self._text, self._at, self._shown = "", -1, list[Suggestion]()
        self._decoder = json.JSONDecoder()

    def feed(self, piece: str) -> list[Suggestion]:
        """Those that this piece completes, three in all at most. What cannot be read gives none: the whole answer is
        read again at its end, and more forgivingly."""
        self._text += piece
        if self._at < 0:
            key = self._text.find('"suggestions"')
            self._at = self._text.find("[", key) + 1 if key >= 0 and self._text.find("[", key) >= 0 else -1
        fresh = list[Suggestion]()
        while self._at >= 0 and "}" in piece and len(self._shown) < COUNT:
            begin = self._text.find("{", self._at)
            try:
                item, self._at = self._decoder.raw_decode(self._text, begin) if begin >= 0 else (None, self._at)
            except (ValueError, RecursionError):
                break
            one = _suggestion(item) if isinstance(item, dict) else None
            if item is None:
                break
            if one and one.text.casefold() not in {each.text.casefold() for each in self._shown}:
                self._shown.append(one)
                fresh.append(one)
        return fresh
