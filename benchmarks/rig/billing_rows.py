"""Subscriptions that are due, processes that bill them, and books of a size, made by the database."""

import multiprocessing
import queue
import resource
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import text

from benchmarks.rig.processes import Rig
from huntaze.models import billing_run, plan_store
from huntaze.models.base import new_id
from huntaze.models.billing_plans import Plan, TaxRate
from huntaze.models.billing_run import RunPolicy
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.plan_store import NewPrice
from huntaze.pipelines.billing.pricing import Flat, PerUnit

SLOT = datetime(2025, 2, 1, tzinfo=UTC)

_TABLES = """invoices, invoice_lines, receivables, ledger_entries, invoice_counters, credit_balances, usage_records,
    billing_items, subscription_changes, subscriptions, plan_prices, plans, tax_rates, events, users"""
_USERS = text("""
    INSERT INTO users (id, handle, time_zone, plan)
    SELECT uuidv7(), 'creator-' || n, 'UTC', 'free' FROM generate_series(1, :rows) AS n
""")
_DUE = text("""
    INSERT INTO subscriptions (
        id, creator_id, plan_id, quantity, status, anchor, time_zone, started_at, next_billing_at, tax_rate_id
    )
    SELECT uuidv7(), id, :plan_id, 1, 'active', :slot, 'Europe/Paris', :slot, :slot, :tax_rate_id FROM users
""")
_USED = text("""
    INSERT INTO usage_records (id, subscription_id, meter, quantity, source_key, occurred_at)
    SELECT uuidv7(), id, 'videos', 7, 'used-' || id, :slot - interval '1 day' FROM subscriptions
""")


def clear(rig: Rig) -> None:
    """No billing at all, and no dead rows of what ran before."""
    with rig.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {_TABLES} CASCADE"))


def fill(rig: Rig, rows: int) -> None:
    """So many creators, each with a subscription that is due: a fee, metered videos and a tax, two lines an invoice."""
    clear(rig)
    with rig.sessions.begin() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        plan = Plan(id=new_id(), code="pro", name="Pro", currency="EUR", interval="month")
        prices = [
            NewPrice("fee", "Pro", Flat(Decimal(1900))),
            NewPrice("v", "Videos", PerUnit(Decimal("12.5")), "videos"),
        ]
        plan_store.create_plan(session, plan, prices)
        rate = TaxRate(id=new_id(), name="VAT", percent=Decimal(20))
        session.add(rate)
        session.flush()
        session.execute(_USERS, {"rows": rows})
        session.execute(_DUE, {"plan_id": plan.id, "tax_rate_id": rate.id, "slot": SLOT})
        session.execute(_USED, {"slot": SLOT})
    _analyze(rig)


def _analyze(rig: Rig) -> None:
    with rig.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text(f"VACUUM (ANALYZE) {_TABLES}"))
        connection.execute(text("RESET statement_timeout"))


@dataclass(frozen=True)
class Billed:
    """seconds: from the first claim to the last commit. cpu_s: of all processes, PostgreSQL's not among them. rss_mb:
    the most that any of the processes held."""

    invoices: int
    seconds: float
    cpu_s: float
    rss_mb: float


def bill(rig: Rig, workers: int) -> Billed:
    """All that is due, by so many processes that begin at once."""
    spawn = multiprocessing.get_context("spawn")
    start, told = spawn.Barrier(workers + 1), spawn.Queue()
    url = rig.settings.database.sqlalchemy_url
    processes = [spawn.Process(target=_work, args=(url, start, told)) for _ in range(workers)]
    for process in processes:
        process.start()
    start.wait(60)
    begun = time.perf_counter()
    made = []
    while len(made) < workers:
        try:
            made.append(told.get(timeout=1))
        except queue.Empty:
            if any(process.exitcode for process in processes):
                raise RuntimeError("a process that bills has died; its traceback is above") from None
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join()
    invoices, cpu_s, rss_mb = zip(*made, strict=True)
    return Billed(sum(invoices), seconds, sum(cpu_s), max(rss_mb))


def _work(url: str, start: object, told: object) -> None:
    engine = build_engine(url, pool_size=1, application="biller")
    sessions = build_sessions(engine)
    with sessions() as session:
        session.execute(text("SELECT 1"))
    start.wait(60)  # type: ignore[attr-defined]
    invoices, claimed, begun = 0, 1, time.process_time()
    while claimed:
        with sessions.begin() as session:
            billed = billing_run.bill_batch(session, SLOT, RunPolicy())
        claimed, invoices = billed.claimed, invoices + len(billed.numbers)
    told.put((invoices, time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))  # type: ignore[attr-defined]
    engine.dispose()


# Books of a size: one invoice of three entries, as the run writes them, for each number.
_INVOICES = text("""
    INSERT INTO invoices (id, number, creator_id, subscription_id, plan_id, period_start, period_end, currency,
        subtotal_minor, discount_minor, tax_minor, total_minor, credit_applied_minor, due_minor, issued_at)
    SELECT uuidv7(), n, one.creator_id, one.id, one.plan_id, :slot + n * interval '1 hour',
        :slot + (n + 1) * interval '1 hour', 'EUR', 1900, 0, 380, 2280, 0, 2280, :slot
    FROM generate_series(1, :rows) AS n CROSS JOIN (SELECT * FROM subscriptions LIMIT 1) AS one
""")
_REST = [
    """INSERT INTO invoice_lines (id, invoice_id, position, source_key, description, quantity, amount_minor,
        discount_minor, tax_minor, total_minor, detail, period_start, period_end)
        SELECT uuidv7(), id, 0, id::text, 'Pro', 1, 1900, 0, 380, 2280, '{}', period_start, period_end FROM invoices""",
    "INSERT INTO receivables (invoice_id, open_minor, state, dunning_step) SELECT id, 2280, 'open', 0 FROM invoices",
    """INSERT INTO ledger_entries (
            transaction_id, kind, creator_id, invoice_id, account, currency, amount_minor, occurred_at
        )
        SELECT id, 'invoice', creator_id, id, side.account, 'EUR', side.amount, issued_at FROM invoices
        CROSS JOIN (VALUES ('receivable', 2280), ('revenue', -1900), ('tax', -380)) AS side (account, amount)""",
    "INSERT INTO invoice_counters (series, last) SELECT 'INV', max(number) FROM invoices",
]


def fill_books(rig: Rig, entries: int) -> None:
    """Clean books of about so many entries."""
    fill(rig, 1)
    with rig.engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(_INVOICES, {"rows": entries // 3, "slot": SLOT})
        for statement in _REST:
            connection.execute(text(statement))
    _analyze(rig)
