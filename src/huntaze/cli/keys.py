"""`huntaze keys`: who may use the API."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from huntaze.cli.here import ledger
from huntaze.cli.output import Failed, print_json, print_line, print_table
from huntaze.models import user_store
from huntaze.models.users import Scope

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@keys.command()
def create(
    handle: Annotated[str | None, typer.Argument(help="the creator, made if new; left out for a service's key")] = None,
    name: Annotated[str, typer.Option(help="what the key is for")] = "made by hand",
    scope: Annotated[list[Scope] | None, typer.Option(help="may be repeated; default: read and write")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="days until it expires; default: never")] = None,
    json: AsJson = False,
) -> None:
    """Make a key. It is shown once: only its hash is kept."""
    scopes = scope or [Scope.READ, Scope.WRITE]
    if handle is None:
        scopes = [*scopes, Scope.ACT_FOR]
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with ledger("keys") as sessions, sessions.begin() as session:
        user_id = None if handle is None else user_store.ensure_user(session, handle).id
        key, secret = user_store.create_key(session, user_id, name, scopes, expires)
    if json:
        print_json({"prefix": key.prefix, "key": secret, "creator_id": user_id, "scopes": key.scopes})
    else:
        print_line(secret)


@keys.command("list")
def list_keys(json: AsJson = False) -> None:
    """Show all keys, newest first; never the keys themselves."""
    with ledger("keys") as sessions, sessions() as session:
        found = user_store.list_keys(session)
    if json:
        shown = ("prefix", "name", "scopes", "created_at", "expires_at", "revoked_at")
        print_json([{"creator": handle, **{name: getattr(key, name) for name in shown}} for key, handle in found])
        return
    rows = [
        (key.prefix, handle or "(service)", key.name, ",".join(key.scopes), key.expires_at, key.revoked_at)
        for key, handle in found
    ]
    print_table(["prefix", "creator", "name", "scopes", "expires", "revoked"], rows, "there are no keys")


@keys.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="the part between the underscores, as `keys list` shows")],
    json: AsJson = False,
) -> None:
    """End a key at once."""
    with ledger("keys") as sessions, sessions.begin() as session:
        if not user_store.revoke_key(session, prefix):
            raise Failed(f"There is no live key with the prefix {prefix}; see huntaze keys list.")
    if json:
        print_json({"prefix": prefix, "revoked": True})
    else:
        print_line(f"{prefix} is revoked")
