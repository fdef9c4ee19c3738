"""`python -m tests.acceptance.biller SLOT [POINT]`: bills in small batches what is due, and is killed in the first."""

import os
import signal
import sys
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, event

from huntaze.models import billing_run
from huntaze.models.billing_run import RunPolicy
from huntaze.models.database import build_engine, build_sessions
from huntaze.settings import load

NAME, BATCH = "biller", 10
# What is about to be done when the process dies, in the order of a batch.
STATEMENTS = {
    "usage marked": "UPDATE billing_items",
    "number taken": "INSERT INTO invoices",
}
POINTS = (*STATEMENTS, "before the commit", "after the commit")


def die_at(engine: Engine, point: str) -> None:
    """Not an exception, which would roll back: the kernel ends the process, and the server finds nobody there."""

    def statement(_conn: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if STATEMENTS[point] in sql:
            os.kill(os.getpid(), signal.SIGKILL)

    if point in STATEMENTS:
        event.listen(engine, "before_cursor_execute", statement)
    elif point == "before the commit":
        event.listen(engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))


def main(slot: str, point: str = "") -> None:
    engine = build_engine(load().database.sqlalchemy_url, pool_size=1, application=NAME)
    sessions = build_sessions(engine)
    die_at(engine, point)
    claimed = 1
    while claimed:
        with sessions.begin() as session:
            claimed = billing_run.bill_batch(session, datetime.fromisoformat(slot), RunPolicy(BATCH)).claimed
        if point == "after the commit":
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
