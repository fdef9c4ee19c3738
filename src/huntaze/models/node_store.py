"""All SQL of the heartbeats."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.models.nodes import Node

HEARTBEAT_S = 5.0
SILENT_S = 4 * HEARTBEAT_S  # after this long without a word a node counts as gone
_FORGET = timedelta(days=1)


@dataclass(frozen=True)
class Heartbeat:
    """A node and how many seconds ago it spoke, by the database's clock."""

    name: str
    process: str
    queues: tuple[str, ...]
    slots: int
    kinds: dict[str, int]
    silent_s: float


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself: `slots` jobs at once, `kinds` {kind: newest argument version}."""

    queues: Sequence[str] = ()
    slots: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)


_NOBODY = Worker()


def beat(session: Session, name: str, process: str, worker: Worker = _NOBODY) -> None:
    """Notes that this node is there."""
    row = {"id": new_id(), "name": name, "process": process, "queues": list(worker.queues)}
    row |= {"slots": worker.slots, "kinds": dict(worker.kinds)}
    statement = insert(Node).values(row)
    session.execute(
        statement.on_conflict_do_update(index_elements=[Node.name], set_={"seen_at": func.clock_timestamp()})
    )


def leave(session: Session, name: str) -> None:
    """The node stopped in good order; whoever left without a word long ago is forgotten too."""
    session.execute(delete(Node).where((Node.name == name) | (Node.seen_at < func.now() - _FORGET)))


def alive(session: Session) -> list[Heartbeat]:
    """The nodes that spoke lately, by process and age."""
    silent = func.extract("epoch", func.clock_timestamp() - Node.seen_at)
    query = select(Node, silent).where(silent < SILENT_S).order_by(Node.process, Node.id)
    return [
        Heartbeat(node.name, node.process, tuple(node.queues), node.slots, node.kinds, float(seconds))
        for node, seconds in session.execute(query)
    ]


@dataclass(frozen=True)
class Capacity:
    """What the living workers of one queue can do together."""

    slots: int
    kinds: dict[str, int]


def capacity(session: Session) -> dict[str, Capacity]:
    """{queue: capacity} of the nodes that are alive."""
    return add_up((node.queues, node.slots, node.kinds) for node in alive(session))


def add_up(nodes: Iterable[tuple[Sequence[str], int, Mapping[str, int]]]) -> dict[str, Capacity]:
    """{queue: capacity} of nodes, each (queues, slots, kinds). One that serves several has all its slots for each."""
    found: dict[str, Capacity] = {}
    for queues, slots, versions in nodes:
        for queue in queues:
            known = found.get(queue, Capacity(0, {}))
            kinds = {**known.kinds}
            for kind, version in versions.items():
                kinds[kind] = max(version, kinds.get(kind, 0))
            found[queue] = Capacity(known.slots + slots, kinds)
    return found
