"""Invoices and the ledger behind them, to be read."""

import re
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from huntaze.api.auth import Reader
from huntaze.api.problems import not_found, problems
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.billing_invoices import EntryPage, InvoicePage, InvoiceSummary, InvoiceView
from huntaze.api.services import Services, ServicesOf
from huntaze.models import billing_reads, invoice_documents
from huntaze.pipelines.billing.document import Party
from huntaze.pipelines.billing.html import CONTENT_SECURITY_POLICY, invoice_html
from huntaze.pipelines.billing.pdf import invoice_pdf

router = APIRouter(prefix="/v1", tags=["billing"])

JSON, HTML, PDF = "application/json", "text/html", "application/pdf"
_SHAPES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            HTML: {"schema": {"type": "string"}, "example": "<!doctype html>..."},
            PDF: {"schema": {"type": "string", "format": "binary"}, "example": "%PDF-..."},
        }
    }
}

_QVALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", re.ASCII)
Limit = Annotated[int, Query(ge=1, le=100)]
_NO_INVOICE = ("invoice.not_found", "There is no invoice with this id.")
_HEADERS = {"Cache-Control": "private, no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}


@router.get("/invoices", responses=problems(), summary="List invoices")
def list_invoices(
    services: ServicesOf, caller: Reader, cursor: Annotated[Cursor | None, Query()] = None, limit: Limit = 50
) -> InvoicePage:
    """Newest first."""
    with services.statements() as session:
        found = billing_reads.list_invoices(session, caller.creator_id, before=cursor, limit=limit + 1)
    page = [InvoiceSummary.model_validate(InvoiceSummary.columns_of(one)) for one in found[:limit]]
    return InvoicePage(invoices=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get(
    "/invoices/{invoice_id}",
    response_model=InvoiceView,
    responses=_SHAPES | problems(404, s404=_NO_INVOICE),
    summary="See an invoice, as JSON, HTML or PDF",
)
def show_invoice(
    invoice_id: uuid.UUID,
    services: ServicesOf,
    caller: Reader,
    accept: Annotated[
        str, Header(max_length=1000, description="`application/json` (the default), `text/html` or `application/pdf`")
    ] = JSON,
) -> InvoiceView | Response:
    """The same figures in each. The HTML runs no script and fetches nothing."""
    with services.sessions() as session:
        shown = billing_reads.get_invoice(session, invoice_id, caller.creator_id)
        if shown is None:
            raise not_found("invoice")
        wanted = preferred(accept)
        if wanted == JSON:
            return InvoiceView.of(shown)
        document = invoice_documents.document_of(session, shown, _seller(services))
    # No connection is held meanwhile: a PDF takes a fifth of a second.
    if wanted == HTML:
        return Response(
            invoice_html(document),
            media_type=HTML,
            headers=_HEADERS | {"Content-Security-Policy": CONTENT_SECURITY_POLICY},
        )
    inline = f'inline; filename="{document.number}.pdf"'
    return Response(invoice_pdf(document), media_type=PDF, headers=_HEADERS | {"Content-Disposition": inline})


def preferred(accept: str) -> str:
    """The one of JSON, HTML and PDF that an Accept header (RFC 9110, 12.5.1) likes best; JSON where it does not say."""
    liked = {JSON: 0.0, HTML: 0.0, PDF: 0.0}
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media in liked:
            liked[media] = next((_weight(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
    best = max(liked, key=lambda media: liked[media])  # at a tie the first
    return best if liked[best] else JSON


def _weight(text: str) -> float:
    return float(text) if _QVALUE.fullmatch(text) else 0.0


def _seller(services: Services) -> Party:
    terms = services.settings.invoice
    return Party(terms.seller_name, tuple(line.strip() for line in terms.seller_address.split(";") if line.strip()))


@router.get("/transactions", responses=problems(), summary="List the ledger's entries")
def list_transactions(
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next_cursor` of the page before")] = None,
    limit: Limit = 50,
) -> EntryPage:
    """Newest first: what was owed, paid, credited and given up, in double entry. Entries are never changed."""
    with services.statements() as session:
        found = billing_reads.list_entries(session, caller.creator_id, before=cursor, limit=limit + 1)
    return EntryPage.of(found[:limit], len(found) > limit)
