"""The Twitter files of the Numenta Anomaly Benchmark that lie beside the project, replayed and scored."""

import importlib.util
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from huntaze.pipelines.trends.backtest import Series, read_series
from huntaze.pipelines.trends.detector import Detector

SHARED = Path(__file__).resolve().parents[3] / "shared"
STEP_S = 300
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2)  # of a threshold: a choice is as good as what surrounds it
PROFILES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
ARTIME = (84.3, 87.0)  # the best published one on these files: at its own threshold, at the best one in hindsight


@dataclass(frozen=True)
class Choice:
    """What leave-one-out chooses among."""

    memory_d: float
    threshold: float
    cool_down_h: float


CHOICES = [Choice(*one) for one in product((4.0, 5.0, 6.0), (5.0, 5.5, 6.0, 6.5, 7.0), (18.0, 24.0, 30.0))]


class Nab:
    """The files, and what a detector makes of them."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the scorer leaves its files open
            self._scorer = _module(SHARED / "tools" / "nab_score.py")
        self.names: list[str] = sorted(self._scorer.W)
        self._series = {name: _series(SHARED / "data" / "nab" / name) for name in self.names}
        self._times = {name: [datetime.fromisoformat(one) for one in self._series[name].stamps] for name in self.names}
        self.deviations = cache(self._deviations)
        self._points = cache(self._points_of)

    def _deviations(self, detector: Detector) -> dict[str, NDArray[np.float64]]:
        """{file: strengths, row by row}. With a threshold of 1 these are standard deviations."""
        found = {}
        for name, series in self._series.items():
            state, strengths = detector.fresh(1), []
            for moment, value in zip(series.moments, series.values, strict=True):
                bucket = int(moment.timestamp()) // STEP_S
                state, scores = detector.step(state, np.array([value], np.float32), bucket)
                strengths.append(float(scores.strength[0]))
            found[name] = np.array(strengths)
        return found

    def alarms(self, choice: Choice, **given: float) -> dict[str, list[int]]:
        """{file: rows that fire}."""
        detector = Detector(STEP_S, threshold=1.0, memory_d=choice.memory_d, **given)  # type: ignore[arg-type]
        return {name: _fired(found, choice) for name, found in self.deviations(detector).items()}

    def judge(self, alarms: Mapping[str, Iterable[int]], profile: str = "standard") -> float:
        """The score, 0..100, of alarms in these files: the tool's own."""
        files = {}
        for name, rows in alarms.items():
            scores = np.zeros(len(self._times[name]))
            scores[list(rows)] = 1.0
            files[name] = (self._times[name], scores.tolist())
        return float(self._scorer.evaluate(files, profile, 1.0)["score"])

    def _points_of(self, name: str) -> tuple[list[object], list[float], set[object]]:
        windows, weights = zip(*self._scorer.points(self._times[name], name, self._costs), strict=True)
        return list(windows), list(weights), set(windows) - {None, "prob"}

    @property
    def _costs(self) -> Mapping[str, float]:
        costs: Mapping[str, float] = self._scorer.PROFILES["standard"]
        return costs

    def quick(self, alarms: Mapping[str, Iterable[int]]) -> float:
        """As `judge` in the standard profile, without sorting all rows for each look: for sweeps."""
        raw = base = windows = 0.0
        for name, rows in alarms.items():
            known, weights, counted = self._points(name)
            best = dict.fromkeys(counted, -self._costs["fnWeight"])
            base -= self._costs["fnWeight"] * len(best)
            windows += len(self._scorer.W[name])
            for row in rows:
                if known[row] is None:
                    raw += weights[row]
                elif known[row] != "prob":
                    best[known[row]] = max(best[known[row]], weights[row])
            raw += sum(best.values())
        return 100 * (raw - base) / (windows * self._costs["tpWeight"] - base)

    def around(self, choice: Choice, names: Iterable[str], **given: float) -> list[float]:
        """The scores over these files at each of `FACTORS` times the threshold."""
        scores = []
        for factor in FACTORS:
            found = self.alarms(Choice(choice.memory_d, choice.threshold * factor, choice.cool_down_h), **given)
            scores.append(self.quick({name: found[name] for name in names}))
        return scores

    def leave_one_out(self) -> tuple[float, dict[str, Choice]]:
        """The score over all files, each under what was chosen by the others; and what that was.

        Chosen is what scores best on average over `FACTORS` of its threshold: the middle of a plateau, not a peak.
        """
        chosen = {}
        for name in self.names:
            others = [one for one in self.names if one != name]
            chosen[name] = max(CHOICES, key=lambda one, others=others: sum(self.around(one, others)))  # type: ignore[misc]
        return self.judge({name: self.alarms(choice)[name] for name, choice in chosen.items()}), chosen


def _fired(strengths: NDArray[np.float64], choice: Choice) -> list[int]:
    """The rows at which a detector of this threshold and cool-down fires."""
    found: list[int] = []
    for row in np.flatnonzero(strengths >= choice.threshold).tolist():
        if not found or row - found[-1] >= choice.cool_down_h * 3600 / STEP_S:
            found.append(row)
    return found


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _series(path: Path) -> Series:
    with path.open(newline="") as lines:
        return read_series(lines)
