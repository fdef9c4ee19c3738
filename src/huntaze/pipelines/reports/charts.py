"""Charts as PNG, by matplotlib's own canvas: no window system and no global figures. Threads take turns."""

import io
import threading
from datetime import date
from typing import Any

from huntaze.pipelines.billing.money import to_major
from huntaze.pipelines.reports.content import Line

_INK, _GREY, _RULE, _ACCENT = "#1c2430", "#6b7280", "#e5e7eb", "#4338ca"
WIDTH_IN, HEIGHT_IN, DPI = 7.0, 2.5, 150
_DRAWING = threading.Lock()  # matplotlib's fonts and caches are not safe between threads


def line_chart(line: Line, zone: str) -> bytes:
    """One metric over time. Bars for up to 31 points, a line for more; a day on which nothing happened is a gap."""
    with _DRAWING:
        return _drawn(line, zone)


def _drawn(line: Line, zone: str) -> bytes:
    # Imported here: it takes half a second, which only whoever draws should pay.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    values, starts = _values(line), [point.start for point in line.points]
    places = range(len(values))
    if len(values) <= 31:
        axes.bar(places, values, color=_ACCENT, width=0.7 if len(values) > 1 else 0.25)
    else:
        axes.plot(places, values, color=_ACCENT, linewidth=1.6)
        axes.fill_between(places, values, color=_ACCENT, alpha=0.12)
    axes.set_title(line.title, loc="left", fontsize=11, fontweight="bold", color=_INK)
    axes.set_ylabel(line.unit, fontsize=8, color=_GREY)
    axes.set_xlabel(f"Day ({zone})", fontsize=8, color=_GREY)
    if any(values):
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=line.currency is None))
        axes.axhline(0, color=_RULE, linewidth=0.8)
        axes.set_ylim(min(0, *values) * 1.1, max(0, *values) * 1.1)
    else:
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        axes.text(0.5, 0.5, "Nothing in this time", transform=axes.transAxes, ha="center", color=_GREY)
    axes.yaxis.set_major_formatter(FuncFormatter(_short))
    ticks = _ticks(len(starts))
    axes.set_xticks(ticks, [_day(starts[at], len(starts)) for at in ticks])
    axes.set_xlim(-0.7, len(starts) - 0.3)
    axes.tick_params(labelsize=8, colors=_GREY, length=0)
    axes.grid(axis="y", color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})  # no version: the same bytes for the same figures
    return drawn.getvalue()


def _values(line: Line) -> list[float]:
    if line.currency is not None:
        return [float(to_major(point.total, line.currency)) for point in line.points]
    return [float(point.total if line.by_total else point.count) for point in line.points]


def _ticks(count: int, most: int = 8) -> list[int]:
    step = max(1, -(-count // most))
    return list(range(0, count, step))


def _day(start: date | str, count: int) -> str:
    if isinstance(start, str):
        return start
    return f"{start:%-d %b}" if count <= 400 else f"{start:%b %Y}"


def _short(value: float, _: object) -> str:
    for bound, unit in ((1e9, "bn"), (1e6, "m"), (1e4, "k")):
        if abs(value) >= bound:
            return f"{value / (1e3 if unit == 'k' else bound):,.4g} {unit}"
    return f"{value:,.10g}"
