"""A report's figures for programs: CSV for a spreadsheet, Parquet for a warehouse. A row a value, the same in both."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime

from huntaze.pipelines.reports.content import ReportContent

Row = tuple[str, str, str, float | None, str, str, float | None]
COLUMNS = ("part", "name", "at", "value", "unit", "currency", "before")
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def rows(content: ReportContent) -> Iterator[Row]:
    """(part, name, at, value, unit, currency, before): key figures, points, ranks, cohorts; `value` as in the API."""
    for one in content.figures:
        figure = one.figure
        yield "figure", figure.name, "", figure.value, figure.unit, figure.currency or "", one.before
    for line in content.lines:
        for point in line.points:
            money = line.by_total or line.currency is not None
            unit = "minor" if line.currency else "count"
            yield (
                "series",
                line.title,
                _at(point.start),
                point.total if money else point.count,
                unit,
                line.currency or "",
                None,
            )
    for row in content.top:
        yield "top", row.label, "", row.count, "count", "", None
    for cohort in content.cohorts:
        for month, kept in enumerate(cohort.retained):
            yield "cohort", f"{cohort.month:%Y-%m}", f"+{month}", kept, "persons", "", None


def _at(start: date | datetime | str) -> str:
    return start if isinstance(start, str) else start.isoformat()


def report_csv(content: ReportContent) -> bytes:
    """UTF-8 with a mark, as spreadsheets want it. A text that one would take for a formula gets an apostrophe."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for part, name, at, value, unit, currency, before in rows(content):
        writer.writerow(
            [part, _safe(name), at.replace("+", "month ") if part == "cohort" else at, value, unit, currency, before]
        )
    return written.getvalue().encode("utf-8-sig")


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_RISKY) else text


def report_parquet(content: ReportContent) -> bytes:
    """One row group, texts and doubles; what the report is of stands in the file's metadata."""
    # Imported here: it takes a while, which only whoever writes Parquet should pay.
    import pyarrow
    from pyarrow import parquet

    texts, number = pyarrow.string(), pyarrow.float64()
    kinds = (texts, texts, texts, number, texts, texts, number)
    about = {"first": str(content.first), "last": str(content.last), "zone": content.zone, "title": content.title}
    schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)), metadata=about)
    columns = list(zip(*rows(content), strict=True)) or [()] * len(COLUMNS)
    arrays = [pyarrow.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    written = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), written)
    return bytes(written.getvalue().to_pybytes())
