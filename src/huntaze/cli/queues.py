"""`huntaze queues`: what waits, who works, what is held back."""

import enum
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from huntaze.cli.here import ledger
from huntaze.cli.output import Failed, out, print_json, print_line, print_table
from huntaze.models import flow_store, job_dispatch, job_reads, node_store
from huntaze.models.job_kinds import KINDS, QUEUES

queues = typer.Typer(no_args_is_help=True, help="See the queues; pause and resume queues and kinds.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


class Scope(enum.StrEnum):
    """What can be paused."""

    QUEUE = "queue"
    KIND = "kind"


Of = Annotated[Scope, typer.Argument(help="pause what goes to a queue, or one kind of job")]
Name = Annotated[str, typer.Argument(help="as `queues list` and `jobs list` show")]
_KNOWN = {Scope.QUEUE: tuple(QUEUES), Scope.KIND: tuple(sorted(KINDS))}


@dataclass(frozen=True)
class QueueFacts:
    """One queue. `oldest_due_s`: seconds since the oldest job that has not started became due."""

    queue: str
    slots: int
    waiting: int
    queued: int
    running: int
    oldest_due_s: float
    paused: bool


@dataclass(frozen=True)
class Stranded:
    """Jobs that no living worker knows how to run."""

    kind: str
    version: int
    jobs: int

    def __str__(self) -> str:
        jobs = "1 job" if self.jobs == 1 else f"{self.jobs} jobs"
        wait = "waits for a worker that knows it" if self.jobs == 1 else "wait for a worker that knows them"
        return f"{jobs} of kind {self.kind} version {self.version} {wait}"


@queues.command("list")
def list_queues(json: AsJson = False) -> None:
    """Show each queue: slots of living workers, jobs by state, what is paused, what nobody can run."""
    with ledger("queues") as sessions, sessions() as session:
        found = _facts(session)
        stranded = find_stranded(session)
        pauses = [
            {"scope": pause.scope, "name": pause.name, "since": pause.since} for pause in flow_store.pauses(session)
        ]
    if json:
        shown = {"queues": [asdict(one) for one in found], "pauses": pauses}
        print_json({**shown, "stranded": [asdict(one) for one in stranded]})
        return
    rows = [
        (q.queue, q.slots, q.waiting, q.queued, q.running, f"{q.oldest_due_s:.0f} s", "paused" if q.paused else "")
        for q in found
    ]
    print_table(["queue", "slots", "waiting", "queued", "running", "oldest due", ""], rows, "there are no queues")
    for pause in pauses:
        print_line(f"{pause['scope']} {pause['name']} is paused since {pause['since']:%Y-%m-%d %H:%M:%S} UTC")
    for one in stranded:
        out.print(str(one), markup=False, soft_wrap=True, style="yellow")


def _facts(session: Session) -> list[QueueFacts]:
    capacity = node_store.capacity(session)
    paused = flow_store.paused_queues(session)
    backlog = {(one.queue, one.state): one for one in job_reads.backlog(session)}
    names = {*QUEUES, *capacity, *paused, *(queue for queue, _ in backlog)}
    found = []
    for name in sorted(names):
        states = {state: one for (queue, state), one in backlog.items() if queue == name}
        jobs = {state: states[state].jobs if state in states else 0 for state in ("waiting", "queued", "running")}
        oldest = max((one.oldest_due_s for one in states.values()), default=0.0)
        slots = capacity[name].slots if name in capacity else 0
        found.append(QueueFacts(queue=name, slots=slots, **jobs, oldest_due_s=oldest, paused=name in paused))
    return found


def find_stranded(session: Session) -> list[Stranded]:
    """Due jobs of kinds, or of versions of a kind, that no living worker of any queue knows."""
    kinds: dict[str, int] = {}
    for capacity in node_store.capacity(session).values():
        for kind, version in capacity.kinds.items():
            kinds[kind] = max(version, kinds.get(kind, 0))
    found = job_dispatch.stranded(session, kinds)
    return [Stranded(kind, version, jobs) for (kind, version), jobs in sorted(found.items())]


@queues.command()
def pause(scope: Of, name: Name, json: AsJson = False) -> None:
    """Send nothing more of a queue or kind to the workers. What runs goes on."""
    _check(scope, name, _KNOWN[scope])
    with ledger("queues") as sessions, sessions.begin() as session:
        flow_store.pause(session, scope, name)
    _tell({"scope": scope, "name": name, "paused": True}, f"{scope} {name} is paused", as_json=json)


@queues.command()
def resume(scope: Of, name: Name, json: AsJson = False) -> None:
    """End a pause: what has waited is sent."""
    with ledger("queues") as sessions, sessions.begin() as session:
        # A pause may have outlived its queue or kind.
        paused = {pause.name for pause in flow_store.pauses(session) if pause.scope == scope}
        _check(scope, name, sorted({*_KNOWN[scope], *paused}))
        was = flow_store.resume(session, scope, name)
    words = "runs again" if was else "was not paused"
    _tell({"scope": scope, "name": name, "paused": False, "was_paused": was}, f"{scope} {name} {words}", as_json=json)


def _check(scope: Scope, name: str, known: Any) -> None:
    if name not in known:
        raise Failed(f"There is no {scope} {name}; there are: {', '.join(known)}.", 2)


def _tell(facts: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_line(sentence)
