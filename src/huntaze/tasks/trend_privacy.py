"""What is not kept: what is past its days, and what belongs to somebody who asks for it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy.orm import Session

from huntaze.models import trend_retention
from huntaze.models.job_args import TrendsForget, TrendsPrune
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

_DISPATCH_DAYS = 30  # the vendor gives up a delivery after a day and a half


@job(TrendsPrune)
def prune_trends(ctx: JobContext, args: TrendsPrune) -> None:
    """Deletes rows of datasets, posts and webhooks past their days, in small transactions."""
    assert ctx.settings is not None
    days = ctx.settings.apify
    raw = _all(ctx, partial(trend_retention.prune_raw, before=args.slot - timedelta(days=days.raw_days)))
    posts = _all(ctx, partial(trend_retention.prune_posts, before=args.slot - timedelta(days=days.post_days)))
    _all(ctx, partial(trend_retention.prune_dispatches, before=args.slot - timedelta(days=_DISPATCH_DAYS)))
    with ctx.finish() as finish:
        finish.result.update(raw_rows=raw, posts=posts)


@job(TrendsForget)
def forget_author(ctx: JobContext, args: TrendsForget) -> None:
    """Deletes an author's posts, figures and rows, and keeps out what is scraped later."""
    keys = [bytes.fromhex(key) for key in args.author_keys]
    with ctx.sessions.begin() as session:
        trend_retention.keep_out(session, keys)
    posts = _all(ctx, partial(trend_retention.forget_posts, author_keys=keys))
    raw = _all(ctx, partial(trend_retention.forget_raw, author_keys=keys))
    with ctx.finish() as finish:
        finish.result.update(posts=posts, raw_rows=raw)


def _all(ctx: JobContext, delete: Callable[[Session], int]) -> int:
    """Deletes batch by batch until nothing is left; returns how many rows went."""
    total, batch = 0, 1
    while batch:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            batch = delete(session)
        total += batch
    return total
