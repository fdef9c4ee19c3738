"""What happened, once: the unit that everything else is counted from."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from huntaze.pipelines.analytics.metrics import METRICS, Door

MOST_VALUE = 10**12  # to either side of 0: a terabyte, a million dollars in micro-USD
MOST_LABEL = 64  # characters
MOST_REVISION = 32_767


@dataclass(frozen=True, slots=True)
class Fact:
    """One event of one creator. Of the same `event_id` the highest `revision` counts, whatever it says and when."""

    event_id: uuid.UUID
    metric: str
    occurred_at: datetime
    value: int = 0  # in the metric's unit; 0 where it has none
    person: int | None = None  # `person_key`; None where nobody is counted
    label: str = ""
    revision: int = 0


def person_key(person: str) -> int:
    """A pseudonym: 64 bits, signed, the same wherever the person appears. Names and addresses are not kept.

    Two of a million persons share a key in one of 37 million cases (the birthday bound).
    """
    return int.from_bytes(hashlib.blake2b(person.encode(), digest_size=8, person=b"huntaze").digest(), signed=True)


def complaint(metric: str, value: int | None, label: str | None, door: Door) -> tuple[str, str] | None:
    """(field, what is expected), where a fact does not suit its metric; None where it does.

    `value` and `label` are None where they were not given.
    """
    known = METRICS.get(metric)
    if known is None or known.door != door:
        taken = ", ".join(sorted(one.name for one in METRICS.values() if one.door == door))
        return "metric", f"Expected one of: {taken}"
    if (value is None) != (known.unit is None):
        return "value", f"Expected a whole number of {known.unit}" if known.unit else f"{metric} takes no value"
    if value is not None and not (0 if known.spread else -MOST_VALUE) <= value <= MOST_VALUE:
        return "value", f"Expected {0 if known.spread else -MOST_VALUE} to {MOST_VALUE} {known.unit}"
    if (label is None) != (known.label is None):
        return "label", f"Expected the {known.label}" if known.label else f"{metric} takes no label"
    return None
