"""Web server logs in the combined format -> facts of `web.requests`."""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from huntaze.pipelines.analytics.facts import Fact, person_key

# https://httpd.apache.org/docs/2.4/logs.html#combined; a request or agent may hold escaped quotes, and is not read.
_LINE = re.compile(r'(\S+) \S+ \S+ \[([^\]]{20,40})\] "(?:[^"\\]|\\.)*" (\d{3}) (\d{1,12}|-)(?: |$)')
_NAMES = uuid.UUID("0d3e6b52-9f0c-5c1a-8a34-1f7a64a3c0de")


class BadLine(ValueError):
    """A line that is not in the format. `number` counts from 1."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} is not in the combined log format")
        self.number = number


def read_combined(lines: Iterable[str]) -> Iterator[Fact]:
    """One fact a line: the label is the status, the value the bytes sent, the person the client's address.

    A line's id comes of its text, and of how often the same text stood before it: reading a log twice gives the same
    facts, and two equal requests stay two. Raises BadLine.
    """
    seen: Counter[str] = Counter()
    for number, text in enumerate(lines, 1):
        line = text.rstrip("\r\n")
        found = _LINE.match(line)
        if found is None:
            raise BadLine(number)
        address, written, status, size = found.groups()
        try:
            occurred_at = datetime.strptime(written, "%d/%b/%Y:%H:%M:%S %z")
        except ValueError:
            raise BadLine(number) from None
        seen[line] += 1
        yield Fact(
            event_id=uuid.uuid5(_NAMES, f"{seen[line]} {line}"),
            metric="web.requests",
            occurred_at=occurred_at,
            value=0 if size == "-" else int(size),
            person=person_key(address),
            label=status,
        )
