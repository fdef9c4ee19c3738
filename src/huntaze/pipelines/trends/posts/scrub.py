"""What is kept of a row that did not become a post: enough to mend a normaliser by, and nobody in it."""

import math
import re
from typing import Any, Final

from huntaze.pipelines.trends.posts.fields import words

_DEEPEST: Final = 5
_MOST: Final = 60  # fields of an object
_LIST_MOST: Final = 5
_TEXT_MOST: Final = 300
GONE: Final = "…"
# Names, pictures, bios, other people's words, and addresses, which hold names. What only counts them stays.
_PERSONAL = re.compile(
    "author|owner|user|channel|profile|avatar|bio|signature|nick|name|description|comment|mention|tagged|coauthor"
    "|email|phone|url|link|location|place|flair",
    re.IGNORECASE,
)
_COUNTS = re.compile("(count|counts|number|numberof[a-z]*)$", re.IGNORECASE)


def scrub(value: object, depth: int = 0) -> Any:
    """The value as JSON that PostgreSQL stores, cut short, without what names or describes a person."""
    if isinstance(value, dict) and depth < _DEEPEST:
        fields = list(value.items())[:_MOST]
        return {words(name[:64]): _field(name, inner, depth) for name, inner in fields if isinstance(name, str)}
    if isinstance(value, list) and depth < _DEEPEST:
        return [scrub(inner, depth + 1) for inner in value[:_LIST_MOST]]
    if isinstance(value, str):
        return words(value[:_TEXT_MOST])
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else GONE
    return value if isinstance(value, float) and math.isfinite(value) else GONE


def _field(name: str, value: object, depth: int) -> Any:
    if _PERSONAL.search(name) and not (_COUNTS.search(name) and isinstance(value, int)):
        return value if value is None or isinstance(value, bool) else GONE
    return scrub(value, depth + 1)
