"""Whether the books agree with the documents and the documents with one another. Reads only, set by set.

Each check is a query that gives a row for each thing that does not add up: (subject, expected, found). Compared are:
sum(ledger) = invoices - payments - credits, for each invoice and in whole; balances; numbers; periods; lines; usage.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.models.billing_ledger import BillingAudit

_MOST = 20  # differences of one check that are named; the rest is counted by the next audit, after these are mended

CHECKS = {
    "transaction balances": """
        SELECT transaction_id::text, 0, sum(amount_minor) FROM ledger_entries
        GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0
    """,
    # Invoices, payments, credit notes and write-offs against the account; the ledger knows write-offs alone.
    "receivable of an invoice": """
        SELECT invoice.id::text,
               invoice.due_minor - coalesce(paid.amount, 0) - coalesce(noted.amount, 0) - coalesce(booked.given_up, 0),
               coalesce(booked.receivable, 0)
        FROM invoices AS invoice
        LEFT JOIN (SELECT invoice_id, sum(amount_minor - to_credit_minor) AS amount FROM payments GROUP BY 1) AS paid
            ON paid.invoice_id = invoice.id
        LEFT JOIN (SELECT invoice_id, sum(to_receivable_minor) AS amount FROM credit_notes GROUP BY 1) AS noted
            ON noted.invoice_id = invoice.id
        LEFT JOIN (
            SELECT invoice_id, sum(amount_minor) FILTER (WHERE account = 'receivable') AS receivable,
                   sum(amount_minor) FILTER (WHERE account = 'write_off') AS given_up
            FROM ledger_entries WHERE invoice_id IS NOT NULL GROUP BY 1
        ) AS booked ON booked.invoice_id = invoice.id
        WHERE invoice.due_minor - coalesce(paid.amount, 0) - coalesce(noted.amount, 0) - coalesce(booked.given_up, 0)
              <> coalesce(booked.receivable, 0)
    """,
    "what is left of an invoice": """
        SELECT invoice.id::text, coalesce(booked.amount, 0), owed.open_minor
        FROM invoices AS invoice LEFT JOIN receivables AS owed ON owed.invoice_id = invoice.id
        LEFT JOIN (
            SELECT invoice_id, sum(amount_minor) AS amount FROM ledger_entries WHERE account = 'receivable' GROUP BY 1
        ) AS booked ON booked.invoice_id = invoice.id
        WHERE coalesce(booked.amount, 0) IS DISTINCT FROM owed.open_minor
    """,
    "accounts against documents": """
        WITH booked AS (
            SELECT currency, account, sum(amount_minor) AS amount FROM ledger_entries GROUP BY currency, account
        ), documents AS (
            SELECT currency, 'revenue' AS account, tax_minor - total_minor AS amount FROM invoices
            UNION ALL SELECT currency, 'tax', -tax_minor FROM invoices
            UNION ALL SELECT currency, 'credit', credit_applied_minor FROM invoices
            UNION ALL SELECT currency, 'revenue', note.total_minor - note.tax_minor
                      FROM credit_notes AS note JOIN invoices AS invoice ON invoice.id = note.invoice_id
            UNION ALL SELECT currency, 'tax', note.tax_minor
                      FROM credit_notes AS note JOIN invoices AS invoice ON invoice.id = note.invoice_id
            UNION ALL SELECT currency, 'credit', -note.to_credit_minor
                      FROM credit_notes AS note JOIN invoices AS invoice ON invoice.id = note.invoice_id
            UNION ALL SELECT currency, 'cash', -note.to_cash_minor
                      FROM credit_notes AS note JOIN invoices AS invoice ON invoice.id = note.invoice_id
            UNION ALL SELECT currency, 'cash', amount_minor FROM payments
            UNION ALL SELECT currency, 'credit', -to_credit_minor FROM payments
            UNION ALL SELECT currency, 'cash', amount_minor FROM refunds WHERE state = 'failed'
            UNION ALL SELECT currency, 'credit', -amount_minor FROM refunds WHERE state = 'failed'
            UNION ALL SELECT currency, 'cash', amount_minor FROM refunds WHERE state = 'overtaken'
            UNION ALL SELECT currency, 'dispute', -amount_minor FROM refunds WHERE state = 'overtaken'
            UNION ALL SELECT currency, 'cash', amount_minor FROM dispute_movements
            UNION ALL SELECT currency, 'dispute', -amount_minor FROM dispute_movements
            UNION ALL SELECT currency, 'credit', -amount_minor FROM credit_grants
        ), summed AS (SELECT currency, account, sum(amount) AS amount FROM documents GROUP BY currency, account)
        SELECT currency || ' ' || account, coalesce(summed.amount, 0), coalesce(booked.amount, 0)
        FROM summed FULL JOIN booked USING (currency, account)
        WHERE account NOT IN ('receivable', 'write_off') AND coalesce(summed.amount, 0) <> coalesce(booked.amount, 0)
    """,
    "credit balance": """
        SELECT creator_id || ' ' || currency, -coalesce(booked.amount, 0), coalesce(held.balance_minor, 0)
        FROM (SELECT creator_id, currency, sum(amount_minor) AS amount FROM ledger_entries
              WHERE account = 'credit' GROUP BY creator_id, currency) AS booked
        FULL JOIN credit_balances AS held USING (creator_id, currency)
        WHERE -coalesce(booked.amount, 0) <> coalesce(held.balance_minor, 0)
    """,
    "numbers of invoices": """
        SELECT 'INV', coalesce((SELECT last FROM invoice_counters WHERE series = 'INV'), 0), count(*)
        FROM invoices HAVING count(*) <> coalesce(max(number), 0)
            OR count(*) <> coalesce((SELECT last FROM invoice_counters WHERE series = 'INV'), 0)
    """,
    "numbers of credit notes": """
        SELECT 'CN', coalesce((SELECT last FROM invoice_counters WHERE series = 'CN'), 0), count(*)
        FROM credit_notes HAVING count(*) <> coalesce(max(number), 0)
            OR count(*) <> coalesce((SELECT last FROM invoice_counters WHERE series = 'CN'), 0)
    """,
    "lines of an invoice": """
        SELECT invoice.id::text, invoice.total_minor, coalesce(sum(line.total_minor), 0)
        FROM invoices AS invoice LEFT JOIN invoice_lines AS line ON line.invoice_id = invoice.id
        GROUP BY invoice.id HAVING invoice.total_minor <> coalesce(sum(line.total_minor), 0)
            OR invoice.tax_minor <> coalesce(sum(line.tax_minor), 0)
            OR invoice.subtotal_minor <> coalesce(sum(line.amount_minor), 0)
    """,
    # A period ends where the next begins, but for a change within it, a pause before it, or an end.
    "periods of a subscription": """
        SELECT told.subscription_id || ' ' || told.period_start, extract(epoch FROM told.period_end)::bigint,
               extract(epoch FROM told.following)::bigint
        FROM (
            SELECT subscription_id, period_start, period_end,
                   lead(period_start) OVER (PARTITION BY subscription_id ORDER BY period_start) AS following
            FROM invoices
        ) AS told
        WHERE told.following <> told.period_end AND NOT EXISTS (
            SELECT FROM subscription_changes AS change WHERE change.subscription_id = told.subscription_id
              AND change.at = told.following AND change.kind IN ('change', 'resume', 'cancel', 'end')
        )
    """,
    "usage of an invoice": """
        SELECT invoice_id::text, 1, 0 FROM (
            SELECT DISTINCT invoice_id FROM usage_records WHERE invoice_id IS NOT NULL AND NOT unpriced
            UNION SELECT invoice_id FROM billing_items WHERE invoice_id IS NOT NULL
        ) AS marked WHERE NOT EXISTS (SELECT FROM invoices WHERE id = marked.invoice_id)
    """,
    # Usage is marked with the invoice that bills it, if a price is for it; in millionths, as quantities are kept.
    "usage on the lines": """
        SELECT invoice_id::text, coalesce(counted.quantity, 0) * 1000000, coalesce(billed.quantity, 0) * 1000000
        FROM (
            SELECT invoice_id, meter, sum(quantity) AS quantity FROM usage_records
            WHERE invoice_id IS NOT NULL AND NOT unpriced GROUP BY 1, 2
        ) AS counted FULL JOIN (
            SELECT invoice_id, detail ->> 'meter' AS meter, quantity FROM invoice_lines
            WHERE source_key LIKE '%:usage:%'
        ) AS billed USING (invoice_id, meter)
        WHERE coalesce(counted.quantity, 0) <> coalesce(billed.quantity, 0)
    """,
    # Charges and refunds whose outcome nobody has told for a day: somebody has to ask the gateway.
    "outcome of a charge": """
        SELECT id::text, 1, 0 FROM payment_attempts
        WHERE state IN ('started', 'unknown') AND started_at < clock_timestamp() - interval '1 day'
        UNION ALL
        SELECT id::text, 1, 0 FROM refunds
        WHERE state = 'started' AND created_at < clock_timestamp() - interval '1 day'
    """,
}
_CHECKS = {name: text(f"{query} LIMIT {_MOST}") for name, query in CHECKS.items()}  # of constants
_COUNTS = text("SELECT (SELECT count(*) FROM invoices), (SELECT count(*) FROM ledger_entries)")


@dataclass(frozen=True)
class Difference:
    """One thing that does not add up: minor units, counts, or epoch seconds, as the check says."""

    check: str
    subject: str
    expected: int
    found: int


def differences(session: Session) -> list[Difference]:
    """All that does not add up, as of one moment: the session's transaction becomes REPEATABLE READ, so it has to be
    new. Empty: all is well."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session.execute(text("SET LOCAL statement_timeout = '10min'"))
    session.execute(text("SET LOCAL work_mem = '64MB'"))  # a million entries are summed without a file
    return [
        Difference(name, row[0], int(row[1] or 0), int(row[2] or 0))
        for name, statement in _CHECKS.items()
        for row in session.execute(statement)
    ]


def save(session: Session, slot: datetime, found: list[Difference]) -> BillingAudit:
    """Keeps what an audit of this slot found; a repeat goes in its place."""
    invoices, entries = session.execute(_COUNTS).one()
    values: list[dict[str, Any]] = [one.__dict__ for one in found]
    audit = session.query(BillingAudit).filter_by(slot=slot).one_or_none() or BillingAudit(id=new_id(), slot=slot)
    audit.invoices, audit.entries, audit.differences = invoices, entries, values
    session.add(audit)
    session.flush()
    return audit
