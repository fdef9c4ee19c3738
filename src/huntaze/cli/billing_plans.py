"""`huntaze billing plans`, `huntaze billing subscribe`: what is sold, and to whom."""

import json as jsons
import tomllib
import uuid
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from huntaze.cli.here import ledger, settings_here
from huntaze.cli.output import Failed, print_json, print_line, print_table
from huntaze.models import billing_domain, billing_orders, billing_reads, plan_catalog, plan_store, user_store
from huntaze.models.billing_orders import BadOrder, Order
from huntaze.models.billing_plans import Plan
from huntaze.pipelines.billing.catalog import BadCatalog, Catalog, read_catalog
from huntaze.pipelines.billing.terms import terms_to_json
from huntaze.pipelines.errors import Permanent

plans = typer.Typer(no_args_is_help=True, help="List what is sold; load it from a file.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
_LARGEST = 4_000_000  # bytes of a file


@plans.command("list")
def list_plans(json: AsJson = False) -> None:
    """Show the plans on sale, each in its newest version."""
    with ledger("billing") as sessions, sessions() as session:
        rows = plan_store.on_sale(session)
        offers, broken = billing_domain.readable_offers(session, {row.id for row in rows})
    told = [_facts(row, offers.get(row.id)) for row in rows]
    if json:
        print_json(told)
    else:
        columns = ["code", "version", "currency", "every", "trial", "prices"]
        lines = [[one[name] if name != "prices" else _prices(one) for name in columns] for one in told]
        print_table(columns, lines, "there are no plans; see huntaze billing plans load", ("code",))
    if broken:
        raise Failed(f"Plans that cannot be billed: {'; '.join(error.message for error in broken.values())}")


def _facts(row: Plan, offer: billing_domain.Offer | None) -> dict[str, Any]:
    prices = [] if offer is None else offer.plan.prices
    return {
        "code": row.code,
        "version": row.version,
        "name": row.name,
        "currency": row.currency,
        "every": row.interval if row.interval_count == 1 else f"{row.interval_count} {row.interval}s",
        "trial": f"{row.trial_days} d" if row.trial_days else "",
        "prices": [{"code": one.code, "meter": one.meter, "terms": terms_to_json(one.terms)} for one in prices],
    }


def _prices(facts: dict[str, Any]) -> str:
    return ", ".join(f"{one['code']} ({one['terms']['kind']})" for one in facts["prices"])


@plans.command("load")
def load_plans(
    file: Annotated[Path, typer.Argument(help="TOML or JSON: plans, coupons, tax_rates, dunning")],
    check: Annotated[bool, typer.Option("--check", help="say what would be done, and keep nothing")] = False,
    json: AsJson = False,
) -> None:
    """Put a file of what is sold in place: all of it, or nothing.

    What is there already stays as it is; a plan that differs becomes another version, for new subscriptions alone."""
    catalog = _read(file)
    with ledger("billing") as sessions, sessions() as session:
        try:
            loaded = plan_catalog.load(session, catalog)
        except BadCatalog as error:
            raise _refused(file, error) from None
        if not check:
            session.commit()
    if json:
        print_json({"file": file, "kept": not check, "entries": [asdict(one) for one in loaded]})
        return
    rows = [(one.kind, one.code, one.outcome, one.version) for one in loaded]
    print_table(["kind", "code", "outcome", "version"], rows, "the file holds nothing", ("code",))
    if check:
        print_line("nothing was kept")


def _read(file: Path) -> Catalog:
    if not file.is_file():
        raise Failed(f"{file} is not a file; name one of plans, in TOML or JSON.", 2)
    if file.stat().st_size > _LARGEST:
        raise Failed(f"{file} has more than {_LARGEST:,} bytes.", 2)
    if file.suffix not in (".toml", ".json"):
        raise Failed(f"{file}: the name must end in .toml or .json.", 2)
    try:
        text = file.read_text("utf-8")
        # Never a float: 0.1 of a cent is to be what was written.
        is_toml = file.suffix == ".toml"
        document = tomllib.loads(text, parse_float=Decimal) if is_toml else jsons.loads(text, parse_float=Decimal)
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}.", 2) from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Failed(f"{file} is no {file.suffix[1:].upper()}: {error}", 2) from None
    try:
        return read_catalog(document)
    except BadCatalog as error:
        raise _refused(file, error) from None


def _refused(file: Path, error: BadCatalog) -> Failed:
    return Failed("\n".join(f"{file}: {mistake}" for mistake in error.mistakes), 2)


def subscribe(
    creator: Annotated[str, typer.Argument(help="handle or id")],
    plan: Annotated[str, typer.Option(help="a plan's code")],
    quantity: Annotated[int, typer.Option(min=1, max=1_000_000)] = 1,
    anchor_day: Annotated[int | None, typer.Option(min=1, max=31, help="billed on this day of the month")] = None,
    zone: Annotated[str | None, typer.Option(help="Europe/Paris; default: the creator's")] = None,
    trial_days: Annotated[int | None, typer.Option(min=0, max=730, help="default: the plan's, once")] = None,
    coupon: Annotated[str | None, typer.Option(help="a coupon's code")] = None,
    tax_rate: Annotated[str | None, typer.Option(help="a tax rate's name; default: as before")] = None,
    customer: Annotated[str | None, typer.Option(help="as the payment gateway knows them; default: as before")] = None,
    method: Annotated[str | None, typer.Option(help="the gateway's token of a card, with --customer")] = None,
    json: AsJson = False,
) -> None:
    """Subscribe a creator to a plan; the next run bills it. A repeat finds what is there."""
    if method is not None and customer is None:
        raise Failed("--method is a card of a customer: name --customer too.", 2)
    terms = billing_orders.Terms(anchor_day, trial_days, tax_rate)
    card = None if customer is None else billing_orders.Card(customer, method)
    usual = settings_here("billing").billing.tax_rate
    order = Order(plan, quantity, zone, coupon, card, terms, first_tax_rate=usual)
    with ledger("billing") as sessions, sessions.begin() as session:
        creator_id = _creator(session, creator)
        try:
            row, made = billing_orders.place(session, creator_id, order, billing_reads.db_now(session))
        except BadOrder as error:
            option = {"time_zone": "zone"}.get(error.field, error.field).replace("_", "-")
            raise Failed(f"--{option}: {error.message}", 2) from None
        except Permanent as error:
            raise Failed(error.message) from None
    if json:
        names = ("id", "quantity", "time_zone", "anchor", "trial_end", "next_billing_at")
        print_json({"made": made, "plan": plan, **{name: getattr(row, name) for name in names}})
        return
    due = (
        "not billed while it is paused"
        if row.next_billing_at is None
        else f"billed {row.next_billing_at:%Y-%m-%d %H:%M} UTC"
    )
    print_line(f"{row.id} {'is' if made else 'was there already,'} {due}")


def _creator(session: Session, named: str) -> uuid.UUID:
    found = user_store.find_user(session, named)
    if found is None:
        raise Failed(f"There is no creator {named!r}: give a handle or an id.", 2)
    return found
