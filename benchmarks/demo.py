"""`huntaze demo` in an empty folder, and once more in the same: from nothing to a video and trends, looked at."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.rig.report import Options, Report, clean_environment, median, parse_options

_COMMAND = (sys.executable, "-m", "huntaze.cli.main", "demo", "--json")


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def run(options: Options) -> Report:
    """A cold and a warm run a round; full runs take several rounds and the median."""
    report, rounds = Report("demo"), 1 if options.quick else 3
    report.sizes = {"rounds": rounds, "video": "the project's own sample"}
    cold: list[tuple[float, dict[str, Any]]] = []
    warm: list[tuple[float, dict[str, Any]]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="huntaze-demo-") as folder:
            for into, name in ((cold, "cold"), (warm, "warm")):
                report.note(f"{name} demo")
                into.append(_demo(Path(folder)))
    report.add("cold_s", median([spent for spent, _ in cold]), "s", "cold demo: command to prompt")
    report.add("warm_s", median([spent for spent, _ in warm]), "s", "warm demo: command to prompt")
    for name, runs in (("cold", cold), ("warm", warm)):
        totals = [float(facts["total_s"]) for _, facts in runs]
        report.add(f"{name}_video_s", median(totals), "s", f"{name}: upload to analysis")
        scrapes = [float(facts["trends"]["total_s"]) for _, facts in runs]
        report.add(f"{name}_trends_s", median(scrapes), "s", f"{name}: scrape to recommendations")
    for stage in warm[0][1]["stages"]:
        spent = median([float(facts["stages"][stage]) for _, facts in warm])
        report.add(f"warm_{_plain(stage)}_s", spent, "s", f"  warm, {stage}")
    reading = warm[0][1]["reading"]
    report.add("read_bytes", reading["bytes"], "bytes", "read from the store")
    report.add("object_bytes", reading["size"], "bytes", "  of an object of")
    return report


def _demo(folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, and what it says."""
    start = time.perf_counter()
    done = subprocess.run(_COMMAND, cwd=folder, env=clean_environment(), capture_output=True, check=False)
    spent = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"the demo ended with {done.returncode}: {done.stderr.decode()[-3000:]}")
    facts: dict[str, Any] = json.loads(done.stdout)
    return spent, facts


def _plain(stage: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in stage).split())


if __name__ == "__main__":
    main()
