"""What posts are about: hashtags, phrases and sounds, each written one way however it was typed."""

import html
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, Protocol

LONGEST = 100  # characters of a name
_WORDS = 3  # of a phrase, at most
_SUBSUMED = 0.8  # a phrase is left out if so much of it is part of a longer one


class TopicKind(StrEnum):
    """What a topic is made of."""

    HASHTAG = "hashtag"  # its name is the tag without #
    PHRASE = "phrase"  # one to three words of captions
    SOUND = "sound"  # platform:id, as ids are each platform's own


class Topic(NamedTuple):
    """The same for everyone who means the same."""

    kind: TopicKind
    name: str


class Words(Protocol):
    """What is read of a post. `hashtags` as they were written, without #."""

    @property
    def platform(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def hashtags(self) -> Sequence[str]: ...
    @property
    def sound_id(self) -> str | None: ...


# Tags that ask a platform for reach and say nothing of the post, in canonical form.
_REACH = """
    fyp foryou foryoupage fypage fypシ fypシ゚ fypシ゚viral fypviral fypp fyppp fypdong foryourpage xyzbca viral viralvideo
    viralvideos viralpost viralreels trending trend trendingnow trendingreels explore explorepage explorer reels reel
    reelsinstagram instareels reelitfeelit instagram instagood instadaily instamood igers tiktok tiktokviral tiktoktrend
    shorts short youtubeshorts ytshorts youtube shortsvideo shortsfeed follow followme followforfollow f4f like
    likeforlike l4l like4like likes share comment subscribe pourtoi pourtoipage parati paratii perte neiperte keşfet
    keşfetteyiz fürdich おすすめ おすすめにのりたい 推荐 추천 рекомендации рек ad sponsored capcut duet stitch
    greenscreen
"""
PLATFORM_TAGS = frozenset(_REACH.split())

_SKIN = {chr(code) for code in range(0x1F3FB, 0x1F400)}  # an emoji's skin tone
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_BREAK = re.compile(r"[#＃@]\S+|[.!?,;:()\[\]|…\"“”\n]+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def canonical(text: str) -> str:
    """Entities undone, NFKC, case folded; without what cannot be seen and what only varies an emoji.

    A mark of a script (category M) is part of its letter and stays; format characters (Cf: zero-width joiners, marks of
    direction), variation selectors and skin tones go. The result is its own canonical form.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", html.unescape(text)).casefold())
        return "".join(letter for letter in text if not _invisible(letter)).strip()
    return (html.unescape(text) if "&" in text else text).casefold().strip()


def _invisible(letter: str) -> bool:
    unseen = unicodedata.category(letter) in ("Cf", "Cc") and not letter.isspace()
    return unseen or "\ufe00" <= letter <= "\ufe0f" or letter in _SKIN


def hashtag_topic(tag: str) -> Topic | None:
    """The topic of a tag; None for one that says nothing: empty, a number, a platform's own."""
    name = canonical(tag).lstrip("#＃")[:LONGEST]
    if not name or name in PLATFORM_TAGS or not any(map(_speaks, name)):
        return None
    return Topic(TopicKind.HASHTAG, name)


def _speaks(letter: str) -> bool:
    """Letters do, and emoji; digits and punctuation alone do not."""
    return unicodedata.category(letter) in ("Lu", "Ll", "Lt", "Lm", "Lo", "So")


def named_topics(post: Words) -> set[Topic]:
    """The hashtags and the sound of a post."""
    found = {topic for tag in post.hashtags if (topic := hashtag_topic(tag))}
    if post.sound_id:
        found.add(Topic(TopicKind.SOUND, f"{post.platform}:{post.sound_id}"[:LONGEST]))
    return found


def phrases(text: str) -> set[str]:
    """Runs of one to three words of a caption, within a clause; tags, mentions and addresses are none of its words."""
    found: set[str] = set()
    for piece in _BREAK.split(_URL.sub("\n", canonical(text))):
        words = _WORD.findall(piece)
        for size in range(1, _WORDS + 1):
            found |= {" ".join(run) for run in _runs(words, size)}
    return {phrase for phrase in found if 2 < len(phrase) <= LONGEST and not phrase.replace(" ", "").isdigit()}


def _runs(words: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (words[start : start + size] for start in range(len(words) - size + 1))


def weigh(here: Mapping[str, int], elsewhere: Mapping[str, int], classes: int) -> dict[str, float]:
    """c-TF-IDF of each phrase of one class of posts: its share here x log(1 + words a class / its count anywhere).

    `here`: {phrase: posts} of the class, `elsewhere` of the other `classes - 1` together. Grootendorst 2022
    (arXiv:2203.05794), with posts for occurrences: who repeats a word in a caption does not say it louder.
    """
    total = sum(here.values())
    average = (total + sum(elsewhere.values())) / max(1, classes)
    return {
        phrase: count / total * math.log1p(average / (count + elsewhere.get(phrase, 0)))
        for phrase, count in here.items()
    }


def telling(weights: Mapping[str, float], counts: Mapping[str, int], most: int) -> list[str]:
    """The heaviest phrases, at most `most`; of those that are nearly always part of a longer one, the longer."""
    kept: list[str] = []
    inside: Counter[str] = Counter()  # of a phrase: posts that have it as part of a kept, longer one
    for phrase in sorted(weights, key=lambda one: (-one.count(" "), -weights[one], one)):
        if inside[phrase] < _SUBSUMED * counts[phrase]:
            kept.append(phrase)
            for part in _parts(phrase):
                inside[part] = max(inside[part], counts[phrase])
    return sorted(kept, key=lambda one: (-weights[one], one))[:most]


def _parts(phrase: str) -> Iterable[str]:
    words = phrase.split(" ")
    yield from words if len(words) > 1 else ()
    if len(words) > 2:
        yield from (f"{left} {right}" for left, right in pairwise(words))
