"""`streamers/youtube-scraper`."""

import re
from datetime import datetime

from huntaze.pipelines.trends.posts.fields import Item, count, first, hashtags, identifier, moment, words
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.post import Platform, Post, Row, ignored, quarantined

_HANDLE = re.compile(r"/@([^/?#]+)")


def normalise(item: Item, keys: AuthorKeys, observed_at: datetime) -> Row:
    """A video or a short. Its date is often a mere day, or "5 years ago": known, but not exact."""
    key = keys.key(Platform.YOUTUBE, _author(item))
    if item.get("type") in ("channel", "playlist"):
        return ignored("profile")
    native_id = identifier(item.get("id"))
    if native_id is None:
        return quarantined("id_missing", key)
    when = moment(observed_at, item.get("date"), item.get("publishedAt"))
    if when is None:
        return quarantined("time_missing", key)
    parts = [part for part in (words(item.get("title")), words(item.get("text"))) if part is not None]
    if not parts:
        return quarantined("text_missing", key)
    text = "\n\n".join(part for part in parts if part)
    return Post(
        Platform.YOUTUBE,
        native_id,
        "short" if item.get("type") in ("short", "shorts") else "video",
        *when,
        key,
        text,
        hashtags(item.get("hashtags"), text),
        views=count(item.get("viewCount")),
        likes=count(item.get("likes")),
        comments=count(item.get("commentsCount")),
    )


def _author(item: Item) -> object:
    """The handle, which is the one name of a channel that most rows tell."""
    url = item.get("channelUrl")
    found = _HANDLE.search(url) if isinstance(url, str) and len(url) < 300 else None
    return found[1] if found else first(item, "channelUsername", "channelName", "channelId")
