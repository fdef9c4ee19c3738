"""The values of a row as actors write them: counts, times, texts, hashtags. Whatever comes, nothing here raises."""

import html
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

TEXT_MOST: Final = 5000  # characters of a post that are kept
TAG_MOST: Final = 100
TAGS_MOST: Final = 100
_COUNT_MOST: Final = 2**63 - 1
_EARLIEST: Final = datetime(2004, 1, 1, tzinfo=UTC)  # older than every platform here
_AHEAD: Final = timedelta(days=1)  # of the observation: a clock may be wrong, a post from next week is none
_NOTHING: Final[Mapping[str, Any]] = {}

Item = Mapping[str, Any]


def inner(item: Item, name: str) -> Item:
    """The object under a name; an empty one where there is none."""
    value = item.get(name)
    return value if isinstance(value, dict) else _NOTHING


def first(item: Item, *names: str) -> Any:
    """The first value that is there and not None."""
    for name in names:
        value = item.get(name)
        if value is not None:
            return value
    return None


_SHORT = re.compile(r"([0-9]{1,15}(?:[.][0-9]{1,6})?) ?([KMB])?", re.IGNORECASE)
_SCALE = {None: 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}


def count(value: object) -> int | None:
    """A number of views, likes...; None where it is hidden (-1), absent or none. `12,345` and `1.2K` are numbers."""
    if type(value) is int:
        return value if 0 <= value <= _COUNT_MOST else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and 0 <= value <= 1e15 else None
    if isinstance(value, str):
        found = _SHORT.fullmatch(value.strip().replace(",", ""))
        if found is not None:
            return round(float(found[1]) * _SCALE[found[2] and found[2].upper()])
    return None


def flag(value: object) -> bool | None:
    """True, False, or None: absent is not False."""
    return value if isinstance(value, bool) else None


def either(*values: object) -> bool | None:
    """True if one is; False if one is and none is True; None if nobody says."""
    told = [value for value in values if isinstance(value, bool)]
    return any(told) if told else None


def identifier(value: object) -> str | None:
    """A native id: text, or a number that JSON has not rounded. "0" is none."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if 0 < len(value) <= 64 and value != "0" and value.isascii() and value.isprintable() else None


def label(value: object, most: int) -> str | None:
    """A short text: a name, a community."""
    return (storable(value.strip()[:most]) or None) if isinstance(value, str) else None


def storable(text: str) -> str:
    """Without what PostgreSQL cannot store: NUL, halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else text.encode(errors="replace").decode()


# What begins with a sign is looked for fast: that of an address goes before the address, which is linear, whatever the
# text, as it begins at the beginning of a run of characters alone.
_ADDRESS_SIGN = re.compile(r"@(?<=[\w.+-]@)[\w-]")
_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+")
_MENTION = re.compile(r"@(?<![\w@]@)[\w.]+")


def words(value: object) -> str | None:
    """A caption as it is kept: entities undone, mentions and mail addresses masked, cut. None: no text at all."""
    if not isinstance(value, str):
        return None
    text = value[:TEXT_MOST]
    if "&" in text:
        text = html.unescape(text)
    if "@" in text:
        if _ADDRESS_SIGN.search(text):
            text = _ADDRESS.sub("…@…", text)
        text = _MENTION.sub("@…", text)
    return storable(text).strip()


# What ends a tag: spaces, ASCII's punctuation but _, and that of other scripts. Marks and joiners do not: they are
# parts of letters in Devanagari, of words in Persian, of emoji.
_TAG_END = (
    r"\s#＃\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf"
    r"\u2010-\u203b\u3001-\u3004\u3008-\u3020\uff01-\uff0f\uff1a-\uff20"
)
# Begins with the sign itself, which is looked for fast; what stands before it is checked then.
_TAG_RUN = re.compile(rf"[#＃](?<![A-Za-z0-9_/&][#＃])[^{_TAG_END}]+(?:[#＃][^{_TAG_END}]+)*")
_WRITTEN_MOST = 6 * TAG_MOST  # characters of a tag with its entities


def hashtags(named: object, text: str, key: str = "name") -> list[str]:
    """Tags of a list (of texts, or of objects with `key`) and of the text, in that order, without #; no repeats."""
    written: list[str] = []
    if isinstance(named, list):
        values = [one.get(key) if isinstance(one, dict) else one for one in named[:TAGS_MOST]]
        written += [value for value in values if isinstance(value, str) and len(value) <= _WRITTEN_MOST]
    if "#" in text or "＃" in text:
        for run in _TAG_RUN.findall(text):
            written += run[1:].replace("＃", "#").split("#")
    found: dict[str, str] = {}
    for tag, same in map(_tag, written):
        if tag:
            found.setdefault(same, tag)
    return list(found.values())[:TAGS_MOST]


@lru_cache(8192)
def _tag(written: str) -> tuple[str, str]:
    """(the tag, what is the same of all ways to write it); empty for one that says nothing. Posts repeat their tags."""
    tag = storable(html.unescape(written)).strip().lstrip("#＃")
    if len(tag) > TAG_MOST or tag.isdigit() or "\x1f" in tag:  # what keeps them apart when stored
        return "", ""
    return tag, tag.casefold()


_MONTHS = {m: n for n, m in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}  # noqa: SIM905
_AGO = re.compile(r"(?:\w+ )?(?P<n>[0-9]{1,4}|an?) (?P<unit>second|minute|hour|day|week|month|year)s? ago")
_DAY_S = 86_400
_UNIT_S = {"second": 1, "minute": 60, "hour": 3600, "day": _DAY_S, "week": 7 * _DAY_S}
_UNIT_S |= {"month": 2_629_746, "year": 31_556_952}  # of the Gregorian calendar, on average


def moment(observed_at: datetime, *values: object) -> tuple[datetime, bool] | None:
    """(when, whether that is exact to the minute) by the first value that is a time; None if none is.

    Takes seconds, ms or µs since 1970, as numbers or texts; ISO 8601 (UTC if it names no zone), a mere date; Twitter's
    form and the mail's; "5 years ago". Before 2004, or more than a day after `observed_at`, was no post.
    """
    for value in values:
        found = _moment(observed_at, value)
        if found is not None and _EARLIEST <= found[0] <= observed_at + _AHEAD:
            return found
    return None


def _moment(observed_at: datetime, value: object) -> tuple[datetime, bool] | None:
    if isinstance(value, str):
        return _written(observed_at, value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e17:
        return None
    seconds = float(value)
    while seconds >= 1e11:  # the year 5138 in seconds, 1973 in milliseconds
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC), True


def _written(observed_at: datetime, value: str) -> tuple[datetime, bool] | None:
    if len(value) > 40:
        return None
    if value.isdecimal() and value.isascii() and len(value) >= 9:  # first: ISO 8601 reads years into some of them
        return _moment(observed_at, int(value))
    try:
        when = datetime.fromisoformat(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC), len(value) > 10
    except (ValueError, OverflowError):
        return _twitter(value) or _ago(observed_at, value) or _mail(value)


def _twitter(value: str) -> tuple[datetime, bool] | None:
    """`Sun Sep 29 20:35:05 +0000 2024`; by hand, as strptime takes ten times as long and goes by the locale."""
    parts = value.split(" ")
    if len(parts) != 6 or parts[4] != "+0000" or parts[1] not in _MONTHS:
        return None
    try:
        return datetime.fromisoformat(f"{parts[5]}-{_MONTHS[parts[1]]:02}-{parts[2].zfill(2)}T{parts[3]}+00:00"), True
    except ValueError:
        return None


def _ago(observed_at: datetime, value: str) -> tuple[datetime, bool] | None:
    found = _AGO.fullmatch(value.lower())
    if found is None:
        return None
    number = 1 if found["n"].startswith("a") else int(found["n"])
    try:
        when = observed_at - timedelta(seconds=number * _UNIT_S[found["unit"]])
    except OverflowError:
        return None
    return when, found["unit"] in ("second", "minute")


def _mail(value: str) -> tuple[datetime, bool] | None:
    """RFC 2822, as feeds have it."""
    try:
        when = parsedate_to_datetime(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC), True
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
