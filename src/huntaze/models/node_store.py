"""All SQL of the heartbeats."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    silent_s: float


def beat(session: Session, name: str, process: str, queues: Sequence[str] = ()) -> None:
    """Notes that this node is there."""
    row = {"id": new_id(), "name": name, "process": process, "queues": list(queues)}
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
        Heartbeat(node.name, node.process, tuple(node.queues), float(seconds))
        for node, seconds in session.execute(query)
    ]
