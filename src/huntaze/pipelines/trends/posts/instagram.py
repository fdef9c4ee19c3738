"""`apify/instagram-scraper`, `apify/instagram-hashtag-scraper`."""

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

_KINDS = {"Image": "image", "Video": "video", "Sidecar": "carousel"}


def normalise(item: Item, keys: AuthorKeys, observed_at: datetime) -> Row:
    """A picture, a video or a carousel. Hidden likes come as -1; plays go before views, which are fewer."""
    key = keys.key(Platform.INSTAGRAM, first(item, "ownerUsername", "ownerId"))
    if "caption" not in item and "postUrl" in item and "text" in item:
        return ignored("comment")
    if "latestPosts" in item or "postsCount" in item:
        return ignored("profile")
    native_id = identifier(item.get("id"))
    if native_id is None:
        return quarantined("id_missing", key)
    when = moment(observed_at, item.get("timestamp"), item.get("takenAtTimestamp"))
    if when is None:
        return quarantined("time_missing", key)
    text = words(item["caption"] or "") if "caption" in item else None
    if text is None:
        return quarantined("text_missing", key)
    sound, kind = inner(item, "musicInfo"), item.get("type")
    plays = count(item.get("videoPlayCount"))
    return Post(
        Platform.INSTAGRAM,
        native_id.partition("_")[0],  # some shapes put the owner's id behind it
        _KINDS.get(kind, "image") if isinstance(kind, str) else "image",
        *when,
        key,
        text,
        hashtags(item.get("hashtags"), text),
        sound_id=identifier(sound.get("audio_id")),
        sound_name=label(sound.get("song_name"), 200),
        is_ad=flag(item.get("paidPartnership")),
        views=count(item.get("videoViewCount")) if plays is None else plays,
        likes=count(item.get("likesCount")),
        comments=count(item.get("commentsCount")),
    )
