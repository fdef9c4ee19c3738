"""What is believed of the vision model's answer about a video: the type that `prompt` asks for, and its checks."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from huntaze.pipelines.answers import NoObject, find_object
from huntaze.pipelines.errors import Permanent

# Goes up with every change of the prompt's wording or of the fields below: answers are kept under it.
PROMPT_VERSION: Final = "2"

Rating = Literal["general", "teen", "mature", "adult", "unknown"]

_BAD_ANSWER = "The model's answer about this video could not be used. Run the analysis again."
_ANSWER_KEPT = 8000  # characters of an answer that are kept for inspection
_NOTHING = ("none", "null", "n/a", "nothing")
_JOINER = "\u200d"  # invisible, and half of all emoji are made with it


class BadAnswer(Permanent):
    """`ai.bad_answer`: no report can be made of what the model wrote. `problem` says why, `answer` is what it wrote;
    both are for operators. Asking again from the beginning is a new job, not a retry."""

    def __init__(self, problem: str, answer: str) -> None:
        super().__init__("ai.bad_answer", _BAD_ANSWER)
        self.problem, self.answer = problem, answer[:_ANSWER_KEPT]
        self.detail = f"{problem}; the model wrote:\n{self.answer}"

    def __reduce__(self) -> tuple[type["BadAnswer"], tuple[str, str]]:
        return (BadAnswer, (self.problem, self.answer))


def _text(value: object, most: int) -> str:
    """Printable text on one line, cut to `most` characters; anything but text and numbers is dropped."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    printable = "".join(sign if sign.isprintable() or sign == _JOINER else " " for sign in str(value))
    return " ".join(printable.split())[:most].rstrip()


def _line(most: int) -> Callable[[object], str]:
    return lambda value: _text(value, most)


def _lines(items: int, most: int) -> Callable[[object], tuple[str, ...]]:
    """Of a list of texts, or of one: at most `items`, without blanks, repetitions and ways to say "none"."""

    def check(value: object) -> tuple[str, ...]:
        given = value if isinstance(value, list | tuple) else (value,)
        texts = (_text(item, most) for item in given)
        return tuple(dict.fromkeys(text for text in texts if text and text.lower() not in _NOTHING))[:items]

    return check


def _words(items: int, most: int) -> Callable[[object], tuple[str, ...]]:
    """As `_lines`, in lower case; a text is taken for a list with commas."""
    lines = _lines(items, most)

    def check(value: object) -> tuple[str, ...]:
        given = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
        return lines([_text(item, most).lower().lstrip("#").strip() for item in given])

    return check


def _flags(value: object) -> tuple[str, ...]:
    """Words like `self_harm`. One that is not known is kept: a warning is not lost to its spelling."""
    return tuple(dict.fromkeys(re.sub(r"[\s-]+", "_", flag) for flag in _words(12, 40)(value)))


def _language(value: object) -> str | None:
    tag = _text(value, 35)
    return tag if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag) else None


def _rating(value: object) -> str:
    rating = _text(value, 20).lower()
    return rating if rating in get_args(Rating) else "unknown"


def _share(value: object) -> float:
    """0..1; a percentage is read as one, anything else counts as no confidence at all."""
    if isinstance(value, str) and (number := re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%?)\s*", value)):
        value = float(number[1]) / (100 if number[2] else 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return 0.0
    return float(value) if value <= 1 else value / 100


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Scene(_Frozen):
    """One cell described. `time_s` is our own time of that cell, never the model's."""

    cell: int
    time_s: float
    description: Annotated[str, BeforeValidator(_line(500))]


class Cover(_Frozen):
    """The cell the model would put in front."""

    cell: int
    time_s: float
    reason: Annotated[str, BeforeValidator(_line(300))] = ""


class Report(_Frozen):
    """The checked answer. Texts are a model's words about untrusted pictures: one line each, printable, bounded."""

    summary: Annotated[str, BeforeValidator(_line(2000))]
    tags: Annotated[tuple[str, ...], BeforeValidator(_words(20, 40))] = ()
    scenes: tuple[Scene, ...] = Field((), description="in order of time; at most one a cell")
    cover: Cover | None = None
    titles: Annotated[tuple[str, ...], BeforeValidator(_lines(5, 120))] = Field((), description="best first")
    captions: Annotated[tuple[str, ...], BeforeValidator(_lines(5, 500))] = Field((), description="best first")
    hooks: Annotated[tuple[str, ...], BeforeValidator(_lines(5, 200))] = Field(
        (), description="first lines that make somebody stop and watch"
    )
    language: Annotated[str | None, BeforeValidator(_language)] = Field(None, description="of words seen, BCP 47")
    content_rating: Annotated[Rating, BeforeValidator(_rating)] = "unknown"
    safety_flags: Annotated[tuple[str, ...], BeforeValidator(_flags)] = ()
    quality_notes: Annotated[tuple[str, ...], BeforeValidator(_lines(10, 200))] = ()
    confidence: Annotated[float, BeforeValidator(_share)] = Field(0.0, description="0..1, the model's own")
    notes: tuple[str, ...] = Field((), description="what was left out of the answer, and why")
    dropped: int = Field(0, description="scenes and covers left out, most because they name no cell of the grid")
    prompt_version: str = Field("", description="of the prompt that was answered")


def parse_report(text: str, times: Mapping[int, float]) -> Report:
    """Read the model's answer about the cells of `times`: {index: seconds}.

    Forgives what `find_object` forgives, lists given as text, percentages and missing fields; drops scenes and a cover
    whose cell does not exist, and says so in `notes` and `dropped`. Raises BadAnswer (ai.bad_answer) when there is no
    JSON object in it or the object has no summary.
    """
    try:
        answer, cut = find_object(text, "summary")
    except NoObject:
        raise BadAnswer("there is no JSON object in it", text) from None
    notes = ["the answer breaks off: what came after is missing"] if cut else []
    scenes, dropped = _scenes(answer.get("scenes"), times)
    if dropped:
        notes.append(f"{dropped} scene(s) dropped: no such cell, or no description")
    cover = _placed(answer.get("cover"), times)
    if cover is None and answer.get("cover"):
        dropped += 1
        notes.append("cover dropped: it names no cell of the grid")
    fields = {key: value for key, value in answer.items() if key in Report.model_fields}
    fields = {"summary": None, "titles": answer.get("title"), "captions": answer.get("caption")} | fields
    ours = {"notes": notes, "dropped": dropped, "prompt_version": PROMPT_VERSION}
    report = Report.model_validate(fields | {"scenes": scenes, "cover": cover} | ours)
    if not report.summary:
        raise BadAnswer('the object has no text under "summary"', text)
    return report


def _scenes(value: object, times: Mapping[int, float]) -> tuple[list[dict[str, Any]], int]:
    """The first description of each cell that exists, in order of time; and how many were dropped."""
    placed: dict[int, dict[str, Any]] = {}
    dropped = 0
    for item in value if isinstance(value, list) else []:
        scene = _placed(item, times)
        if scene is None or not _text(scene.get("description"), 1):
            dropped += 1
        else:
            placed.setdefault(scene["cell"], scene)
    return [placed[index] for index in sorted(placed)], dropped


def _placed(item: object, times: Mapping[int, float]) -> dict[str, Any] | None:
    """The item with its cell as a number and our own time; None when it points nowhere."""
    if not isinstance(item, dict):
        return None
    number = re.fullmatch(r"#?([0-9]{1,3})(\.0)?", _text(item.get("cell"), 8))
    if number is None or int(number[1]) not in times:
        return None
    return item | {"cell": int(number[1]), "time_s": times[int(number[1])]}
