"""One door for rows of all platforms. Nothing raises, whatever comes: a row becomes something, with a reason."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from huntaze.pipelines.trends.posts import google_trends, instagram, reddit, tiktok, x, youtube
from huntaze.pipelines.trends.posts.fields import Item
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.post import NoPost, Outcome, Platform, Row, quarantined

Normaliser = Callable[[Item, AuthorKeys, datetime], Row]

NORMALISERS: Final[Mapping[str, Normaliser]] = {
    Platform.TIKTOK: tiktok.normalise,
    Platform.INSTAGRAM: instagram.normalise,
    Platform.X: x.normalise,
    Platform.REDDIT: reddit.normalise,
    Platform.YOUTUBE: youtube.normalise,
    Platform.GOOGLE_TRENDS: google_trends.normalise,
}
_TOLD = ("error", "errorCode", "errorDescription")
# What actors say where an input has nothing behind it; any other error means that they were held off.
_EMPTY = ("no_items", "not_found", "no_results", "empty", "private", "does not exist", "no videos", "notfound")


def normalise(platform: str, item: object, keys: AuthorKeys, observed_at: datetime) -> Row:
    """What a row is. `observed_at`: when the actor looked, for "5 years ago" and against times to come."""
    if not isinstance(item, dict):
        return quarantined("not_an_object")
    return sentinel(item) or NORMALISERS[platform](item, keys, observed_at)


def sentinel(item: Mapping[str, Any]) -> NoPost | None:
    """A row that stands for rows that are not there. It comes inside runs that SUCCEEDED, and means unknown, not 0."""
    if not item:
        return NoPost(Outcome.SENTINEL, "empty")
    if item.get("noResults") is True:
        return NoPost(Outcome.SENTINEL, "no_results")
    if item.get("demo") is True or item.get("type") == "mock_tweet":
        return NoPost(Outcome.SENTINEL, "demo")
    if item.get("id") is not None or ("error" not in item and "errorCode" not in item):
        return None
    told = " ".join(value for name in _TOLD if isinstance(value := item.get(name), str)).lower()
    if not told:
        return None
    return NoPost(Outcome.SENTINEL, "no_results" if any(word in told[:500] for word in _EMPTY) else "held_off")
