"""What the container's index tells before anything is decoded: where I-frames lie, how large they are, what spikes.

The size of a packet says a lot: an I-frame of a few bytes is black, two of one size next to each other show the same
thing, and a P-frame as large as an I-frame begins a new shot that the encoder gave no I-frame to.
"""

from dataclasses import dataclass
from statistics import median

from av.index import IndexEntry

from huntaze.pipelines.video.probe import Opened

_ENTRIES_MOST = 100_000  # an hour at 25 frames a second; more than that is walked from I-frame to I-frame only
_KEYS_MOST = 512
_AIM_S = 1.0
_COVERED = 0.7  # an index that ends before this part of the duration is that of a fragment
_SPIKE_OF_KEY, _SPIKE_OF_OTHERS = 0.6, 6.0


@dataclass(frozen=True)
class Entry:
    """One packet. stamp: decoding time, in the stream's time base. aim: of an I-frame, where a seek finds it; demuxers
    disagree on whether a seek means decoding or presentation, so it lies between this one and the next.
    time_s: about when it is shown, from 0. pos, size: bytes; size 0 where the index does not tell (Matroska)."""

    stamp: int
    aim: int
    time_s: float
    pos: int
    size: int


@dataclass(frozen=True)
class Index:
    """keys: I-frames, ascending in time, at most 512."""

    keys: tuple[Entry, ...]


@dataclass(frozen=True)
class Spike:
    """A packet that seems to begin a shot without being an I-frame, `distance` packets behind its I-frame, whose bytes
    begin at `from_pos`."""

    entry: Entry
    distance: int
    from_pos: int


def read_index(opened: Opened) -> Index | None:
    """The index if it is of use: it has I-frames and covers the film. Matroska's is known after the first seek."""
    entries = opened.stream.index_entries
    if len(entries) < 2:
        return None
    keys = _walk(opened)
    duration_s = opened.facts.duration_s
    if not keys or (duration_s is not None and _ends_at(opened, keys[0]) < _COVERED * duration_s - 10.0):
        return None
    return Index(tuple(_entry(opened, one, keys[0].timestamp, _aim(opened, one.timestamp)) for one in keys))


def read_spikes(opened: Opened, index: Index) -> tuple[Spike, ...]:
    """Packets nearly as large as their I-frame and far larger than their neighbours, the largest first."""
    entries, spikes = opened.stream.index_entries, list[Spike]()
    if len(entries) > _ENTRIES_MOST:
        return ()
    sizes = [one.size for one in entries]
    keys_at = [at for at, one in enumerate(entries) if one.is_keyframe]
    for key, following in zip(keys_at, [*keys_at[1:], len(sizes)], strict=True):
        others = sizes[key + 1 : following]
        if not others or not sizes[key] or max(others) < _SPIKE_OF_KEY * sizes[key]:
            continue
        least = max(_SPIKE_OF_KEY * sizes[key], _SPIKE_OF_OTHERS * median(others))
        for distance, size in enumerate(others, 1):
            if size >= least:
                one = entries[key + distance]
                entry = _entry(opened, one, index.keys[0].stamp, one.timestamp)
                spikes.append(Spike(entry, distance, entries[key].pos))
    return tuple(sorted(spikes, key=lambda spike: -spike.entry.size))


def _entry(opened: Opened, one: IndexEntry, start: int, aim: int) -> Entry:
    return Entry(one.timestamp, aim, float((one.timestamp - start) * opened.time_base), one.pos, one.size)


def _ends_at(opened: Opened, first: IndexEntry) -> float:
    entries = opened.stream.index_entries
    return float((entries[len(entries) - 1].timestamp - first.timestamp) * opened.time_base)


def _aim(opened: Opened, stamp: int) -> int:
    entries = opened.stream.index_entries
    following, far = entries.search_timestamp(stamp + 1, backward=False), int(_AIM_S / opened.time_base)
    return stamp + (min((entries[following].timestamp - stamp) // 2, far) if following >= 0 else far)


def _walk(opened: Opened) -> list[IndexEntry]:
    """From I-frame to I-frame, at most `_KEYS_MOST` of them, without touching what lies between."""
    entries = opened.stream.index_entries
    at, found = entries[0].timestamp, list[IndexEntry]()
    step = max(1, (entries[len(entries) - 1].timestamp - at) // _KEYS_MOST)
    while len(found) <= _KEYS_MOST and (number := entries.search_timestamp(at, backward=False)) >= 0:
        key = entries[number]
        if not key.is_discard:
            found.append(key)
        at = max(at, key.timestamp) + step
    return found
