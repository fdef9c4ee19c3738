"""An issued invoice as people read it: the row, its lines, whose it is, and what is still open."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy.orm import Session

from huntaze.models import billing_domain
from huntaze.models.billing_invoices import InvoiceLine
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_reads import Shown
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.users import User
from huntaze.pipelines.billing.document import InvoiceDocument, Party
from huntaze.pipelines.billing.invoice import Line
from huntaze.pipelines.billing.periods import Period


def line_of(row: InvoiceLine) -> Line:
    """The line as it was billed, with its unit price, and no more decimals of its quantity than there are."""
    unit_amount = row.detail["unit_amount"]
    return replace(
        billing_domain.line_of(row),
        quantity=Decimal(f"{row.quantity.normalize():f}"),
        unit_amount=None if unit_amount is None else Decimal(unit_amount),
    )


def document_of(session: Session, shown: Shown, seller: Party) -> InvoiceDocument:
    """`shown` with its lines, as `billing_reads.get_invoice` gives it to whoever may see it."""
    invoice = shown.invoice
    subscription = session.get_one(Subscription, invoice.subscription_id)
    return InvoiceDocument(
        number=invoice.label,
        issued_at=invoice.issued_at,
        period=Period(invoice.period_start, invoice.period_end),
        zone=subscription.time_zone,
        currency=invoice.currency,
        seller=seller,
        buyer=Party(session.get_one(User, invoice.creator_id).handle, (f"Creator {invoice.creator_id}",)),
        plan=session.get_one(Plan, invoice.plan_id).name,
        lines=tuple(line_of(line) for line in shown.lines),
        subtotal_minor=invoice.subtotal_minor,
        discount_minor=invoice.discount_minor,
        total_minor=invoice.total_minor,
        credit_applied_minor=invoice.credit_applied_minor,
        due_minor=invoice.due_minor,
        open_minor=shown.receivable.open_minor,
        status=shown.receivable.state,
    )
