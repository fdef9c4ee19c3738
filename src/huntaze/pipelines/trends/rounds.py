"""One round of scoring: a frame's new hours, for all topics that are spoken of in them, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from huntaze.pipelines.trends.buckets import Tally, standardised
from huntaze.pipelines.trends.detector import Detector, Floats, pack, unpack
from huntaze.pipelines.trends.life import FLOOR_AUTHORS, FLOOR_POSTS
from huntaze.pipelines.trends.topics import Topic

MEMORY_H = 14 * 24  # a topic that was silent for so long begins anew: what it was has faded to a twentieth
_TYPICAL_H = 120  # hours over which a frame's typical sample is averaged: the detector's memory


class Kept(NamedTuple):
    """A state at rest: `hour` is the last that it has seen."""

    hour: int
    state: bytes


@dataclass(frozen=True)
class Frame:
    """What is remembered of a source under one cap."""

    known: Sequence[int]  # hours that were sampled well enough, in order, of the last `MEMORY_H`
    seen: int = 0  # how many there were ever
    typical: float = 0.0  # posts of an hour's sample


class Scored(NamedTuple):
    """An hour of a topic that had posts. `value`: posts in a sample of the typical size; `strength`: 1.0 is the
    threshold; `authors` are distinct, and what names none is one of them."""

    topic: Topic
    hour: int
    posts: int
    authors: int
    value: float
    strength: float


class Alarm(NamedTuple):
    """A topic that fired, and is spoken of enough; `posts` and `authors` of the hours that led to it."""

    topic: Topic
    hour: int
    strength: float
    posts: int
    authors: int


@dataclass(frozen=True)
class Round:
    """What a round leaves behind."""

    frame: Frame
    scored: list[Scored]
    states: dict[Topic, Kept]
    alarms: list[Alarm]


def score_round(detector: Detector, tally: Tally, frame: Frame, kept: Mapping[Topic, Kept]) -> Round:
    """Steps every topic of the tally through the hours it has missed, in silence, and then through the new ones.

    Topics that the frame does not know are taken up if enough people speak of them.
    """
    topics = [topic for topic in tally.active() if topic in kept or tally.is_news(topic)]
    states, last = _awake(detector, topics, frame, kept, tally.first)
    for hour in (one for one in frame.known if one < tally.first):
        late = last < hour
        if late.any():
            states[:, late], _ = detector.step(states[:, late], np.zeros(int(late.sum()), np.float32), hour)
    scored: list[Scored] = []
    alarms: list[Alarm] = []
    seen, typical = frame.seen, frame.typical
    for hour in tally.known:
        sample = tally.sample[hour]
        typical = typical or float(sample)
        values = [standardised(tally.posts(topic, hour), sample, typical) for topic in topics]
        trails = [tally.trail(topic, hour) for topic in topics]
        enough = np.array([posts >= FLOOR_POSTS and authors >= FLOOR_AUTHORS for posts, authors in trails], np.bool_)
        states, scores = detector.step(states, np.array(values, np.float32), hour, enough)
        strengths = scores.strength.tolist()
        scored += [
            Scored(topic, hour, tally.posts(topic, hour), tally.authors(topic, hour), value, strength)
            for topic, value, strength in zip(topics, values, strengths, strict=True)
            if value
        ]
        alarms += [Alarm(topics[one], hour, strengths[one], *trails[one]) for one in np.flatnonzero(scores.fired)]
        seen += 1
        typical += (sample - typical) / min(seen, _TYPICAL_H)
    known = [hour for hour in (*frame.known, *tally.known) if hour >= tally.until - MEMORY_H]
    end = tally.known[-1] if tally.known else tally.first
    after = {topic: Kept(end, state) for topic, state in zip(topics, pack(states), strict=True)} if tally.known else {}
    return Round(Frame(known, seen, typical), scored, after, alarms)


def _awake(
    detector: Detector, topics: Sequence[Topic], frame: Frame, kept: Mapping[Topic, Kept], first: int
) -> tuple[Floats, NDArray[np.int64]]:
    """States side by side, and the last hour that each has seen.

    A topic that is new, silent for long, or whose state other parameters wrote, is one whose silence was observed.
    """
    states = detector.fresh(len(topics), seen=frame.seen)
    last = np.full(len(topics), first, np.int64)
    found = {index: kept[topic] for index, topic in enumerate(topics) if topic in kept}
    here = {
        index: one
        for index, one in found.items()
        if one.hour >= first - MEMORY_H and len(one.state) == detector.state_bytes
    }
    states[:, list(here)] = unpack([one.state for one in here.values()], detector.fields)
    last[list(here)] = [one.hour for one in here.values()]
    return states, last
