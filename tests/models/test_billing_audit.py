"""The audit sees what is wrong, each kind of it; the database refuses what it can."""

import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from huntaze.models import billing_audit, billing_books
from huntaze.models.billing_books import Transaction
from huntaze.models.billing_ledger import Account
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.models.billing_kit import START, day, run, subscribe


def transaction(creator: User, amounts: dict[Account, int]) -> Transaction:
    return Transaction(uuid.uuid4(), "test", creator.id, "EUR", START, amounts)


def test_the_database_refuses_what_does_not_balance(sessions: Sessions, creator: User) -> None:
    good = transaction(creator, {Account.CASH: 5, Account.CREDIT: -5})
    crooked = transaction(creator, {Account.CASH: 5, Account.CREDIT: -4})
    with pytest.raises(IntegrityError, match="do not balance"), sessions.begin() as session:
        billing_books.post(session, [good, crooked])
    with sessions.begin() as session:
        billing_books.post(session, [good])
    with pytest.raises(IntegrityError, match="uq_ledger_entries_transaction_id_account"), sessions.begin() as session:
        billing_books.post(session, [good])


# Each line breaks one thing, with the triggers off as only an owner could have them.
BROKEN = {
    "transaction balances": "UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE account = 'revenue'",
    "receivable of an invoice": "UPDATE invoices SET total_minor = total_minor + 1, due_minor = due_minor + 1",
    "what is left of an invoice": "UPDATE receivables SET open_minor = open_minor - 1",
    "accounts against documents": "UPDATE ledger_entries SET account = 'tax' WHERE account = 'revenue'",
    "credit balance": "UPDATE credit_balances SET balance_minor = balance_minor + 1",
    "numbers of invoices": "UPDATE invoices SET number = 7 WHERE number = 2",
    "numbers of credit notes": "INSERT INTO invoice_counters VALUES ('CN', 1)",
    "lines of an invoice": "UPDATE invoice_lines SET total_minor = total_minor - 1",
    "periods of a subscription": "UPDATE invoices SET period_end = period_end - interval '1 s' WHERE number = 1",
    "usage of an invoice": "INSERT INTO usage_records (id, subscription_id, meter, quantity, source_key, occurred_at,"
    " invoice_id) SELECT gen_random_uuid(), id, 'videos', 1, 'x', now(), gen_random_uuid() FROM subscriptions",
    "usage on the lines": "UPDATE invoice_lines SET source_key = source_key || ':usage:x' WHERE position = 0",
    "outcome of a charge": "INSERT INTO payment_attempts (id, invoice_id, number, idempotency_key, gateway,"
    " amount_minor, currency, method, state, started_at) SELECT gen_random_uuid(), id, 1, 'k',"
    " 'stripe', 1, 'EUR', 'card', 'unknown', now() - interval '2 days' FROM invoices WHERE number = 1",
}


@pytest.mark.parametrize("check", sorted(BROKEN))
def test_each_check_sees_what_it_is_for(sessions: Sessions, creator: User, check: str) -> None:
    with sessions.begin() as session:
        billing_books.grant_credit(session, creator.id, "EUR", 300, reason="sorry", source_key="x", at=START)
    subscribe(sessions, creator)
    run(sessions, day(2025, 2, 28))
    with sessions() as session:
        assert billing_audit.differences(session) == []
    with sessions.begin() as session:
        for table in ("invoices", "invoice_lines", "ledger_entries"):
            session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER written_once"))
        session.execute(text(BROKEN[check]))
        for table in ("invoices", "invoice_lines", "ledger_entries"):
            session.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER written_once"))
    with sessions() as session:
        assert check in {one.check for one in billing_audit.differences(session)}


def test_every_check_is_tested() -> None:
    assert BROKEN.keys() == billing_audit.CHECKS.keys()


def test_what_was_found_is_kept(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator)
    run(sessions, START)
    with sessions.begin() as session:
        session.execute(text("UPDATE receivables SET open_minor = 1"))
    for _ in range(2):
        with sessions() as session:
            found = billing_audit.differences(session)
        with sessions.begin() as session:
            audit = billing_audit.save(session, START, found)
    assert (audit.invoices, audit.entries) == (1, 2)
    (kept,) = audit.differences
    assert (kept["check"], kept["expected"], kept["found"]) == ("what is left of an invoice", 2000, 1)
