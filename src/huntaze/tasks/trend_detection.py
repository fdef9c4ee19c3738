"""Hourly: what is new in the samples is scored, and trends begin, go on and end."""

import time
from collections import Counter

from huntaze.models import trend_history, trend_lives, trend_store
from huntaze.models.job_args import TrendsDetect
from huntaze.models.trend_store import DueFrame, Overtaken
from huntaze.pipelines.trends.buckets import CONTEXT_H, tally
from huntaze.pipelines.trends.detector import Detector
from huntaze.pipelines.trends.evidence import gather
from huntaze.pipelines.trends.rounds import score_round
from huntaze.pipelines.trends.topics import TopicKind
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

CHUNK_H = 48  # hours of a frame in one round: what an outage left is caught up with in pieces
FOLD_S = 60.0  # of one run, for history; the next slot goes on
_DETECTOR = Detector()


@job(TrendsDetect)
def detect_trends(ctx: JobContext, args: TrendsDetect) -> None:
    """Scores each frame's settled hours, each hour once, however often a slot is run."""
    with ctx.sessions.begin() as session:
        frames = trend_store.due_frames(session, args.slot)
    told: Counter[str] = Counter(dict.fromkeys(("hours", "topics", "alarms"), 0))
    for number, frame in enumerate(frames):
        ctx.progress(number / len(frames), "score")
        try:
            for first in range(frame.first, frame.until, CHUNK_H):
                ctx.checkpoint()
                told.update(_round(ctx, frame, first, min(first + CHUNK_H, frame.until)))
        except Overtaken:
            continue  # another attempt has scored it
    _tidy(ctx, args)
    with ctx.finish() as finish:
        states = trend_lives.follow(finish.session, args.slot)
        finish.result.update(frames=len(frames), **told, trends=dict(states))


def _round(ctx: JobContext, frame: DueFrame, first: int, until: int) -> Counter[str]:
    """One frame, some hours: load, score, store in one commit."""
    with ctx.sessions() as session:
        posts = trend_store.load_posts(session, frame, first - CONTEXT_H, until)
        remembered, kept = trend_store.load_memory(session, frame, first)
        living = trend_lives.open_trends(session)
    counted = tally(posts, first, until, frozenset(one.name for one in kept if one.kind == TopicKind.PHRASE))
    done = score_round(_DETECTOR, counted, remembered, kept)
    evidence = gather(posts, living.keys() | {alarm.topic for alarm in done.alarms})
    with ctx.sessions.begin() as session:
        trend_store.save_round(session, frame, (first, until), counted.sample, done, kept)
        ids = trend_store.topic_ids(session, {alarm.topic for alarm in done.alarms})
        begun = trend_lives.begin(session, frame, done.alarms, ids, _DETECTOR.threshold)
        trend_lives.show(session, living | begun, evidence)
    return Counter(hours=len(counted.known), topics=len(done.states), alarms=len(done.alarms))


def _tidy(ctx: JobContext, args: TrendsDetect) -> None:
    """Hours become days, and what the detector has forgotten goes."""
    before, deadline = trend_history.kept_from(args.slot), time.monotonic() + FOLD_S
    more = True
    while more and time.monotonic() < deadline:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            more = trend_history.fold(session, before)
    with ctx.sessions.begin() as session:
        trend_history.forget(session, before)
