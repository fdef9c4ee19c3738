"""Which I-frames to look at, decided by the index alone: pure functions over times, sizes and places."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from huntaze.pipelines.video.index import Entry
from huntaze.pipelines.video.pieces import Range

CANDIDATES_MOST = 64
_TO_CHOOSE = 4  # at least so many more than there are cells
_WORK_PIXELS = 12 * 1280 * 720  # decoded without a second thought; smaller pictures, more candidates
_LARGE_PIXELS = 1920 * 1088
_HUGE_PIXELS = 4096 * 2304  # above it no candidate more than there are cells
_EMPTY = 1 / 8  # of the middle I-frame's size: black, or one colour
_NEWS = 0.15  # two sizes that differ by this much (of the logarithm) are two pictures
_SHARE_PER_CELL = 0.00375  # of a large object may be read: 3.4 % for 9 cells, 6 % for 16
_GAP = 32 * 1024  # ranges nearer than this travel together
_GUESS_LEAST = 48 * 1024


def candidates(cells: int, pixels: int) -> int:
    """How many I-frames to look at first."""
    least = cells if pixels > _HUGE_PIXELS else cells + _TO_CHOOSE
    return min(max(least, _WORK_PIXELS // max(1, pixels)), CANDIDATES_MOST)


def candidates_most(cells: int, pixels: int) -> int:
    """How many I-frames to look at in all, where the first ones showed too few shots."""
    if pixels <= _LARGE_PIXELS:
        return CANDIDATES_MOST
    return 2 * candidates(cells, pixels) if pixels <= _HUGE_PIXELS else candidates(cells, pixels)


def bytes_most(size: int, cells: int) -> int:
    """How much of an object of `size` bytes may be read for that many cells."""
    return int(size * _SHARE_PER_CELL * cells)


def pick(keys: Sequence[Entry], count: int) -> list[int]:
    """Positions of at most `count` of the keys, ascending and distinct, likely to show different things.

    Half by time and half by news: encoders put an I-frame at a cut, and two of one size in a row are likely one shot.
    Those too small to show anything come only when there are not enough others.
    """
    full = _full(keys)
    if len(full) < min(count, len(keys)):
        rest = sorted(set(range(len(keys))) - set(full), key=lambda at: -keys[at].size)
        return sorted([*full, *rest[: count - len(full)]])
    chosen = [keys[at] for at in full]
    span = max(chosen[-1].time_s - chosen[0].time_s, 1e-9)
    news = _news(chosen)
    most = max(news[-1], 1e-9)
    places = [(key.time_s - chosen[0].time_s) / span + told / most for key, told in zip(chosen, news, strict=True)]
    return [full[at] for at in spread(places, count)]


def pick_within(keys: Sequence[Entry], count: int, least: int, room: int | None) -> list[int]:
    """As `pick`, for as many of `count` as fit into `room` bytes, but not fewer than `least`."""
    for number in range(min(count, len(keys)), least, -1):
        picked = pick(keys, number)
        if room is None or total(ranges(keys, picked)) <= room:
            return picked
    return pick(keys, least)


def between(seen: Sequence[int], differ: Sequence[float], among: int, count: int, least: float) -> list[int]:
    """Where to look next: of `among` keys those at `seen` (ascending) were looked at; differ[n] tells how much the
    n-th of them differs from the next. The middle of what lies between neighbours that differ by `least` or more, and
    what lies before the first and behind the last; at most `count`, what promises most first."""
    if not seen:
        return []
    gaps = [
        (told * math.log2(after - before), (before + after) // 2)
        for before, after, told in zip(seen, seen[1:], differ, strict=False)
        if after - before > 1 and told >= least
    ]
    outside = [(1.0, end) for end, free in ((0, seen[0] > 0), (among - 1, seen[-1] < among - 1)) if free]
    return [at for _, at in sorted([*gaps, *outside], reverse=True)[:count]]


def news_between(keys: Sequence[Entry], one: int, other: int) -> bool:
    """Whether a key between two has a size unlike both."""
    sizes = [keys[at].size for at in (one, other)]
    return any(
        all(size and key.size and abs(math.log(key.size / size)) >= _NEWS for size in sizes)
        for key in keys[one + 1 : other]
    )


def total(pieces: Sequence[Range]) -> int:
    """Bytes of all of them."""
    return sum(end - start for start, end in pieces)


def ranges(keys: Sequence[Entry], picked: Sequence[int]) -> list[Range]:
    """The bytes of the picked keys, [start, end), ascending, near ones joined."""
    guess = _guess(keys)
    joined: list[Range] = []
    for start, end in sorted((keys[at].pos, keys[at].pos + (keys[at].size or guess)) for at in picked):
        if joined and start - joined[-1][1] <= _GAP:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def spread(places: Sequence[float], count: int) -> list[int]:
    """Positions of at most `count` of the ascending `places`, ascending and distinct, as even as they go.

    For each middle of `count` equal parts, the nearest that leaves enough for the parts after it.
    """
    if len(places) <= count:
        return list(range(len(places)))
    first, chosen = 0, []
    length = places[-1] - places[0]
    for number in range(count):
        middle = places[0] + (number + 0.5) * length / count
        last = len(places) - (count - number)
        best = min(range(first, last + 1), key=lambda at: abs(places[at] - middle))
        chosen.append(best)
        first = best + 1
    return chosen


def _full(keys: Sequence[Entry]) -> list[int]:
    sizes = [key.size for key in keys if key.size]
    least = _EMPTY * median(sizes) if sizes else 0
    return [at for at, key in enumerate(keys) if not key.size or key.size >= least]


def _news(keys: Sequence[Entry]) -> list[float]:
    """Rises by 0.1 to 1 from each key to the next, the more their sizes differ."""
    told, news = 0.0, [0.0]
    for one, other in pairwise(keys):
        known = one.size > 0 and other.size > 0
        told += min(1.0, max(0.1, abs(math.log(other.size / one.size)) / _NEWS)) if known else 1.0
        news.append(told)
    return news


def _guess(keys: Sequence[Entry]) -> int:
    """The size of an I-frame where the index tells none: a quarter of what lies between two of them."""
    steps = [other.pos - one.pos for one, other in pairwise(keys) if other.pos > one.pos]
    return max(_GUESS_LEAST, int(median(steps) / 4)) if steps else _GUESS_LEAST
