"""One way to say what was measured: a table for people and, as the last line, one JSON object for programs."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_PACKAGES = ("celery", "kombu", "redis", "sqlalchemy", "psycopg", "fastapi", "uvicorn", "procrastinate", "av")
_PREFIX = "HUNTAZE_"


@dataclass(frozen=True)
class Options:
    """What every benchmark is told. `quick`: smaller sizes, under a minute."""

    quick: bool
    json: bool
    plan: bool = False
    only: tuple[str, ...] = ()


def parse_options(doc: str, parts: Sequence[str] = ()) -> Options:
    """The command line of a benchmark; `parts` are the names that `--only` takes."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="smaller sizes: under a minute")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object of all figures")
    if parts:
        parser.add_argument("--plan", action="store_true", help="show PostgreSQL's plans of the dispatch round")
        parser.add_argument("--only", default="", help=f"comma-separated, of: {', '.join(parts)}")
    chosen = parser.parse_args()
    only = tuple(part for part in getattr(chosen, "only", "").split(",") if part)
    if set(only) - set(parts):
        parser.error(f"--only takes {', '.join(parts)}")
    return Options(chosen.quick, chosen.json, getattr(chosen, "plan", False), only)


@dataclass
class Report:
    """Named figures in the order in which they were measured; `sizes` say how much was measured."""

    benchmark: str
    figures: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    _rows: list[tuple[str, str, str]] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)
    _seconds: float = 0.0  # up to the last figure

    def add(self, name: str, value: float, unit: str, about: str, target: str = "") -> None:
        """One figure. The name ends in its unit; `about` is for people, `target` is what it should be."""
        self.figures[name] = round(value, 3)
        self._seconds = time.monotonic() - self._begun
        self._rows.append((about, f"{value:,.{_digits(value)}f} {unit}".strip(), target))

    def include(self, other: "Report") -> None:
        """Takes over what another benchmark has measured."""
        self.figures |= other.figures
        self.sizes |= other.sizes
        self.versions |= other.versions
        self._rows += other._rows
        self._seconds = time.monotonic() - self._begun

    def note(self, text: str) -> None:
        """Progress, for people, on standard error."""
        sys.stderr.write(f"[{time.monotonic() - self._begun:6.1f} s] {self.benchmark}: {text}\n")

    def as_json(self) -> dict[str, Any]:
        """What the last line says."""
        return {
            "benchmark": self.benchmark,
            "figures": self.figures,
            "sizes": self.sizes,
            "machine": machine(),
            "versions": {**versions(), **self.versions},
            "seconds": round(self._seconds, 1),
        }

    def print(self, options: Options) -> None:
        """The table and, if asked for, the last line."""
        table = Table(title=f"{self.benchmark} ({'quick' if options.quick else 'full'})", title_justify="left")
        table.add_column("what")
        table.add_column("measured", justify="right")
        table.add_column("target", justify="right")
        for row in self._rows:
            table.add_row(*row)
        Console(width=None if sys.stdout.isatty() else 120).print(table)
        if options.json:
            print(json.dumps(self.as_json()), flush=True)


def _digits(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` (0..1) of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_1min": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def versions() -> dict[str, str]:
    """What it was measured with; the stores add their own."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Appends the seconds that the block took."""
    start = time.perf_counter()
    yield
    into.append(time.perf_counter() - start)


def clean_environment() -> dict[str, str]:
    """Our environment without any address of a fleet: a benchmark must not reach for a real one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def merged(reports: Mapping[str, Report]) -> dict[str, Any]:
    """The last line of a run of several benchmarks: figures by benchmark and name."""
    parts = {name: report.as_json() for name, report in reports.items()}
    found = dict(versions())
    for report in reports.values():
        found |= report.versions
    return {
        "benchmark": "all",
        "figures": {
            f"{name}.{figure}": value for name, one in parts.items() for figure, value in one["figures"].items()
        },
        "sizes": {name: one["sizes"] for name, one in parts.items()},
        "machine": machine(),
        "versions": found,
        "seconds": round(sum(one["seconds"] for one in parts.values()), 1),
    }
