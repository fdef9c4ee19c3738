"""`clockworks/tiktok-scraper` and its relatives."""

from datetime import datetime

from huntaze.pipelines.trends.posts.fields import (
    Item,
    count,
    either,
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
from huntaze.pipelines.trends.posts.post import Platform, Post, Row, quarantined

_UNKNOWN_LANGUAGE = ("un", "und", "")


def normalise(item: Item, keys: AuthorKeys, observed_at: datetime) -> Row:
    """A video or a slideshow. `hashtags` of a row can be abridged, so the text is read too."""
    author = inner(item, "authorMeta")
    key = keys.key(Platform.TIKTOK, first(author, "name", "uniqueId") or first(item, "authorMeta.name", "author"))
    native_id = identifier(item.get("id"))
    if native_id is None:
        return quarantined("id_missing", key)
    when = moment(observed_at, item.get("createTimeISO"), item.get("createTime"))
    if when is None:
        return quarantined("time_missing", key)
    text = words(item["text"] or "") if "text" in item else words(item.get("desc"))
    if text is None:
        return quarantined("text_missing", key)
    sound = inner(item, "musicMeta")
    language = item.get("textLanguage")
    return Post(
        Platform.TIKTOK,
        native_id,
        "carousel" if flag(item.get("isSlideshow")) else "video",
        *when,
        key,
        text,
        hashtags(item.get("hashtags"), text),
        sound_id=identifier(sound.get("musicId")),
        sound_name=label(sound.get("musicName"), 200),
        language=None if language in _UNKNOWN_LANGUAGE else label(language, 16),
        is_ad=either(item.get("isAd"), item.get("isSponsored")),
        views=count(item.get("playCount")),
        likes=count(item.get("diggCount")),
        comments=count(item.get("commentCount")),
        shares=count(item.get("shareCount")),
        saves=count(item.get("collectCount")),
    )
