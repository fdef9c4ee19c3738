"""An invoice as PDF: A4, text that can be copied and searched, the same bytes for the same invoice."""

import unicodedata
from datetime import UTC

from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from huntaze.pipelines.billing.document import InvoiceDocument, Party
from huntaze.pipelines.pdf_sheet import PdfSheet

_INK, _GREY, _RULE, _ACCENT = (28, 36, 48), (107, 114, 128), (229, 231, 235), (67, 56, 202)
_MARGIN = 18.0  # mm
_COLUMNS = (84.0, 26.0, 30.0, 34.0)  # mm: description, quantity, unit price, amount
_WIDTH = sum(_COLUMNS)
_FOOT = 22.0  # mm that stay free below the last line
_BOX = "\u25af"
_NOTE = f"{_BOX} stands for a letter that this typeface does not have; the invoice's web page shows all of them."
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def invoice_pdf(invoice: InvoiceDocument) -> bytes:
    """The file. What DejaVu lacks (Chinese, Japanese, Korean, emoji) or what would need an order and joins of its own
    (Arabic, Hebrew) is shown as boxes, and the foot of the page says so; the file's subject has the name in full."""
    pdf = Page(invoice)
    pdf.add_page()
    _head(pdf, invoice)
    _parties(pdf, invoice)
    _table(pdf, invoice)
    _sums(pdf, invoice)
    return pdf.finished()


class Page(PdfSheet):
    """A page that ends with the invoice's number and its own."""

    def __init__(self, invoice: InvoiceDocument) -> None:
        super().__init__(_MARGIN)
        self.invoice = invoice
        self.boxed = False  # whether a letter had to be left out
        self.set_title(f"Invoice {invoice.number}")
        self.set_author(invoice.seller.name)
        self.set_subject(f"Invoice to {invoice.buyer.name}")
        self.set_creation_date(invoice.issued_at.astimezone(UTC))

    def normalize_text(self, text: str) -> str:
        """What all text goes through before it is measured or set: nothing vanishes, nothing is set backwards."""
        shown = "".join(self._shown(letter) for letter in super().normalize_text(text))
        self.boxed = self.boxed or _BOX in shown
        return shown

    def _shown(self, letter: str) -> str:
        assert isinstance(self.current_font, TTFFont)
        backwards = unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT
        if letter.isspace() or (ord(letter) in self.current_font.cmap and not backwards):
            return "" if unicodedata.category(letter) == "Cf" else letter
        return "" if unicodedata.category(letter)[0] in "CM" else _BOX  # joiners, directions, marks on other letters

    def footer(self) -> None:
        if self.boxed:
            self.set_y(-19)
            self.write_text(_NOTE, size=7.5, ink=_GREY)
        self.set_y(-14)
        _shrunk(
            self,
            f"{self.invoice.seller.name} · Invoice {self.invoice.number}",
            size=8,
            ink=_GREY,
            width=140,
            down=False,
        )
        self.set_x(_MARGIN + _WIDTH - 20)  # not flush right: how wide the number of pages is shows at the end only
        self.write_text(f"Page {self.page_no()} of {{nb}}", size=8, ink=_GREY)

    def write_text(
        self,
        text: str,
        *,
        size: float = 10,
        bold: bool = False,
        ink: tuple[int, int, int] = _INK,
        width: float = 0,
        align: str = "L",
        down: bool = False,
    ) -> None:
        """One line of text; the pen goes on to its right, or down to the start of the next line."""
        self.set_font("DejaVu", "B" if bold else "", size)
        self.set_text_color(*ink)
        x, y = (XPos.LMARGIN, YPos.NEXT) if down else (XPos.RIGHT, YPos.TOP)
        self.cell(width, size * 0.55, text, align=align, new_x=x, new_y=y)

    def rule(self, *, strong: bool = False, start: float = _MARGIN) -> None:
        """A line across, from `start`."""
        self.set_draw_color(*(_INK if strong else _RULE))
        self.set_line_width(0.5 if strong else 0.2)
        self.line(start, self.get_y(), _MARGIN + _WIDTH, self.get_y())

    def room_for(self, height: float) -> bool:
        """Whether so many mm are left above the foot."""
        return bool(self.get_y() + height <= self.h - _FOOT)


def _head(pdf: Page, invoice: InvoiceDocument) -> None:
    pdf.set_fill_color(*_ACCENT)
    pdf.rect(0, 0, pdf.w, 3, style="F")
    top = pdf.get_y() + 4
    pdf.set_y(top)
    pdf.write_text("Invoice", size=24, bold=True, down=True)
    pdf.set_y(pdf.get_y() + 2)
    pdf.write_text(invoice.status.upper(), size=9, bold=True, ink=_ACCENT, down=True)
    left = pdf.get_y()
    pdf.set_y(top + 1)
    for name, value in invoice.facts:
        pdf.set_x(_MARGIN + 80)
        pdf.write_text(name, size=9, ink=_GREY, width=32)
        _shrunk(pdf, value, size=9, width=_WIDTH - 112, align="R")
    pdf.set_y(max(left, pdf.get_y()) + 8)


def _parties(pdf: Page, invoice: InvoiceDocument) -> None:
    pdf.rule()
    top = pdf.get_y() + 5
    ends = [_party(pdf, role, party, _MARGIN + at, top) for role, party, at in _roles(invoice)]
    pdf.set_y(max(ends) + 5)
    pdf.rule()
    pdf.set_y(pdf.get_y() + 8)


def _roles(invoice: InvoiceDocument) -> list[tuple[str, Party, float]]:
    return [("FROM", invoice.seller, 0.0), ("TO", invoice.buyer, _WIDTH / 2)]


def _party(pdf: Page, role: str, party: Party, x: float, y: float) -> float:
    """Returns where it ends, in mm from the top."""
    pdf.set_xy(x, y)
    pdf.write_text(role, size=7.5, bold=True, ink=_GREY, down=True)
    for at, line in enumerate((party.name, *party.lines)):
        pdf.set_x(x)
        pdf.set_font("DejaVu", "" if at else "B", 10)
        pdf.set_text_color(*_INK)
        pdf.multi_cell(_WIDTH / 2 - 6, 5.4, line, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
    return float(pdf.get_y())


def _table(pdf: Page, invoice: InvoiceDocument) -> None:
    _table_head(pdf, invoice)
    for what, when, *figures in invoice.rows:
        pdf.set_font("DejaVu", "", 10)
        parts = pdf.multi_cell(_COLUMNS[0] - 4, 5.2, what, dry_run=True, output="LINES")
        assert isinstance(parts, list)  # as `output` asks for
        height = 5.2 * len(parts) + 4.8 + 5
        if not pdf.room_for(height):
            pdf.add_page()
            _table_head(pdf, invoice)
        _table_row(pdf, parts, when, figures)


def _table_head(pdf: Page, invoice: InvoiceDocument) -> None:
    names = ("DESCRIPTION", "QUANTITY", "UNIT PRICE", f"AMOUNT ({invoice.currency})")
    for at, (name, width) in enumerate(zip(names, _COLUMNS, strict=True)):
        pdf.write_text(name, size=7.5, bold=True, ink=_GREY, width=width, align="R" if at else "L")
    pdf.set_xy(_MARGIN, pdf.get_y() + 6.5)
    pdf.rule(strong=True)
    pdf.set_y(pdf.get_y() + 2.5)


def _table_row(pdf: Page, what: list[str], when: str, figures: list[str]) -> None:
    top = pdf.get_y()
    for part in what:
        pdf.write_text(part, down=True)
    pdf.write_text(when, size=8, ink=_GREY, down=True)
    bottom = pdf.get_y() + 2.5
    pdf.set_xy(_MARGIN + _COLUMNS[0], top)
    for figure, width in zip(figures, _COLUMNS[1:], strict=True):
        _shrunk(pdf, figure, width=width, align="R", down=False)
    pdf.set_xy(_MARGIN, bottom)
    pdf.rule()
    pdf.set_y(bottom + 2.5)


def _sums(pdf: Page, invoice: InvoiceDocument) -> None:
    height = 6.2 * len(invoice.sums) + 22
    if not pdf.room_for(height):
        pdf.add_page()
    start = _MARGIN + _WIDTH - 92
    pdf.set_y(pdf.get_y() + 3)
    for label, value in invoice.sums:
        pdf.set_x(start)
        _shrunk(pdf, label, width=54, ink=_GREY, down=False)
        _shrunk(pdf, value, width=38, align="R")
        pdf.set_y(pdf.get_y() + 0.7)
    pdf.set_y(pdf.get_y() + 2)
    pdf.rule(strong=True, start=start)
    pdf.set_xy(start, pdf.get_y() + 4)
    label, value = invoice.balance
    pdf.write_text(label, size=13, bold=True, width=40)
    _shrunk(pdf, value, size=13, bold=True, width=52, align="R")


def _shrunk(
    pdf: Page,
    text: str,
    *,
    width: float,
    size: float = 10,
    bold: bool = False,
    ink: tuple[int, int, int] = _INK,
    align: str = "L",
    down: bool = True,
) -> None:
    """A figure is never cut off nor runs into its neighbour: a long one is set smaller."""
    pdf.set_font("DejaVu", "B" if bold else "", size)
    size = min(size, size * (width - 0.5) / max(pdf.get_string_width(text), 1e-9))
    pdf.write_text(text, size=size, bold=bold, ink=ink, width=width, align=align, down=down)
