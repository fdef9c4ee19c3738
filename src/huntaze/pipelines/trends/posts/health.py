"""Whether a run's rows look as those of its source usually do: an actor that changed is noticed, not counted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from huntaze.pipelines.trends.posts.post import Post

# Fields whose share of None is watched; an empty text or list counts as one.
_FIGURES: Final = ("views", "likes", "comments", "shares", "saves")
WATCHED: Final = ("author_key", "text", "hashtags", "sound_id", "language", *_FIGURES)
JUMP: Final = 0.2  # of a share (0..1): less is the weather
Z: Final = 4.0  # and it must not be chance: one false alarm in 30,000 looks
_CLEAN_ROWS: Final = 50  # what a new source is taken to have shown already, none of it quarantined
_LOST: Final = 0.2  # share of sentinels beside posts from which on a run is taken to have been cut short


class Counts(NamedTuple):
    """Of one run. `nulls`: {field: posts without it}."""

    posts: int
    quarantined: int
    sentinels: int
    nulls: Mapping[str, int]


class Finding(NamedTuple):
    """A share (0..1) that jumped. `field`: of kind null_rate."""

    kind: str  # quarantine, null_rate
    field: str | None
    usual: float
    seen: float


def count_nulls(posts: Sequence[Post]) -> dict[str, int]:
    """{field: posts without it}, of the fields that are watched."""
    if not posts:
        return dict.fromkeys(WATCHED, 0)
    columns = dict(zip(Post._fields, zip(*posts, strict=True), strict=True))
    found = {name: columns[name].count(None) for name in WATCHED}
    return found | {"text": columns["text"].count(""), "hashtags": columns["hashtags"].count([])}


def judge(before: Iterable[Counts], now: Counts) -> list[Finding]:
    """What is not as usual. `before`: healthy runs of the same source; a field is judged once there is one."""
    past = list(before)
    posts, quarantined = sum(one.posts for one in past), sum(one.quarantined for one in past)
    rows = max(posts + quarantined, _CLEAN_ROWS)
    found = [_compare("quarantine", None, quarantined, rows, now.quarantined, now.posts + now.quarantined)]
    for field in WATCHED:
        usual = sum(one.nulls.get(field, 0) for one in past)
        found.append(_compare("null_rate", field, usual, posts, now.nulls.get(field, 0), now.posts))
    return [finding for finding in found if finding is not None]


def _compare(kind: str, field: str | None, usual: int, of_usual: int, seen: int, of_seen: int) -> Finding | None:
    """Two shares, by the pooled z test."""
    if not of_usual or not of_seen:
        return None
    before, now = usual / of_usual, seen / of_seen
    pooled = (usual + seen) / (of_usual + of_seen)
    error = math.sqrt(pooled * (1 - pooled) * (1 / of_usual + 1 / of_seen))
    if now - before <= JUMP or now - before <= Z * error:
        return None
    return Finding(kind, field, before, now)


def verdict_of(now: Counts, *, whole: bool, findings: Sequence[Finding]) -> str:
    """What a run tells: sample, unknown, partial or unhealthy. `whole`: the vendor says that it SUCCEEDED.

    A run without a post is unknown whatever it says of itself: held off and nothing there look alike.
    """
    if findings:
        return "unhealthy"
    if not now.posts:
        return "unknown"
    lost = now.sentinels > _LOST * (now.posts + now.sentinels)
    return "sample" if whole and not lost else "partial"
