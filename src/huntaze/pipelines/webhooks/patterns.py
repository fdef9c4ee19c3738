"""What an endpoint subscribes to: `video.analyzed`, all of a noun (`video.*`), or everything (`*`)."""

import re
from collections.abc import Iterable

EVERYTHING = "*"
_PATTERN = re.compile(r"(?:[a-z][a-z0-9_]*\.)+(?:[a-z][a-z0-9_]*|\*)|\*")


def is_pattern(text: str) -> bool:
    """Whether it can match an event's type."""
    return len(text) <= 64 and _PATTERN.fullmatch(text) is not None


def wants(patterns: Iterable[str], type: str) -> bool:
    """Whether one of the patterns matches. The fan-out says the same in SQL; a test compares both."""
    return any(
        pattern in (EVERYTHING, type) or (pattern.endswith(".*") and type.startswith(pattern[:-1]))
        for pattern in patterns
    )
