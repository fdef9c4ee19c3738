"""A report as one HTML page: no script, nothing that is fetched; its charts are inside."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from huntaze.pipelines.reports.content import ReportContent, came_back, changed, hour_named, named, shown

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = """
@page { size: A4; margin: 16mm }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1c2430; background: #f3f4f6; margin: 0 }
main { max-width: 880px; margin: 32px auto; background: #fff; padding: 48px; border-top: 6px solid #4338ca }
h1 { font-size: 28px; margin: 0; overflow-wrap: anywhere } h2 { font-size: 17px; margin: 36px 0 10px }
p { color: #6b7280; margin: 4px 0 } .told { color: #1c2430; margin: 14px 0 }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 12px; margin-top: 28px }
.card { border: 1px solid #e5e7eb; border-radius: 8px; padding: 14px; break-inside: avoid }
.card strong { display: block; font-size: 21px; font-variant-numeric: tabular-nums }
.card small, .card span { display: block; font-size: 12px; color: #6b7280 }
table { width: 100%; border-collapse: collapse } td, th { padding: 6px 8px 6px 0; border-bottom: 1px solid #e5e7eb;
  text-align: right; font-variant-numeric: tabular-nums } th { font-size: 12px; color: #6b7280 }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere } tr { break-inside: avoid }
img { width: 100%; height: auto; display: block; margin: 8px 0; break-inside: avoid }
.scroll { overflow-x: auto }
@media print { body { background: #fff } main { margin: 0; padding: 0; border: 0; max-width: none } }
"""


def report_html(content: ReportContent, charts: Sequence[bytes]) -> bytes:
    """The page, UTF-8. Every word of it that came from people is escaped. `charts`: PNG, one a line."""
    nothing = "<p>Nothing happened in this time.</p>" if content.empty else ""
    images = "".join(
        f'<img alt="{escape(line.title)} by day" src="data:image/png;base64,{b64encode(chart).decode()}">'
        for line, chart in zip(content.lines, charts, strict=True)
    )
    told = "".join(f'<p class="told">{escape(one)}</p>' for one in content.words)
    listings = "".join(_table(one.title, one.names, one.rows) for one in content.listings)
    before = f"{content.before[0]:%-d %B %Y} to {content.before[1]:%-d %B %Y}"
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(content.title)}</title><style>{_STYLE}</style></head><body><main>
<h1>{escape(content.creator)}</h1><p>{escape(content.title)} · {content.days} · {escape(content.zone)}</p>
<p>Compared with {before}. Made {content.made_at:%Y-%m-%d %H:%M} UTC.</p>{nothing}{told}
<div class="cards">{"".join(_cards(content))}</div>
<h2>Over time</h2>{images}{listings}{_top(content)}{_hours(content)}{_cohorts(content)}
</main></body></html>
"""
    return page.encode()


def _cards(content: ReportContent) -> Iterable[str]:
    for one in content.figures:
        figure = one.figure
        yield (
            f'<div class="card"><small>{escape(named(one))}</small>'
            f"<strong>{escape(shown(figure.value, figure.unit, figure.currency))}</strong>"
            f"<span>{escape(changed(one))}</span></div>"
        )


def _top(content: ReportContent) -> str:
    rows = [(one.label, f"{one.count:,}") for one in content.top]
    return _table("Most viewed", ("Content", "Views"), rows)


def _hours(content: ReportContent) -> str:
    rows = [(hour_named(hour), f"{hour.count:,}", shown(hour.share, "share", None)) for hour in content.hours]
    return _table(f"Best hours ({content.zone})", ("Hour", "Actions of fans", "Share"), rows)


def _cohorts(content: ReportContent) -> str:
    if not any(one.persons for one in content.cohorts):
        return ""
    width = max(len(one.retained) for one in content.cohorts)
    rows = [(f"{one.month:%B %Y}", f"{one.persons:,}", *came_back(one)) for one in content.cohorts]
    names = ("First seen", "Fans", *(f"+{month}" for month in range(1, width)))
    padded = [(*row, *("" for _ in range(len(names) - len(row)))) for row in rows]
    return _table("Who came back, by months since", names, padded)


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>{escape(title)}</h2><div class="scroll">{table}</div>'
