"""`huntaze webhooks`: who is told of events, for operators; partners' endpoints are made here."""

import uuid
from datetime import timedelta
from typing import Annotated, Any

import typer

from huntaze.cli.here import ledger, settings_here
from huntaze.cli.moments import LENGTH, SINCE, parse_length, parse_since
from huntaze.cli.output import WIDE, Failed, out, print_json, print_line, print_table
from huntaze.models import job_enqueue, job_store, webhook_log, webhook_store
from huntaze.models.job_args import WebhooksReplay
from huntaze.models.webhooks import DeliveryState, WebhookEndpoint
from huntaze.pipelines.errors import HuntazeError
from huntaze.pipelines.webhooks.patterns import is_pattern
from huntaze.pipelines.webhooks.signing import Keyring
from huntaze.pipelines.webhooks.targets import parse_target

webhooks = typer.Typer(no_args_is_help=True, help="Endpoints that are told of events, and what became of it.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
EndpointId = Annotated[uuid.UUID, typer.Argument(help="as `webhooks list` shows")]
EventId = Annotated[uuid.UUID, typer.Argument(help="as `webhooks log` shows")]


def _facts(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def _keys() -> Keyring:
    keys = settings_here("webhooks").webhooks.keys
    if keys is None:
        raise Failed("HUNTAZE_WEBHOOKS_KEY is not set: secrets are derived from it. See .env.example.", 2)
    return keys


@webhooks.command("list")
def list_endpoints(
    creator: Annotated[uuid.UUID | None, typer.Option(help="only this creator's")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show endpoints, newest first."""
    with ledger("webhooks") as sessions, sessions() as session:
        found = webhook_store.search(session, creator_id=creator, limit=limit)
    if json:
        print_json([_facts(endpoint) for endpoint in found])
        return
    rows = [(one.id, _state(one), one.url, ",".join(one.types), one.partner or one.creator_id) for one in found]
    wide = out.width >= WIDE
    columns = ["id", "state", "url", *(["types", "of"] if wide else [])]
    print_table(columns, [row if wide else row[:3] for row in rows], "there are no such endpoints")


def _state(endpoint: WebhookEndpoint) -> str:
    if endpoint.disabled_reason is not None:
        return f"disabled: {endpoint.disabled_reason}"
    return "enabled" if endpoint.failing_since is None else f"failing since {endpoint.failing_since:%m-%d %H:%M}"


@webhooks.command()
def create(
    url: Annotated[str, typer.Argument(help="https, on a public host")],
    partner: Annotated[str, typer.Option(help="who it is; it is told of all creators' events")],
    type: Annotated[list[str], typer.Option(help="video.analyzed, video.* or *; may be repeated")],
    json: AsJson = False,
) -> None:
    """Make a partner's endpoint, and print its secret, which is shown this once."""
    if wrong := [one for one in type if not is_pattern(one)]:
        raise Failed(f"--type {wrong[0]} is none: give video.analyzed, video.* or *.", 2)
    keys = _keys()
    try:
        parse_target(url, settings_here("webhooks").webhooks.policy)
    except HuntazeError as error:
        raise Failed(f"{url}: {error.message}", 2) from None
    with ledger("webhooks") as sessions, sessions.begin() as session:
        endpoint, secret = webhook_store.create(session, keys, url, type, partner=partner)
    if json:
        print_json({**_facts(endpoint), "secret": secret})
    else:
        print_line(f"{endpoint.id}\n{secret}")


@webhooks.command()
def enable(endpoint_id: EndpointId, json: AsJson = False) -> None:
    """Tell an endpoint of events again. What it missed comes by a replay."""
    _switch(endpoint_id, on=True, as_json=json)


@webhooks.command()
def disable(endpoint_id: EndpointId, json: AsJson = False) -> None:
    """Tell an endpoint nothing more."""
    _switch(endpoint_id, on=False, as_json=json)


def _switch(endpoint_id: uuid.UUID, *, on: bool, as_json: bool) -> None:
    with ledger("webhooks") as sessions, sessions.begin() as session:
        endpoint = webhook_store.get(session, endpoint_id, lock=True)
        if endpoint is None:
            raise Failed(f"There is no endpoint {endpoint_id}; see huntaze webhooks list.")
        webhook_store.change(session, endpoint, {"enabled": on})
    if as_json:
        print_json(_facts(endpoint))
    else:
        print_line(f"{endpoint_id} is {_state(endpoint)}")


@webhooks.command()
def rotate(
    endpoint_id: EndpointId,
    overlap: Annotated[str, typer.Option(help=f"how long the old secret signs too: {LENGTH}")] = "1d",
    json: AsJson = False,
) -> None:
    """Print a new secret, shown this once; until the overlap is over both sign."""
    length, keys = parse_length(overlap, "--overlap"), _keys()
    if length > timedelta(days=7):
        raise Failed("--overlap must be 7d or less: a secret that leaked should not sign for long.", 2)
    with ledger("webhooks") as sessions, sessions.begin() as session:
        if webhook_store.get(session, endpoint_id, lock=True) is None:
            raise Failed(f"There is no endpoint {endpoint_id}; see huntaze webhooks list.")
        secret = webhook_store.rotate(session, keys, endpoint_id, length)
    if json:
        print_json({"id": endpoint_id, "secret": secret})
    else:
        print_line(secret)


@webhooks.command()
def log(
    endpoint_id: EndpointId,
    event_id: Annotated[uuid.UUID | None, typer.Argument(help="one delivery, with its attempts")] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="only these")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show deliveries, newest first; or one with every request that was made."""
    if event_id is not None:
        _show(endpoint_id, event_id, as_json=json)
        return
    with ledger("webhooks") as sessions, sessions() as session:
        found = webhook_log.search(session, endpoint_id, state=state, limit=limit)
    if json:
        print_json([{**_facts(delivery), "type": type} for delivery, type in found])
        return
    rows = [(d.event_id, type, d.state, d.attempts, d.status, d.error_code or _next(d)) for d, type in found]
    print_table(["id", "type", "state", "attempts", "status", ""], rows, "there are no such deliveries")


def _next(delivery: Any) -> str:
    return "" if delivery.next_attempt_at is None else f"again at {delivery.next_attempt_at:%m-%d %H:%M:%S}"


def _show(endpoint_id: uuid.UUID, event_id: uuid.UUID, *, as_json: bool) -> None:
    with ledger("webhooks") as sessions, sessions() as session:
        row = webhook_log.get(session, (endpoint_id, event_id))
        attempts = webhook_log.attempts_of(session, (endpoint_id, event_id))
    if row is None:
        raise Failed(f"There is no delivery of {event_id} to {endpoint_id}.")
    facts = {**_facts(row[0]), "type": row[1]}
    if as_json:
        print_json({**facts, "log": [_facts(attempt) for attempt in attempts]})
        return
    print_table(["", ""], [(name, value) for name, value in facts.items() if value is not None], "")
    rows = [(f"{one.ended_at:%Y-%m-%d %H:%M:%S}", one.status, f"{one.seconds:.3f} s", one.error) for one in attempts]
    print_table(["ended (UTC)", "status", "took", "error"], rows, "nothing was sent yet")


@webhooks.command()
def resend(endpoint_id: EndpointId, event_id: EventId, json: AsJson = False) -> None:
    """Send one event again, with all its attempts."""
    try:
        with ledger("webhooks") as sessions, sessions.begin() as session:
            if not webhook_log.resend(session, (endpoint_id, event_id)):
                raise Failed(f"There is no delivery of {event_id} to {endpoint_id}.")
    except HuntazeError as error:
        raise Failed(error.message) from None
    if json:
        print_json({"endpoint_id": endpoint_id, "event_id": event_id, "state": DeliveryState.SENDING})
    else:
        print_line(f"{event_id} is sent again")


@webhooks.command()
def replay(
    endpoint_id: EndpointId,
    since: Annotated[str, typer.Option(help=f"events written then or later: {SINCE}")],
    until: Annotated[str | None, typer.Option(help=f"and before then; default: now. {SINCE}")] = None,
    delivered: Annotated[bool, typer.Option("--delivered", help="what arrived, too")] = False,
    json: AsJson = False,
) -> None:
    """Have a range of time sent again: what failed or was never sent."""
    with ledger("webhooks") as sessions, sessions.begin() as session:
        now = job_store.db_now(session)
        start, end = parse_since(since, "--since", now), parse_since(until, "--until", now) or now
        assert start is not None
        if start >= end:
            raise Failed("--since must be before --until.", 2)
        if webhook_store.get(session, endpoint_id) is None:
            raise Failed(f"There is no endpoint {endpoint_id}; see huntaze webhooks list.")
        args = WebhooksReplay(endpoint_id=endpoint_id, since=start, until=end, delivered=delivered)
        job_id = job_enqueue.enqueue(session, args, subject_id=endpoint_id).job.id
    if json:
        print_json({"job_id": job_id, "since": start, "until": end})
    else:
        print_line(f"job {job_id} sends it; see huntaze jobs show {job_id}")
