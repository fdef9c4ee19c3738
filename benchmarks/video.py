"""The look into a video beside ffmpeg's commands and PySceneDetect, on the same files: bytes, time, shots, memory.

Ours runs in a process that has its imports behind it, as a worker has; theirs are commands. All of them run in turn,
round by round, and figures are medians, so that a busy machine falls on all alike: the ratios are what counts.
"""

import io
import json
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.video import Spent, ffmpeg_i_frames, ffmpeg_scenes, scene_detect
from benchmarks.rig.films import film
from benchmarks.rig.report import Options, Report, median, parse_options
from benchmarks.rig.slow_store import BYTES_PER_S, LATENCY_S, SlowStore
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.reader import RangeReader, Tactics

PARTS = ("bytes", "local", "remote", "shots", "memory")
_MONTAGE = Path(__file__).resolve().parents[2] / "shared" / "videos" / "montage_uneven.mp4"
_SHORT, _LONG = "90s_720p_50mb", "300s_720p"
_AT = f"{1000 * LATENCY_S:.0f} ms, {BYTES_PER_S / 1e6:.0f} MB/s"

_TACTICS = Tactics()

Contender = Callable[[], Spent]


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """Quick: fewer rounds, and the decoders of every frame only see the short film."""
    report, rounds = Report("video"), 3 if options.quick else 7
    report.note("films are made once and kept; the first time takes some minutes")
    names = [_SHORT, _LONG, "30s_720p", "8k"]
    paths = {name: film(name) for name in names}
    report.sizes = {"rounds": rounds, **{name: path.stat().st_size for name, path in paths.items()}}
    chosen = options.only or PARTS
    if "bytes" in chosen:
        _bytes(report, paths[_SHORT])
    if "local" in chosen:
        _local(report, _SHORT, paths[_SHORT], rounds, 3.0, every_frame=True)
        _local(report, _LONG, paths[_LONG], rounds, 5.0, every_frame=not options.quick)
    if "remote" in chosen:
        for name in (_SHORT, _LONG):
            _remote(report, name, paths[name], rounds)
        _break_even(report, paths["30s_720p"], rounds)
    if "shots" in chosen:
        _shots(report)
    if "memory" in chosen:
        for name in (_SHORT, "8k"):
            report.add(f"rss_{name}_mb", _memory(paths[name]), "MB", f"peak RSS of one extraction, {name}", "< 400")
    return report


def _bytes(report: Report, path: Path) -> None:
    for cells, most in ((9, "<= 3.5"), (16, "<= 6")):
        seen = _read(SlowStore(path, latency_s=0.0, bytes_per_s=1e12), cells)
        share = 100 * seen.reading.bytes / path.stat().st_size
        about = f"read of the 50 MB MP4, {cells} cells from {seen.reading.looked_at} candidates"
        report.add(f"bytes_{cells}_cells_percent", share, "%", about, most)


def _local(report: Report, name: str, path: Path, rounds: int, faster: float, *, every_frame: bool) -> None:
    report.note(f"{name}, local file")
    few = _in_turn({"ours": lambda: _ours(path), "ffmpeg": lambda: ffmpeg_i_frames(path)}, rounds)
    ours = few["ours"]
    report.add(f"{name}_ms", 1000 * ours.wall, "ms", f"{name}, local: ours, with poster and storyboard")
    report.add(f"{name}_cpu_ms", 1000 * ours.cpu, "ms", "  CPU")
    report.add(f"{name}_ffmpeg_ms", 1000 * few["ffmpeg"].wall, "ms", "  ffmpeg, all I-frames, scale, tile")
    report.add(f"{name}_ffmpeg_cpu_ms", 1000 * few["ffmpeg"].cpu, "ms", "  CPU")
    report.add(f"{name}_ratio", few["ffmpeg"].wall / ours.wall, "x", "  ours is faster by", f">= {faster:g}")
    report.add(f"{name}_cpu_ratio", few["ffmpeg"].cpu / ours.cpu, "x", "  and takes less CPU by", "> 1")
    if not every_frame:
        return
    all_frames = {
        "ours": lambda: _ours(path),
        "select": lambda: ffmpeg_scenes(path),
        "detect": lambda: scene_detect(path),
    }
    slow = _in_turn(all_frames, max(1, rounds // 3))
    for key, about, least in (
        ("select", "ffmpeg select=gt(scene,0.3), tile", 50),
        ("detect", "PySceneDetect, AdaptiveDetector", 100),
    ):
        report.add(f"{name}_{key}_ms", 1000 * slow[key].wall, "ms", f"  {about}")
        report.add(f"{name}_{key}_cpu_ms", 1000 * slow[key].cpu, "ms", "  CPU")
        report.add(f"{name}_{key}_ratio", slow[key].wall / slow["ours"].wall, "x", "  ours is faster by", f">= {least}")
        report.add(f"{name}_{key}_cpu_ratio", slow[key].cpu / slow["ours"].cpu, "x", "  and takes less CPU by")


def _remote(report: Report, name: str, path: Path, rounds: int) -> None:
    report.note(f"{name}, {_AT}")
    store = SlowStore(path)

    def download_first() -> Spent:
        begun, cpu = time.perf_counter(), time.process_time()
        body = b"".join(store.stream())
        extract(io.BytesIO(body), size_bytes=store.size, cells=9)
        return Spent(time.perf_counter() - begun, time.process_time() - cpu)

    spent = _in_turn({"ours": lambda: _timed(lambda: _read(store, 9)), "download": download_first}, rounds)
    report.add(f"{name}_remote_ms", 1000 * spent["ours"].wall, "ms", f"{name}, {_AT}: ours")
    report.add(f"{name}_download_ms", 1000 * spent["download"].wall, "ms", "  the whole object first, then ours")
    ratio = spent["download"].wall / spent["ours"].wall
    report.add(f"{name}_download_ratio", ratio, "x", "  ours is faster by", ">= 2")


def _break_even(report: Report, path: Path, rounds: int) -> None:
    """Where one request for all takes as long as a plan: the plan's time hardly depends on the size."""
    store = SlowStore(path)
    spent = _in_turn(
        {
            name: lambda most=most: _timed(lambda: _read(store, 9, Tactics(whole_most=most)))  # type: ignore[misc]
            for name, most in (("planned", 0), ("whole", store.size))
        },
        rounds,
    )
    even = store.size + (spent["planned"].wall - spent["whole"].wall) * BYTES_PER_S
    report.add("whole_17mb_ms", 1000 * spent["whole"].wall, "ms", f"17 MB, {_AT}: in one request")
    report.add("planned_17mb_ms", 1000 * spent["planned"].wall, "ms", "  head, plan, I-frames")
    report.add("break_even_mb", even / 1e6, "MB", "  both are equal at about", "16")


def _shots(report: Report) -> None:
    if not _MONTAGE.exists():
        report.note(f"{_MONTAGE} is missing: no shots are counted")
        return
    truth = json.loads(_MONTAGE.with_name("montage_uneven_truth.json").read_text())
    starts = [shot["start"] for shot in truth["shots"]]
    for cells, least in ((9, "9"), (16, ">= 12")):
        with _MONTAGE.open("rb") as file:
            seen = extract(file, size_bytes=_MONTAGE.stat().st_size, cells=cells)
        shown = {bisect_right(starts, time_s + 1e-6) for time_s in seen.times_s}
        report.add(f"shots_{cells}_cells", len(shown), "", f"uneven montage: shots on {cells} cells", least)


def _memory(path: Path) -> float:
    argv = [sys.executable, "-m", "benchmarks.rig.one_extraction", str(path)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def _in_turn(contenders: dict[str, Contender], rounds: int) -> dict[str, Spent]:
    """The medians of each; one round more than told, of which the first only warms up."""
    spent: dict[str, list[Spent]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            once = contender() if number or name == "ours" else Spent(0.0, 0.0)
            if number:
                spent[name].append(once)
    return {
        name: Spent(median([one.wall for one in runs]), median([one.cpu for one in runs]))
        for name, runs in spent.items()
    }


def _ours(path: Path) -> Spent:
    def look() -> Extraction:
        with path.open("rb") as file:
            return extract(file, size_bytes=path.stat().st_size, cells=9)

    return _timed(look)


def _read(store: SlowStore, cells: int, tactics: Tactics = _TACTICS) -> Extraction:
    with RangeReader(store.fetch, store.size, stream=store.stream, tactics=tactics) as reader:
        return extract(reader, size_bytes=store.size, cells=cells)


def _timed(look: Callable[[], Extraction]) -> Spent:
    begun, cpu = time.perf_counter(), time.process_time()
    look()
    return Spent(time.perf_counter() - begun, time.process_time() - cpu)


if __name__ == "__main__":
    main()
