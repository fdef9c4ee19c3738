"""Pages of a dataset as an actor for TikTok writes them: long rows, most of which nobody keeps; all posts differ."""

import json
import random
import string
from typing import Any, Final

FIRST_S: Final = 1_790_812_800  # 2026-10-01, when they are looked at
_SEPTEMBER_S = FIRST_S - 30 * 86_400
_SPAN_S = 14 * 86_400  # over which they were made
_AUTHORS = 400_000
_SHAPES = 500
_STEP, _ROOM = 0x9E3779B1, 2**32  # an odd step visits every number of the room once
_MOODS = ("", "", "", "", "👀", "☁️☁️", "😍🔥", "✨ так просто", "¡qué fácil!", "かわいい", "Kräuter &amp; Öl", "@friend")
_TAGS = "ootd fitness cooking travel makeup gaming diy pets books cars fyp viral grwm cleantok plants ramen".split()  # noqa: SIM905


class Pages:
    """Pages of `size` rows by number; `seed` differs where no post is to be the same."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._chance = random.Random(seed)
        self._words = ["".join(self._chance.choices(string.ascii_lowercase, k=n % 9 + 2)) for n in range(3000)]
        self._shapes = [self._shape() for _ in range(_SHAPES)]

    def page(self, number: int) -> str:
        """The JSON of a page, the same whenever it is asked for: 1.3 KB a row."""
        first = number * self._size
        return f"[{','.join(self._row(first + at) for at in range(self._size))}]"

    def _row(self, number: int) -> str:
        mixed = (number * _STEP + self._seed) % _ROOM
        made = FIRST_S - 60 - mixed % _SPAN_S
        # As the platform makes them: the second in the upper half, so that ids and times go together.
        native_id = (made << 32) + (self._seed << 24) + number
        hour, minute = divmod(made // 60 % 1440, 60)
        iso = f"2026-09-{1 + (made - _SEPTEMBER_S) // 86_400:02}T{hour:02}:{minute:02}:{made % 60:02}.000Z"
        return self._shapes[mixed % _SHAPES] % (native_id, made, iso, mixed % _AUTHORS, mixed % 90_007, mixed % 7_001)

    def _shape(self) -> str:
        """A row with places for id, time, author, views and likes."""
        tags = self._chance.sample(_TAGS, self._chance.choice((0, 1, 3, 5, 8)))
        words = " ".join(self._chance.choices(self._words, k=self._chance.choice((2, 8, 15, 30))))
        text = f"{words} {self._chance.choice(_MOODS)} {' '.join('#' + tag for tag in tags)}"
        row: dict[str, Any] = {"id": "<0>", "text": text, "textLanguage": "en", "createTime": "<1>"}
        row |= {"createTimeISO": "<2>", "isAd": False, "isSlideshow": False, "authorMeta": _author()}
        row["musicMeta"] = {
            "musicName": "original sound",
            "musicAuthor": "Redacted",
            "musicOriginal": True,
            "musicId": str(self._chance.randrange(7 * 10**18, 7 * 10**18 + 9000)),
            "playUrl": "https://cdn.example/sound.mp3",
        }
        row["videoMeta"] = {"height": 1024, "width": 576, "duration": 15, "coverUrl": "https://cdn.example/cover.jpg"}
        row |= {"playCount": "<4>", "diggCount": "<5>", "shareCount": 3, "commentCount": 17, "collectCount": 4}
        row["hashtags"] = [{"id": "1", "name": tag, "title": "", "cover": ""} for tag in tags[:4]]
        row |= {"mediaUrls": [], "mentions": [], "effectStickers": [], "searchQuery": "ootd"}
        return _places(json.dumps(row, ensure_ascii=False))


def _author() -> dict[str, Any]:
    about = {"nickName": "Redacted", "signature": "somebody's own words about themselves", "verified": False}
    counts = {"following": 204, "friends": 13, "fans": 1982, "heart": 8422, "video": 148, "digg": 231}
    pictures = {"avatar": "https://cdn.example/a.jpg", "originalAvatarUrl": "https://cdn.example/b.jpg"}
    return {"id": "1000000000000000001", "name": "<3>", **about, **counts, **pictures}


def _places(row: str) -> str:
    """Its marks as places for numbers, in the order of their numbers."""
    written = row.replace("%", "%%")
    for mark, place in enumerate(('"%d"', "%d", '"%s"', '"creator_%d"', "%d", "%d")):
        written = written.replace(f'"<{mark}>"', place)
    return written
