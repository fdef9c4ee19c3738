"""From a creator's own figures to insights, once a day, and only where the figures have changed."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from huntaze.clients.ai.checked import BAD_ANSWER, ask_checked
from huntaze.models import insight_figures, insight_store
from huntaze.models.insights import InsightSet
from huntaze.models.job_args import AiInsights, AiInsightsRun
from huntaze.pipelines.ai.calls import Caller, ChatReply
from huntaze.pipelines.ai.replies import UnusableAnswer
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.insights.figures import Figure, figures_key
from huntaze.pipelines.insights.insight import PROMPT, build_request, parse_insights
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BATCH: Final = 500  # creators a transaction


@job(AiInsightsRun)
def run_insights(ctx: JobContext, args: AiInsightsRun) -> None:
    """A job for each creator of a batch, and one for the next batch, in one commit."""
    with ctx.finish() as finish:
        made, after = insight_store.enqueue_for(finish.session, args.slot, args.after, BATCH)
        if after is not None:
            finish.enqueue(AiInsightsRun(slot=args.slot, after=after))
        finish.result.update(jobs=made, more=after is not None)


@job(AiInsights)
def write_insights(ctx: JobContext, args: AiInsights) -> None:
    """Figures -> model -> what of its words the figures bear out -> the creator's insights, and their event.

    No call for figures that are as they were, nor for none at all. A spent budget is waited for.
    """
    creator_id = ctx.job.creator_id
    assert creator_id is not None
    until = insight_figures.window_of(args.slot)
    with ctx.sessions() as session:
        figures = insight_figures.of_creator(session, creator_id, until)
        key = figures_key(figures, PROMPT)
        last = insight_store.newest(session, creator_id)
        before = insight_store.find(session, creator_id, key)
    if not figures or (last is not None and last.figures_key == key):
        with ctx.finish() as finish:
            finish.result.update(figures=len(figures), calls=0)
        return
    values = _asked(ctx, figures) if before is None else _told_before(before)
    ours = {"creator_id": creator_id, "figures_key": key, "figures_until": until, "figures": _rows(figures)}
    with ctx.finish() as finish:
        kept = insight_store.save(finish.session, {**values, **ours})
        count = len(kept.insights)
        finish.result.update(figures=len(figures), calls=kept.usage["calls"], insights=count, dropped=kept.dropped)
        if count:
            finish.emit("insights.written", kept.id, {"insights_id": str(kept.id), "insights": count})


def _asked(ctx: JobContext, figures: Sequence[Figure]) -> dict[str, Any]:
    """Raises Permanent (`ai.bad_answer`) with both answers in its detail, for operators."""
    # Sets are kept in the ledger; an answer that cannot be used must not be given again.
    caller = Caller(ctx.job.creator_id, ctx.job.id, cache_s=0)
    ctx.progress(0.1, "ask")
    try:
        told = ask_checked(ctx.clients.ai, build_request(figures), caller, lambda text: parse_insights(text, figures))
    except UnusableAnswer as error:
        failure = Permanent(BAD_ANSWER, "The model's answer about these figures could not be used.")
        failure.detail = error.detail
        raise failure from None
    return {
        "insights": [one.model_dump(mode="json") for one in told.value.insights],
        "dropped": len(told.value.dropped),
        "usage": _usage(told.replies),
    }


def _usage(replies: Sequence[ChatReply]) -> dict[str, Any]:
    """What the calls took together."""
    return {
        "model": replies[-1].model,
        "sandbox": replies[-1].sandbox,
        "prompt_version": PROMPT,
        "calls": len(replies),
        "input_tokens": sum(reply.input_tokens for reply in replies),
        "output_tokens": sum(reply.output_tokens for reply in replies),
        "cost_micro_usd": sum(reply.cost_micro_usd for reply in replies),
    }


def _told_before(before: InsightSet) -> dict[str, Any]:
    """The figures are again as they once were: what was told then holds, and costs nothing."""
    nothing = dict.fromkeys(("calls", "input_tokens", "output_tokens", "cost_micro_usd"), 0)
    first: uuid.UUID | str = before.usage.get("reused_from", before.id)
    usage = {**before.usage, **nothing, "reused_from": str(first)}
    return {"insights": before.insights, "dropped": before.dropped, "usage": usage}


def _rows(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    ordered = sorted(figures, key=lambda one: one.name)
    return [{"name": one.name, "value": one.shown, "unit": one.unit, "about": one.about} for one in ordered]
