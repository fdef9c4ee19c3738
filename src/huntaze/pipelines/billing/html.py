"""An invoice as one HTML page: no script, no picture, nothing that is fetched; it prints on A4."""

from html import escape

from huntaze.pipelines.billing.document import InvoiceDocument, Party

# Nothing may run or be fetched from a page that shows names which people chose; the style is the page's own.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
@page { size: A4; margin: 18mm }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1c2430; background: #f3f4f6; margin: 0 }
main { max-width: 820px; margin: 32px auto; background: #fff; padding: 56px; border-top: 6px solid #4338ca }
h1 { font-size: 30px; letter-spacing: -.02em; margin: 0 }
header, .parties { display: flex; justify-content: space-between; gap: 32px; align-items: flex-start }
.parties { margin: 36px 0; padding: 24px 0; border: solid #e5e7eb; border-width: 1px 0 }
.parties > div { flex: 1; overflow-wrap: anywhere }
h2, th { font-size: 11px; letter-spacing: .08em; text-transform: uppercase;
  color: #6b7280; font-weight: 600; margin: 0 }
dl { display: grid; grid-template-columns: auto auto; gap: 2px 16px; margin: 0; font-size: 14px }
dt { color: #6b7280 } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums }
table { width: 100%; border-collapse: collapse }
th { text-align: left; padding: 0 0 8px; border-bottom: 2px solid #1c2430 }
td { padding: 12px 0; border-bottom: 1px solid #e5e7eb; vertical-align: top; overflow-wrap: anywhere }
.number { text-align: right; white-space: nowrap; padding-left: 20px; font-variant-numeric: tabular-nums }
small { display: block; color: #6b7280 }
.sums { margin: 20px 0 0 auto; width: 340px } .sums td { border: 0; padding: 4px 0 }
.due td { font-size: 20px; font-weight: 700; border-top: 2px solid #1c2430; padding-top: 12px }
.status { display: inline-block; padding: 2px 12px; border-radius: 99px; background: #eef2ff; color: #4338ca;
  font-size: 13px; font-weight: 600 }
tr { break-inside: avoid }
@media print { body { background: #fff } main { margin: 0; padding: 0; border: 0; max-width: none } }
@media (max-width: 640px) { main { padding: 24px; margin: 0 } header, .parties { flex-direction: column }
  .sums { width: 100% } }
"""


def invoice_html(invoice: InvoiceDocument) -> str:
    """The page. Every word of it that came from people is escaped."""
    number, currency = escape(invoice.number), escape(invoice.currency)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in invoice.facts)
    sums = "".join(_row(escape(label), escape(value)) for label, value in invoice.sums)
    label, due = invoice.balance
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Invoice {number}</title><style>{_STYLE}</style></head>
<body><main>
<header><div><h1>Invoice</h1><span class="status">{escape(invoice.status)}</span></div><dl>{facts}</dl></header>
<section class="parties">{_party("From", invoice.seller)}{_party("To", invoice.buyer)}</section>
<table><thead><tr><th>Description</th><th class="number">Quantity</th><th class="number">Unit price</th>
<th class="number">Amount ({currency})</th></tr></thead><tbody>{_lines(invoice)}</tbody></table>
<table class="sums"><tbody>{sums}{_row(escape(label), escape(due), "due")}</tbody></table>
</main></body></html>
"""


def _lines(invoice: InvoiceDocument) -> str:
    return "".join(
        f"<tr><td>{escape(what)}<small>{escape(when)}</small></td>"
        + "".join(f'<td class="number">{escape(figure)}</td>' for figure in figures)
        + "</tr>"
        for what, when, *figures in invoice.rows
    )


def _row(label: str, value: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<tr{mark}><td>{label}</td><td class="number">{value}</td></tr>'


def _party(role: str, party: Party) -> str:
    lines = "".join(f"<br>{escape(line)}" for line in party.lines)
    return f"<div><h2>{role}</h2><strong>{escape(party.name)}</strong>{lines}</div>"
