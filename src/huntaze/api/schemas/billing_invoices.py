"""Shapes of `/v1/invoices` and `/v1/transactions`. Amounts are integers of the currency's minor unit (ISO 4217)."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.models import invoice_documents
from huntaze.models.billing_invoices import CreditNote, ReceivableState
from huntaze.models.billing_ledger import Account, LedgerEntry
from huntaze.models.billing_payments import Payment
from huntaze.models.billing_reads import Shown
from huntaze.pipelines.billing.invoice import Line
from huntaze.pipelines.billing.numbers import invoice_number

Minor = Annotated[int, Field(description="in minor units of `currency`")]
Currency = Annotated[str, Field(description="ISO 4217", examples=["EUR"])]

_ID = "01980a60-11c2-7b3e-8a44-6f0d2c9e5b17"
_SUBSCRIPTION = "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa"
_MONTH = {"period_start": "2026-10-31T23:00:00Z", "period_end": "2026-11-30T23:00:00Z"}
_INVOICE: dict[str, Any] = {
    "id": _ID,
    "number": "INV-000123",
    "subscription_id": _SUBSCRIPTION,
    "status": "open",
    "currency": "EUR",
    **_MONTH,
    "issued_at": "2026-11-01T00:00:00Z",
    "subtotal_minor": 4900,
    "discount_minor": 0,
    "tax_minor": 980,
    "total_minor": 5880,
    "credit_applied_minor": 0,
    "due_minor": 5880,
    "open_minor": 5880,
}
_TAX = {"name": "VAT", "percent": "20", "inclusive": False, "amount_minor": 980}
LINE_EXAMPLE: dict[str, Any] = {
    "description": "Pro plan",
    "price_code": "fee",
    **_MONTH,
    "quantity": "1",
    "unit_amount_minor": "4900",
    "amount_minor": 4900,
    "discount_minor": 0,
    "tax_minor": 980,
    "total_minor": 5880,
    "prorated": False,
    "taxes": [_TAX],
}
_ENTRY: dict[str, Any] = {
    "id": 4711,
    "transaction_id": _ID,
    "kind": "invoice",
    "invoice_id": _ID,
    "account": "receivable",
    "currency": "EUR",
    "amount_minor": 5880,
    "occurred_at": "2026-11-01T00:00:00Z",
}


class InvoiceSummary(BaseModel):
    """One period of one subscription. An invoice is never changed: what is taken back is a credit note."""

    model_config = ConfigDict(json_schema_extra={"examples": [_INVOICE]})

    id: uuid.UUID
    number: str = Field(description="without gaps")
    subscription_id: uuid.UUID
    status: ReceivableState
    currency: Currency
    period_start: datetime
    period_end: datetime = Field(description="the first moment after it")
    issued_at: datetime
    subtotal_minor: Minor
    discount_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    credit_applied_minor: int = Field(description="taken from the creator's credit; below 0: added to it")
    due_minor: int = Field(description="total_minor - credit_applied_minor")
    open_minor: int = Field(description="what is left to be paid now")

    @classmethod
    def columns_of(cls, shown: Shown) -> dict[str, Any]:
        """The fields of the view, from the rows."""
        invoice = shown.invoice
        given = InvoiceSummary.model_fields.keys() - {"number", "status", "open_minor"}
        return {
            **{name: getattr(invoice, name) for name in given},
            "number": invoice.label,
            "status": shown.receivable.state,
            "open_minor": shown.receivable.open_minor,
        }


class InvoicePage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"invoices": [_INVOICE], "next_cursor": None}]})

    invoices: list[InvoiceSummary]
    next_cursor: uuid.UUID | None


class TaxView(BaseModel):
    """What one rate came to."""

    name: str
    percent: Decimal
    inclusive: bool = Field(description="whether the price holds it already")
    amount_minor: Minor


class LineView(BaseModel):
    """One line: total_minor = amount_minor - discount_minor + taxes that are not inclusive."""

    model_config = ConfigDict(json_schema_extra={"examples": [LINE_EXAMPLE]})

    description: str
    price_code: str
    period_start: datetime
    period_end: datetime
    quantity: Decimal
    unit_amount_minor: Decimal | None = Field(description="may have decimals; null where no one price holds for all")
    amount_minor: Minor
    discount_minor: Minor
    tax_minor: Minor
    total_minor: Minor
    prorated: bool = Field(description="whether it is for a part of a period")
    taxes: list[TaxView]

    @classmethod
    def of(cls, line: Line) -> Self:
        same = ("description", "price_code", "quantity", "amount_minor", "discount_minor", "tax_minor", "total_minor")
        taxes = [
            TaxView(
                name=tax.rate.name,
                percent=Decimal(f"{tax.rate.percent.normalize():f}"),
                inclusive=tax.rate.inclusive,
                amount_minor=tax.amount_minor,
            )
            for tax in line.taxes
        ]
        return cls.model_validate(
            {
                **{name: getattr(line, name) for name in same},
                "period_start": line.period.start,
                "period_end": line.period.end,
                "unit_amount_minor": line.unit_amount,
                "prorated": line.prorated,
                "taxes": taxes,
            }
        )


class PaymentView(BaseModel):
    """Money that came in for the invoice."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    amount_minor: Minor
    refunded_minor: Minor
    paid_at: datetime


class CreditNoteView(BaseModel):
    """What was taken back of the invoice, and where it went."""

    model_config = ConfigDict(from_attributes=True)

    number: str
    reason: str
    total_minor: Minor
    tax_minor: Minor
    to_receivable_minor: int = Field(description="no longer owed")
    to_credit_minor: int = Field(description="to the creator's credit")
    to_cash_minor: int = Field(description="paid back")
    issued_at: datetime

    @classmethod
    def of(cls, note: CreditNote) -> Self:
        given = cls.model_fields.keys() - {"number"}
        return cls.model_validate(
            {**{name: getattr(note, name) for name in given}, "number": invoice_number("CN", note.number)}
        )


class InvoiceView(InvoiceSummary):
    """An invoice with all that stands on it, and what came after it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_INVOICE | {"lines": [LINE_EXAMPLE], "payments": [], "credit_notes": []}]}
    )

    lines: list[LineView]
    payments: list[PaymentView]
    credit_notes: list[CreditNoteView]

    @classmethod
    def of(cls, shown: Shown) -> Self:
        return cls.model_validate(
            {
                **cls.columns_of(shown),
                "lines": [LineView.of(invoice_documents.line_of(line)) for line in shown.lines],
                "payments": [_payment(payment) for payment in shown.payments],
                "credit_notes": [CreditNoteView.of(note) for note in shown.credit_notes],
            }
        )


def _payment(payment: Payment) -> PaymentView:
    return PaymentView.model_validate(payment)


class EntryView(BaseModel):
    """One side of a transaction: all amounts of one `transaction_id` sum to 0."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_ENTRY]})

    id: int
    transaction_id: uuid.UUID = Field(
        description="the document that it books: an invoice, a payment, a credit note, ..."
    )
    kind: str
    invoice_id: uuid.UUID | None
    account: Account
    currency: Currency
    amount_minor: int = Field(description="a debit above 0, a credit below")
    occurred_at: datetime


class EntryPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"entries": [_ENTRY], "next_cursor": None}]})

    entries: list[EntryView]
    next_cursor: int | None

    @classmethod
    def of(cls, entries: Iterable[LedgerEntry], more: bool) -> Self:
        page = [EntryView.model_validate(entry) for entry in entries]
        return cls(entries=page, next_cursor=page[-1].id if more else None)
