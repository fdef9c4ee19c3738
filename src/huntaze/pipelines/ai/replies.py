"""What is believed of a model's answer, whatever was asked: bounded, printable, without links."""

import re
from typing import Any, Final

from huntaze.pipelines.ai.fence import visible
from huntaze.pipelines.answers import NoObject, find_object

_KEPT: Final = 8000  # characters of an answer that are kept for inspection
# An address that somebody could be led to: with a scheme, or a host's name with an ending of letters.
_LINK: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|www\.|mailto:|\b[\w-]+(?:\.[\w-]+)*\.(?:[a-z]{2,24}|xn--[a-z0-9-]+)\b(?:[/:?#]|\b)|\S@\S)",
    re.I,
)
_FILE_LIKE: Final = re.compile(r"(?<=[a-z])\.(?=[A-Z])")  # "Thanks.See you": a missing space, no host


class UnusableAnswer(ValueError):
    """`problem` says what is wrong with it, `answer` is what the model wrote, cut; both are for operators."""

    def __init__(self, problem: str, answer: str) -> None:
        super().__init__(problem)
        self.problem, self.answer = problem, answer[:_KEPT]

    @property
    def detail(self) -> str:
        """Both together."""
        return f"{self.problem}; the model wrote:\n{self.answer}"


def read_list(answer: str, key: str) -> list[dict[str, Any]]:
    """The objects of the list under `key`; what else stands in it is left out. Raises UnusableAnswer."""
    try:
        found, _ = find_object(answer, key)
    except NoObject:
        raise UnusableAnswer("there is no JSON object in it", answer) from None
    items = found.get(key)
    if not isinstance(items, list):
        raise UnusableAnswer(f'the object has no list under "{key}"', answer)
    return [item for item in items if isinstance(item, dict)]


def line(value: object, most: int) -> str:
    """Text on one line; empty for anything else."""
    return visible(value, most) if isinstance(value, str) else ""


def has_link(text: str) -> bool:
    """Whether it holds an address: a reader who trusts us could be led there."""
    return _LINK.search(_FILE_LIKE.sub(". ", text)) is not None


def share(value: object) -> float:
    """0..1; anything else is no confidence at all."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return 0.0
    return float(value)
