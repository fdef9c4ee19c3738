"""The files of a report: what people wrote stays text, and the figures are the same in all of them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pyarrow import parquet

from huntaze.pipelines.analytics.statistics import Cohort, Compared, Figure, Hour, Point, Top
from huntaze.pipelines.reports.charts import line_chart
from huntaze.pipelines.reports.content import Line, ReportContent, came_back, changed, shown
from huntaze.pipelines.reports.html import report_html
from huntaze.pipelines.reports.pdf import report_pdf
from huntaze.pipelines.reports.tables import COLUMNS, report_csv, report_parquet, rows

FIRST = date(2026, 10, 1)


def points(counts: Sequence[int], total: int = 0) -> list[Point]:
    return [Point(FIRST + timedelta(days=at), count, total * count) for at, count in enumerate(counts)]


def content(days: int = 31, scale: int = 1, name: str = "ada") -> ReportContent:
    """`scale` 0: nothing happened."""
    counts = [
        scale * ((at * 37) % 90 + (40 if at % 7 in (2, 3) else 0)) * (0 if 10 <= at < 17 else 1) for at in range(days)
    ]
    figures = [
        Compared(Figure("fans.active", 812 * scale, "persons", "fans who wrote, looked or logged in"), 700, 0.16),
        Compared(Figure("messages.sent", sum(counts), "count", "messages sent"), 0, None),
        Compared(Figure("messages.response_p95", 125_000 if scale else None, "ms", "time to an answer"), None, None),
        Compared(Figure("offers.conversion", 0.125 if scale else None, "share", "offers taken"), 0.155, -0.03),
        Compared(Figure("ai.cost", 1_234_567 * scale, "micro-USD", "cost of AI"), 1_000_000, 0.2346),
        Compared(Figure("revenue.net", 1_234_567_89 * scale, "minor", "revenue by the ledger", "EUR"), 100, 9.0),
    ]  # fmt: skip
    return ReportContent(
        title="Monthly report",
        creator=name,
        first=FIRST,
        last=FIRST + timedelta(days=days - 1),
        zone="Asia/Kathmandu",
        before=(date(2026, 9, 1), date(2026, 9, 30)),
        made_at=datetime(2026, 11, 1, 9, tzinfo=UTC),
        figures=figures,
        lines=[
            Line("Messages sent", "messages", points(counts)),
            Line("Revenue", "EUR", points(counts, 1999), True, "EUR"),
        ],
        top=[Top("=HYPERLINK(1)", 311, 0), Top("<script>🏖 beach.mp4", 20, 0)] if scale else [],
        cohorts=[Cohort(date(2026, 9, 1), 40, (40, 22)), Cohort(FIRST, 12, (12,))] if scale else [],
        hours=[Hour(7, 21, 940, 0.031)] if scale else [],
    )


SHAPES = {
    "month": content(),
    "day": content(1),
    "years": content(730, 1000),
    "nothing": content(14, 0),
    "large": content(31, 10_000_000),
    "names": content(7, 1, "<b>Zoë & Ωmega</b> 🦊 " + "long name " * 12),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_can_be_written(name: str) -> None:
    told = SHAPES[name]
    charts = [line_chart(line, told.zone) for line in told.lines]
    assert all(chart.startswith(b"\x89PNG") for chart in charts)
    assert charts == [line_chart(line, told.zone) for line in told.lines], "the same bytes for the same figures"
    page, pdf = report_html(told, charts).decode(), report_pdf(told, charts)
    assert pdf.startswith(b"%PDF")
    assert pdf == report_pdf(told, charts)
    assert "<script" not in page
    assert "<b>" not in page
    assert ("Nothing happened" in page) == (name == "nothing")
    assert "Asia/Kathmandu" in page


def test_tables_say_what_there_is() -> None:
    told = SHAPES["month"]
    want = list(rows(told))
    table = parquet.read_table(io.BytesIO(report_parquet(told)))
    assert table.column_names == list(COLUMNS)
    assert [tuple(row.values()) for row in table.to_pylist()] == want
    read = list(csv.reader(io.StringIO(report_csv(told).decode("utf-8-sig"))))
    assert tuple(read[0]) == COLUMNS
    assert [row[3] for row in read[1:]] == ["" if row[3] is None else str(row[3]) for row in want]
    assert not [cell for row in read for cell in row[:3] if cell[:1] in ("=", "+", "@")], "no formula of a stranger's"
    assert sum(row[3] or 0 for row in want if row[1] == "Revenue") == sum(p.total for p in told.lines[1].points)


def test_values_for_people() -> None:
    assert shown(None, "count", None) == "–"
    assert shown(1_234_567, "count", None) == "1,234,567"
    assert shown(125_000, "ms", None) == "2 min 5 s"
    assert shown(0.125, "share", None) == "12.5 %"
    assert shown(123_450, "minor", "EUR") == "1,234.50 EUR"
    assert shown(500, "minor", "JPY") == "500 JPY"
    assert shown(1_500_000, "bytes", None) == "1.5 MB"
    assert [shown(cost, "micro-USD", None) for cost in (0, 354, 10_000)] == ["0.00 USD", "under 0.01 USD", "0.01 USD"]
    assert came_back(Cohort(FIRST, 0, (0, 0))) == ["–"], "nobody was there to come back"
    assert came_back(Cohort(FIRST, 4, (4, 1))) == ["25.0 %"]
    one = SHAPES["month"].figures
    assert [changed(figure) for figure in one[:4]] == ["+16 %", "new", "", "-3.0 points"]
    assert changed(replace(one[0], change=0.0)) == "as before"
