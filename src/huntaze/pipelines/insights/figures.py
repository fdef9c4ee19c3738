"""A creator's own figures, as a model is shown them and as its words are checked against."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from huntaze.pipelines.ai.fence import fence

WINDOW_DAYS: Final = 7  # figures are of so many whole days, and of as many before
PERCENT: Final = "%"
LABEL_MOST: Final = 80


@dataclass(frozen=True)
class Figure:
    """One number. `name` and `about` are ours; `label` is somebody's word for what it is of. `unit`: "" for a count,
    "%" for a change, an ISO 4217 code for money in major units."""

    name: str
    value: Decimal
    about: str
    unit: str = ""
    label: str | None = None

    @property
    def shown(self) -> str:
        """The value in digits, without an exponent and without noughts that say nothing."""
        text = f"{self.value:f}"
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text

    @property
    def money(self) -> bool:
        return self.unit not in ("", PERCENT)


def compared(name: str, about: str, now: int | Decimal, before: int | Decimal, unit: str = "") -> list[Figure]:
    """This window, the one before, and the change where there was anything to change; nothing where both are nought."""
    if not now and not before:
        return []
    figures = [
        Figure(f"{name}.now", Decimal(now), f"{about}, last {WINDOW_DAYS} days", unit),
        Figure(f"{name}.before", Decimal(before), f"{about}, the {WINDOW_DAYS} days before", unit),
    ]
    if before > 0:
        change = (Decimal(now) - Decimal(before)) * 100 / Decimal(before)
        rounded = change.quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        figures.append(Figure(f"{name}.change", rounded, f"change of {about}", PERCENT))
    return figures


def figures_key(figures: Iterable[Figure], version: str) -> str:
    """The same for the same figures and the same prompt, in whatever order; 64 hexadecimal digits."""
    rows = sorted([one.name, one.shown, one.unit, one.label or ""] for one in figures)
    return hashlib.sha256(json.dumps([version, rows]).encode()).hexdigest()


def listing(figures: Sequence[Figure]) -> str:
    """One line a figure, by name."""
    return "\n".join(_line(one) for one in sorted(figures, key=lambda one: one.name))


def _line(one: Figure) -> str:
    unit = f" {one.unit}" if one.unit else ""
    label = f" of {fence('label', one.label, LABEL_MOST)}" if one.label else ""
    return f"{one.name} = {one.shown}{unit}: {one.about}{label}"
