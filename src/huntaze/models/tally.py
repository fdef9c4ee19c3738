"""What a transaction did that somebody counts: told once it is committed, and never if it is not."""

from collections.abc import Callable, Iterable

from sqlalchemy import event
from sqlalchemy.orm import Session

from huntaze.models.database import Sessions

_KEY = "huntaze.tally"

Count = Callable[[str, str], None]


def note(session: Session, what: str, kinds: Iterable[str]) -> None:
    """Jobs of these kinds were `enqueued` or `cancelled` in the session's transaction."""
    session.info.setdefault(_KEY, []).extend((what, kind) for kind in kinds)


def watch(sessions: Sessions, count: Count) -> None:
    """Calls `count(what, kind)` for all that the transactions of these sessions noted, after their commit. To be asked
    for once: whoever counts takes the notes."""

    def committed(session: Session) -> None:
        if not session.in_nested_transaction():  # a savepoint is no commit yet
            for noted in session.info.pop(_KEY, ()):
                count(*noted)

    def rolled_back(session: Session) -> None:
        session.info.pop(_KEY, None)

    event.listen(sessions, "after_commit", committed)
    event.listen(sessions, "after_rollback", rolled_back)
