"""From trends and a creator's own work to a set of recommendations, once a day."""

import random
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from huntaze.clients.ai.checked import ask_checked
from huntaze.models import recommendation_store
from huntaze.models.job_args import TrendsRecommend, TrendsRecommendRun
from huntaze.pipelines.ai.calls import Caller
from huntaze.pipelines.ai.replies import UnusableAnswer
from huntaze.pipelines.errors import HuntazeError
from huntaze.pipelines.recommend.idea import IDEAS, Subject, build_request, parse_ideas, template
from huntaze.pipelines.recommend.interests import learn, liked_tags
from huntaze.pipelines.recommend.rank import Pick, Trends, recommend
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BATCH: Final = 500  # creators a transaction
_PATIENCE_S: Final = 1.0  # an idea is not worth a wait: there is the template


@job(TrendsRecommendRun)
def run_recommendations(ctx: JobContext, args: TrendsRecommendRun) -> None:
    """A job for each creator of a batch, and one for the next batch, in one commit."""
    with ctx.finish() as finish:
        made, after = recommendation_store.enqueue_for(finish.session, args.slot, args.after, BATCH)
        if after is not None:
            finish.enqueue(TrendsRecommendRun(slot=args.slot, after=after))
        finish.result.update(jobs=made, more=after is not None)


@job(TrendsRecommend)
def recommend_trends(ctx: JobContext, args: TrendsRecommend) -> None:
    """Trends, own work, what was said -> a set -> ideas -> the creator's recommendations, and their event.

    The same slot gives the same set, as long as what it is made of is the same.
    """
    creator_id = ctx.job.creator_id
    assert creator_id is not None
    with ctx.sessions() as session:
        works = recommendation_store.works_of(session, creator_id)
        said = recommendation_store.said_by(session, creator_id)
        tags = liked_tags(works, said)
        candidates, about, why = recommendation_store.candidates(session, creator_id, args.slot, tags)
    ctx.progress(0.2, "rank")
    trends = Trends(candidates)
    interests = learn(works, said, args.slot, trends.rarity)
    chance = random.Random(f"{creator_id}:{args.slot.isoformat()}")  # noqa: S311 - no secret: a draw that can be repeated
    picks = recommend(trends, interests, args.slot, chance)
    ctx.progress(0.5, "ideas")
    ideas = _ideas(ctx, picks, about, why)
    rows = [_row(pick, about, why, idea) for pick, idea in zip(picks, ideas, strict=True)]
    with ctx.finish() as finish:
        size = recommendation_store.save_set(finish.session, creator_id, args.slot, rows)
        told = sum(idea["source"] != "template" for idea in ideas)
        finish.result.update(trends=len(candidates), works=len(works), recommendations=size or 0, ideas=told)
        if size:
            finish.emit("recommendations.ready", creator_id, {"recommendations": size})


def _ideas(
    ctx: JobContext,
    picks: Sequence[Pick],
    about: Mapping[uuid.UUID, dict[str, Any]],
    why: Mapping[uuid.UUID, dict[str, Any]],
) -> list[dict[str, Any]]:
    """A text for each pick; the first ones from a model, if there is one and money, and if what it writes holds."""
    subjects = [
        Subject(
            label=about[pick.scored.candidate.id]["label"],
            related=tuple(about[pick.scored.candidate.id]["tags"]),
            terms=pick.scored.terms,
            **{key: why[pick.scored.candidate.id][key] for key in ("posts", "authors", "platforms", "state")},
        )
        for pick in picks
    ]
    written, source = dict[int, str](), "model"
    if subjects:
        asked = subjects[:IDEAS]
        caller = Caller(ctx.job.creator_id, ctx.job.id, patience_s=_PATIENCE_S)
        try:
            answer = ask_checked(ctx.clients.ai, build_request(asked), caller, lambda text: parse_ideas(text, asked))
            written, source = answer.value, "sandbox" if answer.replies[-1].sandbox else "model"
        except (HuntazeError, UnusableAnswer):
            written = {}  # no budget, no model, no use: the template says the same in plainer words
    return [
        {"text": written[at], "source": source} if at in written else {"text": template(one), "source": "template"}
        for at, one in enumerate(subjects)
    ]


def _row(
    pick: Pick,
    about: Mapping[uuid.UUID, dict[str, Any]],
    why: Mapping[uuid.UUID, dict[str, Any]],
    idea: dict[str, Any],
) -> dict[str, Any]:
    scored, trend_id = pick.scored, pick.scored.candidate.id
    return {
        "trend_id": trend_id,
        "relevance": scored.relevance,
        "strength": scored.strength,
        "freshness": scored.freshness,
        "explored": pick.explored,
        "propensity": min(1.0, pick.propensity),
        "about": about[trend_id],
        "why": {"terms": list(scored.terms), **why[trend_id]},
        "idea": idea,
    }
