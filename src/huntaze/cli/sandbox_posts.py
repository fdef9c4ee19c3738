"""A made-up world of posts for the sandbox of scrapers, in the shapes in which real actors write theirs.

The same question has the same posts again, with figures that have grown since: every `STEP_S` seconds one is made,
enough for each hour's sample to count. Every six hours a tag that nobody used before begins to rise, for half a day at
most, so that there is always a trend to be found. Each post says SANDBOX.
"""

import hashlib
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

STEP_S: Final = 120
HOUR_S: Final = 3600
WAVE_S: Final = 6 * HOUR_S  # from one to the next
# Hours since a wave began, and its share of posts; straight between.
_SHAPE_H = ((0, 0.0), (3, 0.5), (5, 0.5), (9, 0.0))
# The 401st has the name of the first again: by then detection has forgotten that one.
_WAVES = (
    "amber blue bright calm crisp deep early fresh gentle golden green hidden late light lunar mild new open pale warm",
    "bread cabin candle cloud coast garden harbor island kitchen lantern market meadow mirror orchard paper river "
    "street summit terrace window",
)
_TAGS = ("ootd", "fitness", "cooking", "travel", "makeup", "gaming", "diy", "pets", "books", "cars", "yellow")
_BESIDE = (
    "yellow"  # of every other post on the wave: the sample video's tags have it, so that there is a reason to tell
)
_WORDS = (
    "morning",
    "simple",
    "routine",
    "best",
    "tiny",
    "winter",
    "budget",
    "quiet",
    "city",
    "slow",
    "first",
    "honest",
)
Item = dict[str, Any]


def wave_of(moment: float) -> str:
    """The tag that began to rise last, at a moment."""
    first, second = (names.split() for names in _WAVES)
    number = int(moment // WAVE_S) % (len(first) * len(second))
    return f"sandbox{first[number % len(first)]}{second[number // len(first)]}"


def _share(moment: float, began: float) -> float:
    """Of all posts of a moment, those on the wave that began then."""
    since_h = (moment - began) / HOUR_S
    for (left, low), (right, high) in pairwise(_SHAPE_H):
        if left <= since_h < right:
            return low + (high - low) * (since_h - left) / (right - left)
    return 0.0


def _wave(moment: float, chance: float) -> str | None:
    """Which wave a post is on; None: on none."""
    for began in (moment // WAVE_S * WAVE_S, (moment // WAVE_S - 1) * WAVE_S):
        chance -= _share(moment, began)
        if chance < 0:
            return wave_of(began)
    return None


def make_items(actor: str, asked: Mapping[str, Any], most: int, now: float) -> list[Item]:
    """The newest posts on what was asked, newest first. `now`: seconds since 1970."""
    shape = _SHAPES.get(actor, _tiktok)
    if shape is _interest:
        return [_interest(str((asked.get("searchTerms") or ["sandbox"])[0]), now)]
    question = hashlib.sha256(repr(sorted(asked.items())).encode()).hexdigest()[:8]
    last = int(now // STEP_S)
    return [shape(_facts(question, number, now)) for number in range(last, last - most, -1)]


def _facts(question: str, number: int, now: float) -> Item:
    """One post, platform-free; the same whenever it is asked for, but for its figures."""
    chance = random.Random(f"{question}:{number}")  # noqa: S311 - a made-up world
    made = number * STEP_S + chance.randrange(STEP_S)
    tags = chance.sample(_TAGS, chance.choice((1, 2, 2, 3)))
    wave = _wave(made, chance.random())
    age_h = max(now - made, 60) / 3600
    views = int(chance.lognormvariate(7, 1.2) * (age_h / (age_h + 12)) * (4 if wave else 1))
    text = f"SANDBOX {' '.join(chance.sample(_WORDS, 4))}"
    on_wave = [wave, *([_BESIDE] if number % 2 else [])] if wave else []
    return {
        "id": int(question, 16) * 10**8 + number,
        "made": min(made, now),
        "text": f"{text} {' '.join(f'#{tag}' for tag in dict.fromkeys(on_wave + tags))}",
        "author": f"sandbox_{chance.randrange(400)}",
        "sound": chance.randrange(1, 40),
        "views": views,
        "likes": views // 11,
        "comments": views // 140,
        "shares": views // 200,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _tiktok(post: Item) -> Item:
    return {
        "id": str(post["id"]),
        "text": post["text"],
        "textLanguage": "en",
        "createTime": int(post["made"]),
        "createTimeISO": _iso(post["made"]),
        "isAd": False,
        "authorMeta": {"name": post["author"], "nickName": "Sandbox", "signature": "made up", "fans": 10},
        "musicMeta": {"musicId": str(7_000_000 + post["sound"]), "musicName": "sandbox sound", "musicOriginal": True},
        "webVideoUrl": f"https://www.tiktok.com/@{post['author']}/video/{post['id']}",
        "playCount": post["views"],
        "diggCount": post["likes"],
        "commentCount": post["comments"],
        "shareCount": post["shares"],
        "collectCount": post["shares"],
        "hashtags": [],
    }


def _instagram(post: Item) -> Item:
    return {
        "id": str(post["id"]),
        "type": "Video",
        "caption": post["text"],
        "hashtags": [],
        "timestamp": _iso(post["made"]),
        "ownerUsername": post["author"],
        "likesCount": -1 if post["id"] % 9 == 0 else post["likes"],
        "commentsCount": post["comments"],
        "videoPlayCount": post["views"],
        "musicInfo": {"audio_id": str(post["sound"]), "song_name": "sandbox sound"},
        "latestComments": [{"id": "1", "text": "made up", "ownerUsername": "sandbox"}],
    }


def _x(post: Item) -> Item:
    return {
        "type": "tweet",
        "id": str(post["id"]),
        "text": post["text"],
        "createdAt": datetime.fromtimestamp(post["made"], UTC).strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "lang": "en",
        "author": {"userName": post["author"], "description": "made up"},
        "viewCount": post["views"],
        "likeCount": post["likes"],
        "replyCount": post["comments"],
        "retweetCount": post["shares"],
        "bookmarkCount": post["shares"],
        "isRetweet": False,
        "entities": {"hashtags": []},
    }


def _reddit(post: Item) -> Item:
    return {
        "id": f"t3_{post['id']:x}",
        "dataType": "post",
        "title": post["text"],
        "body": "Made up.",
        "username": post["author"],
        "communityName": "r/sandbox",
        "createdAt": _iso(post["made"]),
        "upVotes": post["likes"],
        "numberOfComments": post["comments"],
        "isAd": False,
    }


def _youtube(post: Item) -> Item:
    return {
        "id": f"{post['id']:x}",
        "type": "shorts",
        "title": post["text"],
        "text": "",
        "date": _iso(post["made"]),
        "channelName": "Sandbox",
        "channelUrl": f"https://www.youtube.com/@{post['author']}",
        "viewCount": post["views"],
        "likes": post["likes"],
        "commentsCount": post["comments"],
        "hashtags": [],
    }


def _interest(term: str, now: float) -> Item:
    times = [int(now // 3600 - back) * 3600 for back in range(168, 0, -1)]
    points = [{"time": str(at), "value": [at // 3600 * 37 % 101], "hasData": [True]} for at in times]
    return {"searchTerm": term, "inputUrlOrTerm": term, "interestOverTime_timelineData": points}


_SHAPES: Final[Mapping[str, Callable[..., Item]]] = {
    "clockworks/tiktok-scraper": _tiktok,
    "apify/instagram-scraper": _instagram,
    "apidojo/tweet-scraper": _x,
    "trudax/reddit-scraper": _reddit,
    "streamers/youtube-scraper": _youtube,
    "apify/google-trends-scraper": _interest,
}
