"""A process that looks at one file after the other: a path comes in, a line of JSON goes out."""

import faulthandler
import json
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.probe import Limits
from huntaze.pipelines.video.reader import RangeReader, Tactics

_LIMITS = Limits(decode_seconds=6.0)  # of processor time; the rest of ten seconds is for drawing
_CHUNK = 65536


def main() -> None:
    faulthandler.enable()
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        begun, path = time.process_time(), Path(line.rstrip("\n"))
        outcome = _look(path.read_bytes(), zlib.crc32(path.name.encode()))  # the same way again, whoever asks
        cpu_s = round(time.process_time() - begun, 2)
        print(json.dumps({"outcome": outcome, "cpu_s": cpu_s, "rss_mb": rss_mb()}), file=answers, flush=True)


def rss_mb() -> int:
    """What this process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000


def _look(data: bytes, number: int) -> str:
    try:
        with _reader(data, number) as file:
            seen = extract(file, size_bytes=len(data), cells=(4, 9, 16)[number % 3], limits=_LIMITS)
    except MediaError as error:
        return error.code
    except Exception as error:  # what this is looking for
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return f"! {type(error).__name__}"
    return _checked(seen)


def _checked(seen: Extraction) -> str:
    """What a grid is worth; whatever came in, it is of one shape."""
    times = seen.times_s
    whole = len(times) == len(seen.grid.cells) > 0 and list(times) == sorted(set(times)) and seen.grid_jpeg
    if not whole or not all(0 <= time_s < 1e9 for time_s in times):
        return "! odd grid"
    if seen.damaged:
        return "grid, damaged"
    return "grid, cut short" if seen.cut_short else "grid"


def _reader(data: bytes, number: int) -> RangeReader:
    """Read as a small object, by a plan, or spooled where the plan fails."""

    def stream() -> Iterator[bytes]:
        for start in range(0, len(data), _CHUNK):
            yield data[start : start + _CHUNK]

    tactics = (Tactics(), Tactics(whole_most=0, head=8192, block=4096, tail=4096), Tactics(whole_most=0, spool_most=0))
    return RangeReader(lambda start, end: data[start:end], len(data), stream=stream, tactics=tactics[number // 3 % 3])


if __name__ == "__main__":
    main()
