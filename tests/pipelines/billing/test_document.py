"""What people are shown says what was billed, and runs nothing."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from huntaze.pipelines.billing import pdf
from huntaze.pipelines.billing.coupons import Coupon
from huntaze.pipelines.billing.document import InvoiceDocument, Party, quantity, span_of, unit_price
from huntaze.pipelines.billing.html import CONTENT_SECURITY_POLICY, invoice_html
from huntaze.pipelines.billing.invoice import draft_invoice
from huntaze.pipelines.billing.pdf import invoice_pdf
from huntaze.pipelines.billing.periods import Cycle, Period
from huntaze.pipelines.billing.plans import Plan, Price, Usage
from huntaze.pipelines.billing.pricing import Flat, PerUnit
from huntaze.pipelines.billing.tax import TaxRate
from tests.pipelines.billing.builders import span, subscribed, utc

JUNE = span("2025-06-01", "2025-07-01")


def document(buyer: str = "Ada", lines: int = 1) -> InvoiceDocument:
    """One usage line of 25.00, fees of 100.00 each, a tenth off, 20 % tax, 5.00 of credit."""
    fees = [Price(f"fee{n}", f"Fee {n}", Flat(Decimal(10_000))) for n in range(lines)]
    plan = Plan("pro", "Pro", "EUR", (*fees, Price("videos", "Videos", PerUnit(Decimal("2.5")), "videos")))
    draft = draft_invoice(
        plan,
        subscribed(Cycle(JUNE.start)),
        JUNE,
        usage=[Usage("videos", Decimal(1000))],
        coupons=[Coupon("TENTH", Decimal(10))],
        tax_rates=[TaxRate("VAT", Decimal(20))],
        credit_minor=500,
    )
    return InvoiceDocument(
        number="INV-000007",
        issued_at=utc("2025-06-01"),
        period=JUNE,
        zone="UTC",
        currency=draft.currency,
        seller=Party("Huntaze", ("1 Quay Street",)),
        buyer=Party(buyer),
        plan=plan.name,
        lines=draft.lines,
        subtotal_minor=draft.subtotal_minor,
        discount_minor=draft.discount_minor,
        total_minor=draft.total_minor,
        credit_applied_minor=draft.credit_applied_minor,
        due_minor=draft.due_minor,
        open_minor=draft.due_minor,
        status="open",
    )


def test_the_figures_lead_from_the_subtotal_to_what_is_due() -> None:
    shown = document()
    assert shown.rows[0] == ("Fee 0", "1 Jun 2025 – 30 Jun 2025", "1", "100.00", "100.00")
    assert shown.rows[1][2:] == ("1,000", "0.025", "25.00")
    sums = dict(shown.sums)
    assert sums == {
        "Subtotal": "125.00",
        "Discount": "-12.50",
        "VAT 20 %": "22.50",
        "Total": "135.00",
        "Paid from credit": "-5.00",
    }
    assert shown.balance == ("Amount due", "130.00 EUR")


def test_what_was_paid_since_and_what_became_credit_is_told() -> None:
    paid = replace(document(), open_minor=0, status="paid")
    assert dict(paid.sums)["Paid or credited since"] == "-130.00"
    assert paid.balance == ("Amount due", "0.00 EUR")
    credit = replace(document(), credit_applied_minor=-900, due_minor=0, open_minor=0)
    assert dict(credit.sums)["Added to your credit"] == "9.00"


def test_names_cannot_bring_markup() -> None:
    page = invoice_html(document(buyer='<script>alert("1")</script> & "Sons"'))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == [], "nothing is fetched"
    assert "script-src" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


def test_the_page_says_what_the_document_says() -> None:
    shown = document(lines=3)
    page = invoice_html(shown)
    told = [*shown.facts, *shown.sums, shown.balance, *shown.rows]
    assert [word for words in told for word in words if word not in page] == []


def test_the_pdf_is_the_same_for_the_same_invoice() -> None:
    once, again = invoice_pdf(document()), invoice_pdf(document())
    assert once == again
    assert once.startswith(b"%PDF-")
    assert once != invoice_pdf(document(lines=2))


def pages(file: bytes) -> int:
    (count,) = re.findall(rb"/Type /Pages\s.*?/Count (\d+)|/Count (\d+)", file, re.DOTALL)
    return int(count[0] or count[1])


def test_a_long_invoice_goes_on_over_pages() -> None:
    assert pages(invoice_pdf(document())) == 1
    assert pages(invoice_pdf(document(lines=60))) >= 4


@pytest.mark.parametrize("buyer", ["", "東京 🎬 \u202eevil", "x" * 400, "a\nb", "\ud7ff\u0301\u200d"])
def test_any_name_can_be_put_on_paper(buyer: str) -> None:
    assert invoice_pdf(document(buyer=buyer)).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("buyer", "shown"),
    [
        ("Łódź Жизнь é", "Łódź Жизнь é"),
        ("東京 Ltd", "▯▯ Ltd"),
        ("محمد & שלום", "▯▯▯▯ & ▯▯▯▯"),  # their letters are there, but would stand backwards and unjoined
        ("a\u202eevil 👩‍👩‍👧", "aevil ▯▯▯"),
        ("नमस्ते", "▯▯▯▯"),
    ],
)
def test_a_letter_that_cannot_be_set_is_a_box_and_the_foot_says_so(buyer: str, shown: str) -> None:
    page = pdf.Page(document(buyer=buyer))
    page.set_font("DejaVu", "B", 10)
    assert page.normalize_text(buyer) == shown
    assert page.normalize_text(shown) == shown
    assert page.boxed == ("▯" in shown)
    page.add_page()
    assert page.finished().startswith(b"%PDF-")
    assert all(font.ttfont.reader is None for font in page.fonts.values()), "no file of a font stays open"


def test_numbers_have_no_needless_zeros_and_prices_their_currencys() -> None:
    assert [quantity(Decimal(text)) for text in ("1200.500000", "3.0", "0", "1E+3")] == ["1,200.5", "3", "0", "1,000"]
    prices = [("1900", "USD"), ("0.25", "USD"), ("1500", "KWD"), ("5", "JPY"), ("0.5", "JPY")]
    assert [unit_price(Decimal(a), c) for a, c in prices] == ["19.00", "0.0025", "1.500", "5", "0.5"]


def test_days_are_those_of_the_customers_calendar() -> None:
    month = Period(utc("2025-05-31T22:00"), utc("2025-06-30T22:00"))
    assert span_of(month, "Europe/Paris") == "1 Jun 2025 – 30 Jun 2025"
    assert span_of(Period(JUNE.start, JUNE.start), "UTC") == "1 Jun 2025"
