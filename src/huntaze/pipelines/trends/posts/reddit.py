"""`trudax/reddit-scraper`, its lite form, `harshmaur/reddit-scraper-pro`."""

from datetime import datetime

from huntaze.pipelines.trends.posts.fields import Item, count, first, flag, hashtags, identifier, label, moment, words
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.post import Platform, Post, Row, ignored, quarantined

_SUBMISSION = "t3_"


def normalise(item: Item, keys: AuthorKeys, observed_at: datetime) -> Row:
    """A submission. Comments, communities and profiles are not kept. Feeds tell no counts: unknown, not 0."""
    native_id = identifier(first(item, "id", "parsedId"))
    if item.get("dataType") not in (None, "post") or (native_id or "").startswith("t1_"):
        kind = item.get("dataType")
        return ignored(kind if kind in ("comment", "community", "user") else "not_a_post")
    key = keys.key(Platform.REDDIT, first(item, "username", "authorName"))
    if native_id is None:
        return quarantined("id_missing", key)
    when = moment(observed_at, item.get("createdAt"), item.get("createdAtUtc"), item.get("created_utc"))
    if when is None:
        return quarantined("time_missing", key)
    text = _text(item)
    if text is None:
        return quarantined("text_missing", key)
    community = label(first(item, "parsedCommunityName", "communityName", "subredditName"), 100)
    return Post(
        Platform.REDDIT,
        native_id.removeprefix(_SUBMISSION),
        _kind(item),
        *when,
        key,
        text,
        hashtags(None, text),
        community=None if community is None else community.removeprefix("r/"),
        is_ad=flag(item.get("isAd")),
        likes=count(first(item, "upVotes", "score")),
        comments=count(first(item, "numberOfComments", "commentsCount")),
    )


def _text(item: Item) -> str | None:
    """Title and body; older builds have the title in `content`."""
    parts = [words(first(item, "title", "content")), words(item.get("body"))]
    told = [part for part in parts if part is not None]
    return "\n\n".join(part for part in told if part) if told else None


def _kind(item: Item) -> str:
    if flag(item.get("isVideo")) or item.get("mediaType") == "video":
        return "video"
    if item.get("mediaType") in ("image", "gallery"):
        return "image"
    return "link" if item.get("isSelf") is False else "text"
