"""Billing as jobs: what is due, what it was, whether it adds up."""

import time

from sqlalchemy.orm import Session

from huntaze.logs import logger
from huntaze.models import billing_audit, billing_credit, billing_meters, billing_reads, billing_run, payment_store
from huntaze.models.billing_run import RunPolicy
from huntaze.models.job_args import (
    BillingAudit,
    BillingCollect,
    BillingMeter,
    BillingPart,
    BillingRun,
    JobArgs,
    PaymentCharge,
    PaymentRefund,
)
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.pipelines.errors import Permanent
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BUDGET_S = 120.0  # of one part; a new job goes on
_PAGE = 500

_log = logger(__name__)


@job(BillingRun)
def run_billing(ctx: JobContext, args: BillingRun) -> None:
    """Counts what is due, and enqueues the parts that bill it side by side."""
    assert ctx.settings is not None
    policy = ctx.settings.billing
    with ctx.sessions() as session:
        backlog = billing_reads.backlog(session, args.slot)
    if backlog.held:
        _log.error("billing waits for a person: see huntaze billing held", held=backlog.held)
    with ctx.finish() as finish:
        parts = min(policy.parts, -(-backlog.due // policy.batch))
        for part in range(parts):
            finish.enqueue(BillingPart(slot=args.slot, part=part))
        finish.result.update(due=backlog.due, held=backlog.held, parts=parts)


@job(BillingPart)
def bill_part(ctx: JobContext, args: BillingPart) -> None:
    """Batch after batch, until nothing is due that nobody else has in hand."""
    assert ctx.settings is not None
    policy = RunPolicy(ctx.settings.billing.batch, ctx.settings.billing.most_periods)
    invoices = ended = claimed = 0
    held: list[str] = []
    deadline, more = time.monotonic() + BUDGET_S, True
    while more and time.monotonic() < deadline:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            billed = billing_run.bill_batch(session, args.slot, policy)
        more = billed.claimed > 0
        claimed, invoices, ended = claimed + billed.claimed, invoices + len(billed.numbers), ended + billed.ended
        held += [str(one) for one in billed.held]
    if held:
        _log.error("billing stopped for a person", count=len(held), subscriptions=held[:20])
    with ctx.finish() as finish:
        if more:
            finish.enqueue(args)
        finish.result.update(invoices=invoices, ended=ended, held=len(held), held_first=held[:20], more=more)


@job(BillingMeter)
def count_usage(ctx: JobContext, args: BillingMeter) -> None:
    """Reads the meters; a window that was read before adds nothing."""
    with ctx.finish() as finish:
        finish.result.update(billing_meters.record_all(finish.session, args.slot))


@job(BillingCollect)
def collect(ctx: JobContext, args: BillingCollect) -> None:
    """A job for each invoice that is to be charged and each refund without an answer; those that have one keep it."""
    charges, after = 0, None
    while True:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            page = payment_store.due(session, args.slot, after=after, limit=_PAGE)
            _enqueue(session, [PaymentCharge(slot=args.slot, invoice_id=one) for one in page])
        charges += len(page)
        if len(page) < _PAGE:
            break
        after = page[-1]
    with ctx.finish() as finish:
        refunds = billing_credit.refunds_due(finish.session, _PAGE)
        _enqueue(finish.session, [PaymentRefund(slot=args.slot, refund_id=one) for one in refunds])
        finish.result.update(charges=charges, refunds=len(refunds))


def _enqueue(session: Session, wanted: list[JobArgs]) -> None:
    if wanted:
        enqueue_many(session, [NewJob(one) for one in wanted])


@job(BillingAudit)
def audit_books(ctx: JobContext, args: BillingAudit) -> None:
    """Keeps what it found. Books that do not add up fail the job, which is what operators look at."""
    with ctx.sessions() as session:
        found = billing_audit.differences(session)
    if not found:
        with ctx.finish() as finish:
            audit = billing_audit.save(finish.session, args.slot, found)
            finish.result.update(invoices=audit.invoices, entries=audit.entries, differences=0)
        return
    with ctx.sessions.begin() as session:
        billing_audit.save(session, args.slot, found)
    checks = ", ".join(sorted({one.check for one in found}))
    _log.error("the books do not add up", count=len(found), checks=checks)
    raise Permanent("billing.books_differ", f"{len(found)} differences: {checks}. See the table billing_audits.")
