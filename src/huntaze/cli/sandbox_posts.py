"""A made-up world of posts for the sandbox of scrapers, in the shapes in which real actors write theirs.

The same question has the same posts again, with figures that have grown since: every `STEP_S` seconds one is made,
enough for each hour's sample to count. One tag, which nobody used before, begins to rise four hours before the hour in
which the sandbox was started, so that there is a trend to be found. Each post says SANDBOX.
"""

import hashlib
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

STEP_S: Final = 120
HOUR_S: Final = 3600
_RISE_S = 4 * HOUR_S
# A wave has another name each hour, and the same again after 400: by then detection has forgotten the first.
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


def wave_of(anchor: float) -> str:
    """The tag that rises in the world of a sandbox that was started then."""
    first, second = (names.split() for names in _WAVES)
    number = int(anchor // HOUR_S) % (len(first) * len(second))
    return f"sandbox{first[number % len(first)]}{second[number // len(first)]}"


def make_items(actor: str, asked: Mapping[str, Any], most: int, now: float, anchor: float) -> list[Item]:
    """The newest posts on what was asked, newest first. `now`, `anchor`: seconds since 1970."""
    shape = _SHAPES.get(actor, _tiktok)
    if shape is _interest:
        return [_interest(str((asked.get("searchTerms") or ["sandbox"])[0]), now)]
    question = hashlib.sha256(repr(sorted(asked.items())).encode()).hexdigest()[:8]
    last = int(now // STEP_S)
    return [shape(_facts(question, number, now, anchor)) for number in range(last, last - most, -1)]


def _facts(question: str, number: int, now: float, anchor: float) -> Item:
    """One post, platform-free; the same whenever it is asked for, but for its figures."""
    chance = random.Random(f"{question}:{number}")  # noqa: S311 - a made-up world
    made = number * STEP_S + chance.randrange(STEP_S)
    tags = chance.sample(_TAGS, chance.choice((1, 2, 2, 3)))
    risen = anchor // HOUR_S * HOUR_S
    on_wave = chance.random() < 0.5 * min((made - risen + _RISE_S) / _RISE_S, 1.0)
    age_h = max(now - made, 60) / 3600
    views = int(chance.lognormvariate(7, 1.2) * (age_h / (age_h + 12)) * (4 if on_wave else 1))
    text = f"SANDBOX {' '.join(chance.sample(_WORDS, 4))}"
    wave = [wave_of(anchor), *([_BESIDE] if number % 2 else [])] if on_wave else []
    return {
        "id": int(question, 16) * 10**8 + number,
        "made": min(made, now),
        "text": f"{text} {' '.join(f'#{tag}' for tag in dict.fromkeys(wave + tags))}",
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
