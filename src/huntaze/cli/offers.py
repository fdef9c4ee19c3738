"""`huntaze offers`: what creators offer, for operators."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import typer

from huntaze.cli.here import ledger
from huntaze.cli.output import WIDE, Failed, out, print_json, print_line, print_table
from huntaze.models import offer_store
from huntaze.models.offer_store import Seen
from huntaze.pipelines.errors import HuntazeError
from huntaze.pipelines.offers.states import Action, OfferState

offers = typer.Typer(no_args_is_help=True, help="List and show offers; hold one back, or take it back.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
OfferId = Annotated[uuid.UUID, typer.Argument(help="as `offers list` shows")]


def _facts(seen: Seen) -> dict[str, Any]:
    """The row, with the true state; `stored_state` is what stands in it."""
    columns = {column.key: getattr(seen.offer, column.key) for column in seen.offer.__table__.columns}
    return columns | {"state": seen.state, "stored_state": seen.offer.state}


@offers.command("list")
def list_offers(
    state: Annotated[OfferState | None, typer.Option(help="only these, by the clock")] = None,
    creator: Annotated[uuid.UUID | None, typer.Option(help="only this creator's")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show offers as they are now, newest first."""
    with ledger("offers") as sessions, sessions() as session:
        found = offer_store.search(session, creator_id=creator, state=state, limit=limit)
    if json:
        print_json([_facts(seen) for seen in found])
        return
    rows = [(s.offer.id, s.state, _terms(s), _taken(s), _when(s.offer.ends_at), s.offer.name) for s in found]
    wide = out.width >= WIDE
    columns = ["id", "state", "terms", "redeemed", *(["ends (UTC)", "name"] if wide else [])]
    print_table(columns, [row if wide else row[:4] for row in rows], "there are no such offers")


def _terms(seen: Seen) -> str:
    offer = seen.offer
    if offer.percent_off_bp is not None:
        return f"{offer.percent_off_bp / 100:g} % off"
    return f"{offer.price_minor} {offer.currency} (minor)"


def _taken(seen: Seen) -> str:
    return f"{seen.offer.redeemed}" if seen.offer.quota is None else f"{seen.offer.redeemed} of {seen.offer.quota}"


def _when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


@offers.command()
def show(offer_id: OfferId, json: AsJson = False) -> None:
    """Show one offer."""
    with ledger("offers") as sessions, sessions() as session:
        seen = offer_store.get(session, offer_id)
    _print(offer_id, seen, as_json=json, whole=True)


@offers.command()
def pause(offer_id: OfferId, json: AsJson = False) -> None:
    """Hold an offer back; its end comes all the same."""
    _act(offer_id, Action.PAUSE, as_json=json)


@offers.command()
def resume(offer_id: OfferId, json: AsJson = False) -> None:
    """Go on with an offer."""
    _act(offer_id, Action.RESUME, as_json=json)


@offers.command()
def cancel(offer_id: OfferId, json: AsJson = False) -> None:
    """Take an offer back, for good."""
    _act(offer_id, Action.CANCEL, as_json=json)


def _act(offer_id: uuid.UUID, action: Action, *, as_json: bool) -> None:
    try:
        with ledger("offers") as sessions, sessions.begin() as session:
            seen = offer_store.act(session, offer_id, None, action)
    except HuntazeError as error:
        raise Failed(error.message) from None
    _print(offer_id, seen, as_json=as_json)


def _print(offer_id: uuid.UUID, seen: Seen | None, *, as_json: bool, whole: bool = False) -> None:
    if seen is None:
        raise Failed(f"There is no offer {offer_id}; see huntaze offers list.")
    if as_json:
        print_json(_facts(seen))
    elif whole:
        print_table(["", ""], [(name, value) for name, value in _facts(seen).items() if value is not None], "")
    else:
        print_line(f"{offer_id} is {seen.state}")
