"""Ways to break a film. Each takes bytes and a generator of random numbers; the same seed gives the same bytes."""

import re
from random import Random

_BOX = re.compile(
    rb"ftyp|moov|mvhd|trak|tkhd|edts|elst|mdia|mdhd|hdlr|minf|vmhd|dinf|dref|stbl|stsd|avc1|avcC|mp4v|esds|stts|stss"
    rb"|ctts|stsc|stsz|stco|co64|udta|mdat|free|moof|mfhd|traf|tfhd|tfdt|trun|mvex|trex|sidx|mfra|pasp|colr"
)
_SIZES = (0, 1, 7, 8, 16, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF7, 0xFFFFFFFF)
_HEAD = 4096  # where headers are, in containers without boxes


def mutated(data: bytes, random: Random) -> tuple[str, bytes]:
    """One to three ways of breaking it, their names joined, and what came of it."""
    chosen = random.choices(list(_WAYS), k=random.choice((1, 1, 1, 2, 3)))
    broken = bytearray(data)
    for name in chosen:
        if broken:
            _WAYS[name](broken, random)
    return "+".join(chosen), bytes(broken)


def _flips(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 3, 10, 100, 1000))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _header_flips(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 5, 20))):
        data[_in_headers(data, random)] ^= 1 << random.randrange(8)


def _truncated(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _zeroed(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    data[start:end] = bytes(end - start)


def _noise(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    data[start:end] = random.randbytes(end - start)


def _swapped(data: bytearray, random: Random) -> None:
    """Two boxes that follow each other, or two neighbouring stretches, change places."""
    boxes = [at for at in _boxes(data) if 8 <= int.from_bytes(data[at : at + 4], "big") <= len(data) - at]
    if len(boxes) >= 2:
        start = random.choice(boxes)
        middle = start + int.from_bytes(data[start : start + 4], "big")
        end = middle + max(8, int.from_bytes(data[middle : middle + 4], "big"))
    else:
        start, middle, end = sorted(random.randrange(len(data) + 1) for _ in range(3))
    data[start:end] = data[middle:end] + data[start:middle]


def _wrong_size(data: bytearray, random: Random) -> None:
    """A box that says it is of another size; elsewhere four bytes of a header."""
    boxes = _boxes(data)
    at = random.choice(boxes) if boxes else _in_headers(data, random)
    size = random.choice((*_SIZES, random.randrange(len(data) + 1)))
    data[at : at + 4] = size.to_bytes(4, "big")


def _wrong_count(data: bytearray, random: Random) -> None:
    """Four bytes behind the name of a box, where counts, sizes and times are."""
    boxes = _boxes(data)
    at = random.choice(boxes) + 8 + 4 * random.randrange(8) if boxes else _in_headers(data, random)
    data[at : at + 4] = random.choice(_SIZES).to_bytes(4, "big")


def _doubled(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    data[end:end] = data[start:end]


def _dropped(data: bytearray, random: Random) -> None:
    start, end = _range(data, random)
    del data[start:end]


def _boxes(data: bytearray) -> list[int]:
    return [found.start() - 4 for found in _BOX.finditer(data) if found.start() >= 4]


def _in_headers(data: bytearray, random: Random) -> int:
    boxes = _boxes(data)
    at = random.choice(boxes) + random.randrange(64) if boxes else random.randrange(_HEAD)
    return min(at, len(data) - 1)


def _range(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.choice((1, 16, 188, 4096, 1 + len(data) // 4)))


_WAYS = {
    "flips": _flips,
    "header flips": _header_flips,
    "truncated": _truncated,
    "zeroed": _zeroed,
    "noise": _noise,
    "swapped": _swapped,
    "wrong size": _wrong_size,
    "wrong count": _wrong_count,
    "doubled": _doubled,
    "dropped": _dropped,
}
