"""What a row of a dataset can be: a post, search interest, or something else with a reason."""

import enum
from datetime import datetime
from typing import NamedTuple


class Platform(enum.StrEnum):
    """Whose posts."""

    TIKTOK = "tiktok"
    INSTAGRAM = "instagram"
    X = "x"
    REDDIT = "reddit"
    YOUTUBE = "youtube"
    GOOGLE_TRENDS = "google_trends"


class Post(NamedTuple):
    """A public post. These fields are all that is taken of a row: what is not here is not kept. None: not told.

    A tuple, as a run has thousands: half the time of a frozen dataclass.
    """

    platform: str
    native_id: str
    kind: str  # video, image, carousel, text, link, short
    created_at: datetime  # aware, UTC
    created_exact: bool  # False: told by the day, or as "5 years ago"
    author_key: bytes | None  # 16 bytes, see identity.py; the handle itself is in no post
    text: str
    hashtags: list[str]  # as written, without #, no repeats
    sound_id: str | None = None
    sound_name: str | None = None
    community: str | None = None
    language: str | None = None
    is_ad: bool | None = None
    is_repost: bool | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    saves: int | None = None


class InterestPoint(NamedTuple):
    """Search interest at one moment, 0..100 of the highest point of the same answer; None: no data, which is not 0."""

    term: str
    at: datetime
    value: int | None


class Interest(NamedTuple):
    """A row that tells of search interest."""

    points: tuple[InterestPoint, ...]


class Outcome(enum.StrEnum):
    """What became of a row."""

    POST = "post"
    INTEREST = "interest"
    SENTINEL = "sentinel"  # a row that says there is no row: nothing was found, or the actor was held off
    IGNORED = "ignored"  # a thing that is not kept: a comment, a profile
    QUARANTINED = "quarantined"  # should have been a post


class NoPost(NamedTuple):
    """A row that is no post, and why."""

    outcome: Outcome
    reason: str
    author_key: bytes | None = None


Row = Post | Interest | NoPost


def quarantined(reason: str, author_key: bytes | None = None) -> NoPost:
    """A row that lacks what a post must have."""
    return NoPost(Outcome.QUARANTINED, reason, author_key)


def ignored(reason: str) -> NoPost:
    """A row that is not for us."""
    return NoPost(Outcome.IGNORED, reason)


_URLS = {
    Platform.TIKTOK: "https://www.tiktok.com/@/video/{}",
    Platform.X: "https://x.com/i/status/{}",
    Platform.REDDIT: "https://www.reddit.com/comments/{}",
    Platform.YOUTUBE: "https://www.youtube.com/watch?v={}",
}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def post_url(platform: str, native_id: str) -> str | None:
    """Where the post is to be seen, without its author's name. None where the platform has no such address."""
    if platform == Platform.INSTAGRAM:
        return _instagram_url(native_id)
    form = _URLS.get(Platform(platform))
    return None if form is None else form.format(native_id)


def _instagram_url(native_id: str) -> str | None:
    """Instagram's addresses hold the id in base 64."""
    head = native_id.partition("_")[0]
    if not head.isdecimal():
        return None
    number, code = int(head), ""
    while number:
        number, digit = divmod(number, 64)
        code = _ALPHABET[digit] + code
    return f"https://www.instagram.com/p/{code}/"
