"""What time does to offers. Whatever runs late, reads have told the truth meanwhile."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from huntaze.models import offers_due
from huntaze.models.job_args import OffersActivate, OffersExpire
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job


@job(OffersActivate)
def activate_offers(ctx: JobContext, args: OffersActivate) -> None:
    """Opens offers whose start has come."""
    _sweep(ctx, offers_due.activate, args.slot)


@job(OffersExpire)
def expire_offers(ctx: JobContext, args: OffersExpire) -> None:
    """Ends offers whose end has come."""
    _sweep(ctx, offers_due.expire, args.slot)


def _sweep(ctx: JobContext, turn: Callable[[Session, datetime], int], slot: datetime) -> None:
    """Turn by turn, each in a transaction of its own: what was done stays done."""
    moved, count = 0, offers_due.ROWS
    while count == offers_due.ROWS:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            count = turn(session, slot)
        moved += count
    with ctx.finish() as finish:
        finish.result["offers"] = moved
