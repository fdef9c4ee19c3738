"""Shapes of `/v1/ai/suggestions` and `/v1/ai/captions`. Every text is data to the model, never an instruction."""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from huntaze.api.schemas.base import Body
from huntaze.pipelines.ai import captions, suggestions
from huntaze.pipelines.ai.calls import ChatReply
from huntaze.pipelines.ai.captions import Caption
from huntaze.pipelines.ai.fence import visible
from huntaze.pipelines.ai.suggestions import Message, Speaker, Suggestion


def _something(text: str) -> str:
    if not visible(text, len(text) or 1):
        raise ValueError("There is nothing to be seen in this text")
    return text


MessageText = Annotated[
    str, StringConstraints(min_length=1, max_length=suggestions.MESSAGE_MOST), AfterValidator(_something)
]
TurnText = Annotated[str, StringConstraints(min_length=1, max_length=suggestions.TURN_MOST), AfterValidator(_something)]
StyleText = Annotated[
    str, StringConstraints(min_length=1, max_length=suggestions.NOTE_MOST), AfterValidator(_something)
]
_STYLE = "how the creator likes to sound"


class Turn(Body):
    """One message of the conversation before."""

    who: Speaker
    text: TurnText


class SuggestionsRequest(Body):
    """What to answer. Leave out names: equal questions are answered at once, and cost nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "message": "Loved the beach video! When is the next one?",
                    "before": [{"who": "creator", "text": "It is online now."}],
                    "style": "short, warm, no emoji",
                }
            ]
        }
    )

    message: MessageText = Field(description="the fan's last message")
    before: list[Turn] = Field(default=[], max_length=suggestions.TURNS_MOST, description="the oldest first")
    style: StyleText | None = Field(default=None, description=_STYLE)
    stream: bool = Field(default=False, description="as events; so does `Accept: text/event-stream`")

    def to_message(self) -> Message:
        return Message(self.message, tuple((one.who, one.text) for one in self.before), self.style)


class SuggestionView(BaseModel):
    """One reply that the creator could send. A model's words: to be read before they are sent."""

    tone: str = Field(description="warm, playful, grateful, curious, apologetic, professional or neutral")
    text: str


class SuggestionsView(BaseModel):
    """Three replies that differ."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "suggestions": [
                        {"tone": "warm", "text": "So glad you liked it! I am filming the next one now."},
                        {"tone": "playful", "text": "Already hungry for more? Stay close."},
                        {"tone": "curious", "text": "Thank you! Which part did you like best?"},
                    ],
                    "cached": False,
                    "sandbox": False,
                    "cost_micro_usd": 212,
                }
            ]
        }
    )

    suggestions: list[SuggestionView]
    cached: bool = Field(description="an answer that this creator was given before; it cost nothing")
    sandbox: bool = Field(description="no model has answered")
    cost_micro_usd: int = Field(description="millionths of a US dollar")

    @classmethod
    def of(cls, found: Sequence[Suggestion], replies: Sequence[ChatReply]) -> Self:
        shown = [SuggestionView(tone=one.tone, text=one.text) for one in found]
        return cls(suggestions=shown, **_facts(replies))


class CaptionsRequest(Body):
    """Captions for a video that was analysed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"video_id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa", "count": 3, "language": "en"}]
        }
    )

    video_id: uuid.UUID
    count: int = Field(default=3, ge=1, le=captions.COUNT_MOST)
    language: str | None = Field(
        default=None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", description="BCP 47", examples=["en"]
    )
    style: StyleText | None = Field(default=None, description=_STYLE)


class CaptionView(BaseModel):
    """One caption. Hashtags are without the sign."""

    text: str
    hashtags: list[str]


class CaptionsView(BaseModel):
    """As many as were asked for, or fewer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "captions": [{"text": "Two people, one tide.", "hashtags": ["beach", "walk"]}],
                    "cached": False,
                    "sandbox": False,
                    "cost_micro_usd": 148,
                }
            ]
        }
    )

    captions: list[CaptionView]
    cached: bool = Field(description="an answer that this creator was given before; it cost nothing")
    sandbox: bool = Field(description="no model has answered")
    cost_micro_usd: int = Field(description="millionths of a US dollar")

    @classmethod
    def of(cls, found: Sequence[Caption], replies: Sequence[ChatReply]) -> Self:
        shown = [CaptionView(text=one.text, hashtags=list(one.hashtags)) for one in found]
        return cls(captions=shown, **_facts(replies))


def _facts(replies: Sequence[ChatReply]) -> dict[str, Any]:
    return {
        "cached": all(one.cache_hit for one in replies),
        "sandbox": replies[-1].sandbox,
        "cost_micro_usd": sum(one.cost_micro_usd for one in replies),
    }
