"""The gateway's budget, kept in the ledger: the money is there before a call is made, whoever dies."""

import threading
import time
from collections.abc import Iterable

from sqlalchemy import Connection, Engine

from huntaze.logs import logger
from huntaze.models import ai_ledger
from huntaze.models.ai_ledger import Warned
from huntaze.models.database import DatabaseAway, Sessions
from huntaze.pipelines.ai.calls import Ask, Used

_log = logger(__name__)

_FRESH_S = 10.0  # a pressure seen so lately is not asked for again


class BudgetLedger:
    """Each call is a unit of work of its own, committed when it returns: the gateway has no transaction, and no row
    may stay locked while a model thinks. Safe to share between threads.

    `sessions`: only their connections are used.
    """

    def __init__(self, sessions: Sessions) -> None:
        engine = sessions.kw["bind"]
        assert isinstance(engine, Engine)
        self._engine = engine
        self._lock = threading.Lock()
        self._pressures: dict[str, tuple[float, float]] = {}  # role: (share, monotonic time)

    def _statements(self) -> Connection:
        """A connection that commits each statement. Said to the connection, as the engine may have been told otherwise,
        and then another option of the engine does not take: what was reserved would be rolled back without a word."""
        connection = self._engine.connect()
        if getattr(connection.connection.driver_connection, "autocommit", False):
            return connection  # by its engine; to say it again takes time
        return connection.execution_options(isolation_level="AUTOCOMMIT")

    def reserve(self, ask: Ask) -> None:
        """Raises BudgetExhausted where the bound does not fit into every limit of the call, and one of DatabaseAway:
        without the ledger nothing is spent."""
        with self._statements() as connection:
            pressure = ai_ledger.reserve(connection, ask)
        self._saw(ask.role, pressure)

    def settle(self, ask: Ask, used: Used) -> None:
        """Frees the reservation and charges the cost. Where the database is away the answer is not lost with it: the
        reservation stands, and is swept up at its full bound."""
        try:
            with self._statements() as connection:
                warned = ai_ledger.settle(connection, ask.request_id, used)
        except DatabaseAway:
            _log.warning("usage not settled: the database is away", request_id=str(ask.request_id))
            return
        if warned is None:
            _log.warning("usage settled before, or never reserved", request_id=str(ask.request_id))
        tell(warned or ())
        if used.cost_micro_usd is not None and used.cost_micro_usd > ask.bound_micro_usd:
            # Charged in full; the limit can be passed by as much, so somebody has to look.
            over = {"bound_micro_usd": ask.bound_micro_usd, "cost_micro_usd": used.cost_micro_usd}
            _log.error("a call cost more than its bound", deployment=used.deployment, role=ask.role, **over)

    def note(self, ask: Ask, used: Used) -> None:
        """A row of usage for what cost nothing; none where the database is away."""
        try:
            with self._statements() as connection:
                ai_ledger.note(connection, ask, used)
        except DatabaseAway:
            _log.warning("usage not noted: the database is away", request_id=str(ask.request_id))

    def pressure(self, role: str) -> float:
        """The largest share (0..1) that is spent or reserved of the limits that this role falls under, creators'
        own left out; up to ten seconds old."""
        with self._lock:
            share, at = self._pressures.get(role, (0.0, float("-inf")))
        if time.monotonic() - at > _FRESH_S:
            with self._statements() as connection:
                share = ai_ledger.pressure(connection, role)
            self._saw(role, share)
        return share

    def _saw(self, role: str, pressure: float) -> None:
        with self._lock:
            self._pressures[role] = (pressure, time.monotonic())


def tell(warned: Iterable[Warned]) -> None:
    """A line in the log for each."""
    for one in warned:
        facts = {"spent_micro_usd": one.settled_micro_usd, "limit_micro_usd": one.limit_micro_usd}
        _log.warning("AI budget nearly spent", scope=one.scope, percent=one.percent, **facts)
