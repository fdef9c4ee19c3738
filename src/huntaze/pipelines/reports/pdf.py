"""A report as PDF: A4, text that can be copied; the same bytes for the same figures."""

import io
from collections.abc import Sequence

from fpdf.enums import MethodReturnValue

from huntaze.pipelines.pdf_sheet import PdfSheet
from huntaze.pipelines.reports.charts import HEIGHT_IN, WIDTH_IN
from huntaze.pipelines.reports.content import ReportContent, came_back, changed, hour_named, named, shown

_INK, _GREY, _RULE, _ACCENT = (28, 36, 48), (107, 114, 128), (229, 231, 235), (67, 56, 202)
_MARGIN, _GAP, _ACROSS = 16.0, 4.0, 4  # mm; cards in a row
_CARD_H, _FOOT = 23.0, 20.0  # mm


def report_pdf(content: ReportContent, charts: Sequence[bytes]) -> bytes:
    """The file. A letter that DejaVu lacks (an emoji, Chinese, Japanese, Korean) is shown as an empty box."""
    pdf = _Page(content)
    pdf.add_page()
    _head(pdf, content)
    _words(pdf, content.words)
    _cards(pdf, content)
    height = pdf.epw * HEIGHT_IN / WIDTH_IN
    for chart in charts:
        pdf.room_for(height)
        top = pdf.get_y()
        pdf.image(io.BytesIO(chart), x=_MARGIN, y=top, w=pdf.epw)
        pdf.set_y(top + height + 2)
    _tables(pdf, content)
    return pdf.finished()


class _Page(PdfSheet):
    """A page that ends with the report's days and its number."""

    def __init__(self, content: ReportContent) -> None:
        super().__init__(_MARGIN)
        self.content = content
        self.set_title(content.title)
        self.set_creation_date(content.made_at)

    def footer(self) -> None:
        self.set_y(-12)
        self.put(f"{self.content.title} · {self.content.days} · {self.content.zone}", 8, width=150, ink=_GREY)
        self.set_x(self.w - _MARGIN - 20)
        self.put(f"{self.page_no()}", 8, width=20, ink=_GREY, align="R")

    def put(
        self,
        text: str,
        size: float = 10,
        *,
        width: float,
        bold: bool = False,
        ink: tuple[int, int, int] = _INK,
        align: str = "L",
        least: float = 0.6,
    ) -> None:
        """A line of text; one that is too wide is set smaller, down to `least` of its size, and then cut: a figure
        never is."""
        self.set_font("DejaVu", "B" if bold else "", size)
        fitting = size * (width - 0.5) / max(self.get_string_width(text), 1e-9)
        size = min(size, max(fitting, size * least))
        self.set_font_size(size)
        while len(text) > 1 and self.get_string_width(text) > width:
            text = text[:-2] + "…"
        self.set_text_color(*ink)
        self.cell(width, size * 0.5, text, align=align)

    def room_for(self, height: float) -> bool:
        """Goes on to another page where so many mm are not left; whether it did."""
        if self.get_y() + height <= self.h - _FOOT:
            return False
        self.add_page()
        return True


def _head(pdf: _Page, content: ReportContent) -> None:
    pdf.set_fill_color(*_ACCENT)
    pdf.rect(0, 0, pdf.w, 3, style="F")
    pdf.set_y(_MARGIN + 2)
    before = f"{content.before[0]:%-d %B %Y} to {content.before[1]:%-d %B %Y}"
    lines = [
        (content.creator, 22.0, True, _INK, 12.0),
        (f"{content.title} · {content.days} · {content.zone}", 10.0, False, _GREY, 5.5),
        (f"Compared with {before}. Made {content.made_at:%Y-%m-%d %H:%M} UTC.", 9.0, False, _GREY, 9.0),
    ]
    if content.empty:
        lines.append(("Nothing happened in this time.", 10.0, True, _INK, 9.0))
    for text, size, bold, ink, down in lines:
        top = pdf.get_y()
        pdf.put(text, size, width=pdf.epw, bold=bold, ink=ink)
        pdf.set_xy(_MARGIN, top + down)


def _words(pdf: _Page, words: Sequence[str]) -> None:
    for one in words:
        pdf.set_font("DejaVu", "", 10)
        pdf.set_text_color(*_INK)
        height = pdf.multi_cell(pdf.epw, 5, one, dry_run=True, output=MethodReturnValue.HEIGHT)
        assert isinstance(height, float)
        pdf.room_for(height)
        pdf.multi_cell(pdf.epw, 5, one, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.set_y(pdf.get_y() + 3)


def _cards(pdf: _Page, content: ReportContent) -> None:
    width = (pdf.epw - _GAP * (_ACROSS - 1)) / _ACROSS
    for start in range(0, len(content.figures), _ACROSS):
        pdf.room_for(_CARD_H)
        top = pdf.get_y()
        for at, one in enumerate(content.figures[start : start + _ACROSS]):
            left = _MARGIN + at * (width + _GAP)
            pdf.set_draw_color(*_RULE)
            pdf.rect(left, top, width, _CARD_H)
            figure = one.figure
            pdf.set_xy(left + 3, top + 2.6)
            pdf.set_font("DejaVu", "", 7)
            pdf.set_text_color(*_GREY)
            pdf.multi_cell(width - 6, 3.1, named(one), align="L", max_line_height=3.1)
            pdf.set_xy(left + 3, top + 10)
            value = shown(figure.value, figure.unit, figure.currency)
            pdf.put(value, 14, width=width - 6, bold=True, least=0.1)
            pdf.set_xy(left + 3, top + 17.8)
            pdf.put(changed(one), 8, width=width - 6, ink=_GREY)
        pdf.set_xy(_MARGIN, top + _CARD_H + _GAP)


def _tables(pdf: _Page, content: ReportContent) -> None:
    for one in content.listings:
        _table(pdf, one.title, one.names, one.rows)
    top = [(one.label, f"{one.count:,}") for one in content.top]
    _table(pdf, "Most viewed", ("Content", "Views"), top)
    hours = [(hour_named(one), f"{one.count:,}", shown(one.share, "share", None)) for one in content.hours]
    _table(pdf, f"Best hours ({content.zone})", ("Hour", "Actions of fans", "Share"), hours)
    if any(one.persons for one in content.cohorts):
        months = max(len(one.retained) for one in content.cohorts)
        rows = [(f"{one.month:%b %Y}", f"{one.persons:,}", *came_back(one)) for one in content.cohorts]
        _table(
            pdf, "Who came back, by months since", ("First seen", "Fans", *(f"+{n}" for n in range(1, months))), rows
        )


def _table(pdf: _Page, title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    pdf.room_for(30)
    top = pdf.get_y() + 4
    pdf.set_xy(_MARGIN, top)
    pdf.put(title, 12, width=pdf.epw, bold=True)
    pdf.set_xy(_MARGIN, top + 8)
    first = min(90.0, pdf.epw / 2) if len(names) < 5 else 28.0
    widths = [first, *([(pdf.epw - first) / (len(names) - 1)] * (len(names) - 1))]
    for row in (names, *rows):
        pdf.room_for(6.5)
        top, head = pdf.get_y(), row is names
        for at, (cell, width) in enumerate(zip(row, widths, strict=False)):
            align = "R" if at else "L"
            pdf.put(cell, 8 if head else 9, width=width - 1, ink=_GREY if head else _INK, align=align, bold=head)
            pdf.set_x(pdf.get_x() + 1)
        pdf.set_draw_color(*_RULE)
        pdf.line(_MARGIN, top + 5.4, pdf.w - _MARGIN, top + 5.4)
        pdf.set_xy(_MARGIN, top + 6.5)
