"""Money: charges, refunds, and what gateways tell by themselves. The row is committed before the gateway is called."""

from datetime import datetime, timedelta

from huntaze.clients.payments.gateway import PaymentMethod
from huntaze.clients.payments.stripe_events import notice_of
from huntaze.models import billing_credit, payment_disputes, payment_inbox, payment_store
from huntaze.models.job_args import PaymentCharge, PaymentNotice, PaymentRefund
from huntaze.models.payment_store import Charge
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.payments.outcomes import DisputeNotice, Outcome, RequiresAction, Unknown
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

REFUSED_FOR = timedelta(hours=1)
_READERS = {"stripe": notice_of}


@job(PaymentCharge)
def charge_invoice(ctx: JobContext, args: PaymentCharge) -> None:
    """One call of the gateway. Without an answer the same key is used again, after a decline another."""
    gateway = ctx.clients.payments
    with ctx.sessions.begin() as session:
        charge = payment_store.begin(session, args.invoice_id, gateway.name, args.slot)
    if charge is None:
        return
    outcome = _ask(ctx, charge, args.slot)
    if isinstance(outcome, Unknown):
        with ctx.sessions.begin() as session:
            payment_store.settle(session, charge.invoice_id, charge.number, outcome, args.slot)
        raise Transient("payments.unknown", "The gateway did not say what became of the charge; it is asked again.")
    with ctx.finish() as finish:
        made = payment_store.settle(finish.session, charge.invoice_id, charge.number, outcome, args.slot)
        finish.result.update(attempt=charge.number, outcome=made)


def _ask(ctx: JobContext, charge: Charge, slot: datetime) -> Outcome:
    """The call. A gateway that refuses us as a whole is left alone for a while; the job fails, for operators to see."""
    method = PaymentMethod(charge.method, charge.customer)
    try:
        with ctx.stage("gateway"):
            return ctx.clients.payments.charge(
                charge.invoice_id, charge.number, charge.amount_minor, charge.currency, method, charge.idempotency_key
            )
    except Permanent:
        with ctx.sessions.begin() as session:
            payment_store.postpone(session, charge.invoice_id, slot + REFUSED_FOR)
        raise


@job(PaymentRefund)
def give_back(ctx: JobContext, args: PaymentRefund) -> None:
    """Asks under the same key until there is an answer."""
    with ctx.sessions() as session:
        refund = billing_credit.load_refund(session, args.refund_id)
    if refund is None:
        return
    with ctx.stage("gateway"):
        outcome = ctx.clients.payments.refund(
            refund.reference, refund.amount_minor, refund.currency, refund.idempotency_key
        )
    if isinstance(outcome, Unknown | RequiresAction):
        raise Transient("payments.unknown", "The gateway did not say what became of the refund; it is asked again.")
    with ctx.finish() as finish:
        billing_credit.settle_refund(finish.session, args.refund_id, outcome, args.slot)


@job(PaymentNotice)
def read_notice(ctx: JobContext, args: PaymentNotice) -> None:
    """What it says is settled like an answer, in the transaction that marks it as handled."""
    with ctx.sessions() as session:
        message = payment_inbox.load(session, args.message_id)
    notice = _READERS[message.source](message.payload)
    with ctx.finish() as finish:
        now = payment_inbox.note(finish.session, args.message_id, "not of a charge of ours")
        if isinstance(notice, DisputeNotice):
            made = payment_disputes.settle(finish.session, message.source, notice, now)
        elif notice is not None:
            made = payment_store.settle(finish.session, notice.invoice_id, notice.attempt, notice.outcome, now)
        else:
            return
        payment_inbox.note(finish.session, args.message_id, made)
