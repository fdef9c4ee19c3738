"""`huntaze billing`: what is due, what it would be, whether it adds up; and two simulated years of it."""

import tempfile
import time
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from huntaze.cli import billing_plans
from huntaze.cli.billing_simulation.run import Found, Simulation
from huntaze.cli.here import ledger, settings_here
from huntaze.cli.moments import MOMENT, parse_moment
from huntaze.cli.output import Failed, live_progress, out, print_json, print_line, print_table
from huntaze.cli.stack.errors import StackError
from huntaze.cli.stack.stores import embedded_stores
from huntaze.models import billing_audit, billing_reads, billing_run, billing_store, plan_store, schema
from huntaze.models.billing_run import RunPolicy
from huntaze.models.database import Sessions, build_engine
from huntaze.pipelines.billing.document import quantity as plain
from huntaze.pipelines.billing.invoice import Draft
from huntaze.pipelines.billing.money import format_money
from huntaze.pipelines.errors import Permanent

billing = typer.Typer(no_args_is_help=True, help="Bill what is due; preview, audit and simulate.")
billing.add_typer(billing_plans.plans, name="plans")
billing.command()(billing_plans.subscribe)
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Slot = Annotated[str | None, typer.Option(help=f"as if it were then: {MOMENT}; default: now")]
Subscription = Annotated[uuid.UUID, typer.Argument(metavar="SUBSCRIPTION", help="its id")]


def _policy() -> RunPolicy:
    terms = settings_here("billing").billing
    return RunPolicy(terms.batch, terms.most_periods)


def _moment(sessions: Sessions, slot: str | None) -> datetime:
    if slot is not None:
        return parse_moment(slot, "--slot")
    with sessions() as session:
        return billing_reads.db_now(session)


@billing.command()
def run(slot: Slot = None, json: AsJson = False) -> None:
    """Bill all that is due, as the schedule does hourly. Safe beside it, and to break off and repeat."""
    policy = _policy()
    with ledger("billing") as sessions, live_progress() as progress:
        at = _moment(sessions, slot)
        with sessions() as session:
            due = billing_reads.backlog(session, at).due
        line = progress.add_task("billing", total=due)
        numbers, ended, held = 0, 0, list[uuid.UUID]()
        while True:
            with sessions.begin() as session:
                billed = billing_run.bill_batch(session, at, policy)
            if not billed.claimed:
                break
            numbers, ended, held = numbers + len(billed.numbers), ended + billed.ended, [*held, *billed.held]
            progress.update(line, advance=billed.claimed)
    facts = {"slot": at, "due": due, "invoices": numbers, "ended": ended, "held": held}
    if json:
        print_json(facts)
        return
    print_table(["", ""], [*list(facts.items())[:-1], ("held", len(held))], "")
    if held:
        raise Failed("Some wait for a person: see huntaze billing held.")


@billing.command()
def held(json: AsJson = False) -> None:
    """Show the subscriptions whose billing waits for a person, and why."""
    with ledger("billing") as sessions, sessions() as session:
        rows = billing_reads.list_held(session)
    told = [
        {"id": row.id, "next_billing_at": row.next_billing_at, "code": row.held_code, "message": row.held_message}
        for row in rows
    ]
    if json:
        print_json(told)
        return
    print_table(["id", "code", "message"], [(one["id"], one["code"], one["message"]) for one in told], "none is held")


@billing.command()
def release(subscription: Subscription, until: Slot = None, json: AsJson = False) -> None:
    """Let a held subscription be billed again: all periods that begin up to --until, however many. Look at it first."""
    with ledger("billing") as sessions:
        at = parse_moment(until, "--until") if until is not None else _moment(sessions, None)
        with sessions.begin() as session:
            try:
                billing_store.release(session, subscription, at)
            except Permanent as error:
                raise Failed(error.message) from None
    if json:
        print_json({"id": subscription, "released_until": at})
    else:
        print_line(f"{subscription} is billed by the next run, up to {at:%Y-%m-%d %H:%M:%S} UTC")


@billing.command()
def preview(
    subscription: Subscription,
    plan: Annotated[str | None, typer.Option(help="a plan's code")] = None,
    quantity: Annotated[int | None, typer.Option(min=0, max=1_000_000)] = None,
    next_period: Annotated[bool, typer.Option("--next", help="from the next period on, not from now")] = False,
    slot: Slot = None,
    json: AsJson = False,
) -> None:
    """Show the invoice that a change would make, or without a change the next one. Nothing is kept."""
    with ledger("billing") as sessions, sessions() as session:
        at = _moment(sessions, slot)
        chosen = None if plan is None else plan_store.newest(session, plan)
        if plan is not None and chosen is None:
            raise Failed(f"--plan {plan}: there is no plan with this code on sale.", 2)
        now = (plan is not None or quantity is not None) and not next_period
        try:
            draft = billing_store.preview(
                session,
                subscription,
                at,
                plan_id=chosen.id if chosen else None,
                quantity=quantity,
                now=now,
                policy=_policy(),
            )
        except Permanent as error:
            raise Failed(error.message) from None
    if draft is None:
        raise Failed("It would be held: see huntaze billing held.")
    if json:
        print_json({"at": at, **asdict(draft)})
    else:
        _print_draft(draft)


def _print_draft(draft: Draft) -> None:
    currency = draft.currency
    rows = [
        (
            line.description,
            f"{line.period.start:%Y-%m-%d}",
            f"{line.period.end:%Y-%m-%d}",
            plain(line.quantity),
            format_money(line.amount_minor, currency),
        )
        for line in draft.lines
    ]
    print_table(["line", "from", "to (UTC)", "quantity", "amount"], rows, "nothing to bill")
    sums = ("subtotal", "discount", "tax", "total", "credit_applied", "due")
    told = [(name.replace("_", " "), format_money(getattr(draft, f"{name}_minor"), currency)) for name in sums]
    print_table(["", ""], told, "")


@billing.command()
def audit(json: AsJson = False) -> None:
    """Compare the ledger with invoices, payments and credits, and those with one another. Exit code 1: they differ."""
    begun = time.monotonic()
    with ledger("billing") as sessions, live_progress() as progress, sessions() as session:
        progress.add_task("auditing", total=None)
        found = billing_audit.differences(session)
    seconds = round(time.monotonic() - begun, 1)
    if json:
        print_json(
            {"checks": list(billing_audit.CHECKS), "differences": [asdict(one) for one in found], "seconds": seconds}
        )
    else:
        rows = [(one.check, one.subject, one.expected, one.found) for one in found]
        clean = f"{len(billing_audit.CHECKS)} checks, no differences, {seconds:.1f} s"
        print_table(["check", "subject", "expected", "found"], rows, clean, whole=("subject",))
    raise typer.Exit(1 if found else 0)


@billing.command()
def simulate(
    months: Annotated[int, typer.Option(min=2, max=120)] = 24,
    creators: Annotated[int, typer.Option(min=1, max=100_000)] = 1000,
    seed: Annotated[int, typer.Option(help="the same number, the same life")] = 1,
    json: AsJson = False,
) -> None:
    """Let creators live for months on a scratch database of its own, and look at the books each day.

    The run is the real one, crashed at any statement, started twice at once, left out for weeks. Exit code 1: the books
    are not clean."""
    try:
        with tempfile.TemporaryDirectory(prefix="huntaze-") as folder, live_progress() as progress:
            line = progress.add_task("starting a scratch database", total=None)
            with embedded_stores(Path(folder) / "scratch", valkey=False, s3=False) as stores:
                engine = build_engine(stores.database_url, application="huntaze-simulate")
                try:
                    schema.upgrade(engine)
                    simulation = Simulation(engine, months=months, creators=creators, seed=seed)
                    progress.update(line, description="living", total=simulation.days)
                    found = simulation.run(lambda day: progress.update(line, completed=day))
                finally:
                    engine.dispose()
    except StackError as error:
        raise Failed(str(error)) from None
    if json:
        print_json(found.facts())
    else:
        _print_found(found)
    raise typer.Exit(0 if found.clean else 1)


def _print_found(found: Found) -> None:
    facts: dict[str, Any] = found.facts()
    done, differences = facts.pop("done"), facts.pop("audit_differences")
    facts.pop("clean")
    rows = [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value) for name, value in facts.items()
    ]
    print_table(["", ""], [*rows, ("audit differences", len(differences))], "")
    print_line("on the way: " + ", ".join(f"{name} {count:,}" for name, count in sorted(done.items())))
    for one in differences[:20]:
        print_line("{check}: {subject}: expected {expected}, found {found}".format(**one))
    out.print("clean" if found.clean else "NOT CLEAN", style="green" if found.clean else "red")
