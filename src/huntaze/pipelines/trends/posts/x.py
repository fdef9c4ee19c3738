"""`apidojo/tweet-scraper`, `apidojo/twitter-scraper-lite`."""

from datetime import datetime

from huntaze.pipelines.trends.posts.fields import (
    Item,
    count,
    first,
    flag,
    hashtags,
    identifier,
    inner,
    label,
    moment,
    words,
)
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.post import Platform, Post, Row, ignored, quarantined

# What X says where it cannot tell: und, and its own codes for posts of links, mentions, pictures, tags alone.
_UNKNOWN_LANGUAGE = frozenset({"und", "zxx", "art", "qam", "qct", "qht", "qme", "qst"})


def normalise(item: Item, keys: AuthorKeys, observed_at: datetime) -> Row:
    """A post. A repost is one too, and says so: its figures are the original's."""
    if first(item, "type") not in (None, "tweet"):
        return ignored("profile" if item.get("type") == "user" else "not_a_post")
    author = inner(item, "author")
    key = keys.key(Platform.X, first(author, "userName", "screen_name", "id"))
    native_id = identifier(first(item, "id", "id_str"))
    if native_id is None:
        return quarantined("id_missing", key)
    when = moment(observed_at, item.get("createdAt"), item.get("created_at"))
    if when is None:
        return quarantined("time_missing", key)
    text = words(first(item, "fullText", "text", "full_text"))
    if text is None:
        return quarantined("text_missing", key)
    language = item.get("lang")
    return Post(
        Platform.X,
        native_id,
        "text",
        *when,
        key,
        text,
        hashtags(inner(item, "entities").get("hashtags"), text, "text"),
        language=None if not isinstance(language, str) or language in _UNKNOWN_LANGUAGE else label(language, 16),
        is_repost=flag(item.get("isRetweet")),
        views=count(item.get("viewCount")),
        likes=count(item.get("likeCount")),
        comments=count(item.get("replyCount")),
        shares=count(item.get("retweetCount")),
        saves=count(item.get("bookmarkCount")),
    )
