"""All SQL of recommendations. `session` is the caller's transaction; nothing here commits."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import trend_reads
from huntaze.models.job_args import TrendsRecommend
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.models.recommendations import Feedback, Recommendation
from huntaze.pipelines.recommend.interests import Said, Work
from huntaze.pipelines.recommend.rank import Candidate

KEPT_DAYS = 90  # of what was not answered
_NOBODY = uuid.UUID(int=0)

# Creators who have something to be compared with, or who ask for trends.
_ACTIVE = text("""
    SELECT id FROM users WHERE id > :after AND (
        EXISTS (SELECT FROM content_tasks WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM trend_sources WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM recommendations WHERE creator_id = users.id)
    ) ORDER BY id LIMIT :limit
""")
_WORKS = text("""
    SELECT c.name, t.analysis, c.created_at AS at FROM content_tasks t JOIN content c ON c.id = t.content_id
    WHERE t.creator_id = :creator_id AND t.status = 'succeeded' ORDER BY t.id DESC LIMIT 500
""")
_SAID = text("""
    SELECT trend_id, feedback, about, answered_at FROM recommendations
    WHERE creator_id = :creator_id AND feedback IS NOT NULL ORDER BY answered_at DESC LIMIT 200
""")
_ANSWERED = text(
    "SELECT DISTINCT trend_id FROM recommendations WHERE creator_id = :creator_id AND feedback IS NOT NULL"
)
_NEWER = text("SELECT EXISTS (SELECT FROM recommendations WHERE creator_id = :creator_id AND current AND slot > :slot)")
_PRUNE = text("""
    DELETE FROM recommendations WHERE creator_id = :creator_id AND NOT current AND feedback IS NULL
      AND created_at < clock_timestamp() - make_interval(days => :days)
""")


def active(session: Session, after: uuid.UUID | None, limit: int) -> Sequence[uuid.UUID]:
    """The next creators behind `after` to whom trends may matter."""
    return session.scalars(_ACTIVE, {"after": after or _NOBODY, "limit": limit}).all()


def enqueue_for(session: Session, slot: datetime, after: uuid.UUID | None, limit: int) -> tuple[int, uuid.UUID | None]:
    """A job for each of the next creators behind `after`. Returns how many were made, and behind whom to go on; None:
    that was all."""
    ids = active(session, after, limit)
    # Behind what somebody waits for.
    made = enqueue_many(session, [NewJob(TrendsRecommend(slot=slot), creator_id=one, priority=10) for one in ids])
    return sum(one.created for one in made), ids[-1] if len(ids) == limit else None


def works_of(session: Session, creator_id: uuid.UUID) -> list[Work]:
    """The creator's newest analysed contents."""
    return [_work(row.name, row.analysis, row.at) for row in session.execute(_WORKS, {"creator_id": creator_id})]


def _work(name: str, analysis: dict[str, Any], at: datetime) -> Work:
    texts = [analysis.get("summary"), *(analysis.get("titles") or ())[:1], *(analysis.get("captions") or ())[:1]]
    told = " ".join(one for one in texts if isinstance(one, str))
    return Work(f"{name.rpartition('.')[0] or name} {told}", list(analysis.get("tags") or ()), at)


def said_by(session: Session, creator_id: uuid.UUID) -> list[Said]:
    """What the creator said to earlier recommendations."""
    return [
        Said(row.trend_id, row.feedback == Feedback.USED, _text(row.about), list(row.about["tags"]), row.answered_at)
        for row in session.execute(_SAID, {"creator_id": creator_id})
    ]


def _text(about: dict[str, Any]) -> str:
    return " ".join([about["name"], *about["phrases"]])


def candidates(
    session: Session, creator_id: uuid.UUID, now: datetime, tags: Sequence[str]
) -> tuple[list[Candidate], dict[uuid.UUID, dict[str, Any]], dict[uuid.UUID, dict[str, Any]]]:
    """The live trends that are worth a closer look (trend_reads.candidates); {trend: `about`} and {trend: `why`}, as
    they are kept with a set."""
    rows = trend_reads.candidates(session, creator_id, now, tags)
    posts = trend_reads.examples(session, [row.id for row in rows], creator_id)
    found, about, why = [], {}, {}
    for row in rows:
        about[row.id] = _about(row)
        why[row.id] = _why(row)
        said = " ".join([_text(about[row.id]), *(post.text for post in posts.get(row.id, ()))])
        found.append(
            Candidate(
                id=row.id,
                name=about[row.id]["name"],
                text=said,
                tags=about[row.id]["tags"],
                strength=row.strength,
                confidence=row.confidence,
                started_at=row.started_at,
                peak_at=row.peak_at,
            )
        )
    return found, about, why


def _about(row: Any) -> dict[str, Any]:
    """A sound's number says nothing: it goes by its name."""
    name = trend_reads.label(row).lstrip("#")
    tags = {one["name"]: one["share"] for one in row.related if one["kind"] == "hashtag"}
    own = {row.name: 1.0} if row.kind == "hashtag" else {}
    phrases = [one["name"] for one in row.related if one["kind"] == "phrase"]
    return {"kind": row.kind, "name": name, "label": trend_reads.label(row), "tags": tags | own, "phrases": phrases}


def _why(row: Any) -> dict[str, Any]:
    return {
        "state": row.state,
        "platforms": row.platforms,
        "regions": row.regions,
        "posts": row.posts,
        "authors": row.authors,
        "alarm": round(row.strength, 2),
        "confidence": round(row.confidence, 2),
        "velocity": round(row.velocity, 2),
        "started_at": row.started_at.isoformat(),
        "peak_at": row.peak_at.isoformat(),
    }


def save_set(session: Session, creator_id: uuid.UUID, slot: datetime, rows: Iterable[dict[str, Any]]) -> int | None:
    """Puts a set (`rows`: columns, in order) in the place of the one before; returns its size, None if a newer slot's
    set is there. What was answered while it was made is left out."""
    creator = {"creator_id": creator_id}
    session.execute(text("SELECT FROM users WHERE id = :creator_id FOR NO KEY UPDATE"), creator)
    if session.execute(_NEWER, creator | {"slot": slot}).scalar_one():
        return None
    answered = set(session.scalars(_ANSWERED, creator))
    kept = [row for row in rows if row["trend_id"] not in answered]
    old = update(Recommendation).where(Recommendation.creator_id == creator_id, Recommendation.current)
    session.execute(old.values(current=False))
    session.add_all(
        [Recommendation(creator_id=creator_id, slot=slot, place=at, **row) for at, row in enumerate(kept, start=1)]
    )
    session.flush()
    session.execute(_PRUNE, creator | {"days": KEPT_DAYS})
    return len(kept)


def current(session: Session, creator_id: uuid.UUID) -> Sequence[Recommendation]:
    """The creator's set, without what was answered, in order."""
    query = select(Recommendation).where(Recommendation.creator_id == creator_id, Recommendation.current)
    return session.scalars(query.where(Recommendation.feedback.is_(None)).order_by(Recommendation.place)).all()


def answer(session: Session, creator_id: uuid.UUID, one: uuid.UUID, feedback: Feedback) -> Recommendation | None:
    """Keeps what the creator says; None if it is not theirs. Repeating does no harm."""
    query = select(Recommendation).where(Recommendation.id == one, Recommendation.creator_id == creator_id)
    row = session.scalars(query.with_for_update()).one_or_none()
    if row is not None and row.feedback != feedback:
        now = session.execute(select(func.clock_timestamp())).scalar_one()
        row.feedback, row.answered_at = feedback, now
        session.flush()
    return row
