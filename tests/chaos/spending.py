"""The AI budget under the trial: a limit that is used up on the way, and a model whose bill is known.

A trigger looks at every change of the sums, so that no moment at which a limit was passed is overlooked.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import ai_limits
from huntaze.models.ai_ledger import LIMIT
from huntaze.models.database import Sessions
from huntaze.pipelines.ai.budget import TOTAL, Scope
from tests.chaos.checks import Violation
from tests.chaos.load import persist
from tests.chaos.outside import Reply, Request

PATH = "/v1/chat/completions"
_INPUT, _OUTPUT = 1, 2  # micro-USD a token
_TIMEOUT_S, _THOUGHT_S = 5.0, 0.4
_COST, _BOUND = 150, 320  # of a question, about
_TOP_UP_S = 4.0
_PLENTY = 1_000_000_000
# Of the calls: paid and then silent, refused though paid, and without any end.
_DUMB, _ILL, _HANGS = 9, 13, 23

WATCH = f"""
    CREATE TABLE chaos_overspent (scope text NOT NULL, used bigint NOT NULL, most bigint NOT NULL);
    CREATE FUNCTION chaos_look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO chaos_overspent
        SELECT scope, used, most FROM (
            SELECT scope, used, {LIMIT} AS most
            FROM (SELECT NEW.scope AS scope, NEW.reserved_micro_usd + NEW.settled_micro_usd AS used) AS now
            LEFT JOIN ai_limits USING (scope)
        ) AS looked WHERE used > most;
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_look AFTER INSERT OR UPDATE ON ai_spend FOR EACH ROW EXECUTE FUNCTION chaos_look();
"""


def environment(url: str) -> dict[str, str]:
    """Of the fleet: the model is at `url`."""
    return {
        "HUNTAZE_AI_BASE_URL": f"{url}/v1",
        "HUNTAZE_AI_INPUT_MICRO_USD_PER_MILLION": str(1_000_000 * _INPUT),
        "HUNTAZE_AI_OUTPUT_MICRO_USD_PER_MILLION": str(1_000_000 * _OUTPUT),
        "HUNTAZE_AI_TIMEOUT_S": str(_TIMEOUT_S),
    }


@dataclass
class Vendor:
    """A model's server. `billed`: what it will ask for, in micro-USD; also for what it never answered."""

    calls: int = 0
    billed: int = 0

    async def reply(self, request: Request) -> Reply | None:
        self.calls += 1
        call = self.calls
        asked = json.loads(request.body)
        sent = sum(len(message["content"]) for message in asked["messages"]) // 4
        usage = {"prompt_tokens": sent, "completion_tokens": asked["max_tokens"]}
        self.billed += _INPUT * sent + _OUTPUT * asked["max_tokens"]
        if call % _HANGS == 0:
            await asyncio.sleep(2 * _TIMEOUT_S)
        await asyncio.sleep(_THOUGHT_S)
        if call % _DUMB == 0:
            return None
        if call % _ILL == 0:
            return Reply(500)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "So it is."}}
        return Reply(200, json.dumps({"model": asked["model"], "choices": [choice], "usage": usage}).encode())


@dataclass
class Purse:
    """`asks`: how many questions there will be. The money comes in bits, each of which wakes all that wait for it, and
    is enough for less than half of them until `fill`."""

    sessions: Sessions
    asks: int
    seconds: float
    vendor: Vendor = field(default_factory=Vendor)
    limits: dict[Scope, int] = field(default_factory=dict)
    used_up: int = 0  # calls that were refused before `fill`

    def prepare(self, creators: Sequence[uuid.UUID]) -> None:
        """Limits of the whole, of the role and of one creator."""
        most = max(self.asks * _COST // 2, 2 * _BOUND)
        self.limits = {
            TOTAL: most,
            Scope("role", "generate"): most - _COST // 2,
            Scope("creator", str(creators[0])): max(most // (2 * len(creators)), _BOUND),
        }
        self._put(self._part(0.0))

    async def run(self) -> None:
        """Raises the limits bit by bit while the faults happen."""
        start = time.monotonic()
        while (past := time.monotonic() - start) < self.seconds:
            part = self._part(past / self.seconds)
            await persist(lambda part=part: self._put(part))  # type: ignore[misc]
            await asyncio.sleep(_TOP_UP_S)

    def _part(self, share: float) -> dict[Scope, int]:
        return {scope: max(round(most * share), min(most, 2 * _BOUND)) for scope, most in self.limits.items()}

    def look(self) -> bool:
        """Whether it was used up, and more than by chance."""
        with self.sessions() as session:
            self.used_up = session.execute(_REFUSED).scalar_one()
        return self.used_up > self.asks // 4

    def fill(self) -> None:
        """As an operator does who sees that jobs wait for money: they go on."""
        self._put(dict.fromkeys(self.limits, _PLENTY))

    def _put(self, limits: dict[Scope, int]) -> None:
        with self.sessions.begin() as session:
            for scope, most in limits.items():
                ai_limits.put(session, scope, most)

    def check(self, session: Session) -> tuple[dict[str, int], list[Violation]]:
        """Figures, and what is wrong. To be asked when no call is under way, and after a sweep."""
        over = session.execute(text("SELECT scope, used, most FROM chaos_overspent")).all()
        found = [
            Violation("wrong", None, f"AI budget: {row.used} of {row.most} micro-USD of {row.scope} spent")
            for row in over
        ]
        left = session.execute(_LEFT).one()
        if left.open or left.reserved:
            found.append(
                Violation("stuck", None, f"AI budget: {left.open} reservations are left, of {left.reserved} micro-USD")
            )
        told = session.execute(_TOLD).one()
        if told.calls < self.vendor.calls or told.cost < self.vendor.billed:
            what = f"AI budget: {told.calls} calls of {told.cost} micro-USD in the books"
            found.append(Violation("lost", None, f"{what}, {self.vendor.calls} of {self.vendor.billed} made"))
        if left.settled != told.cost:
            found.append(
                Violation("wrong", None, f"AI budget: {left.settled} micro-USD settled, by the calls {told.cost}")
            )
        if self.asks and not self.used_up:
            found.append(Violation("wrong", None, "AI budget: it was never used up, so nothing was tried"))
        overspent = max((row.used - row.most for row in over), default=0)
        figures = {"ai_calls": self.vendor.calls, "ai_refused": self.used_up, "ai_swept": told.swept}
        return figures | {"overspent_micro_usd": overspent}, found


_REFUSED = text("SELECT count(*) FROM usage_logs WHERE outcome = 'budget'")
_LEFT = text("""
    SELECT (SELECT count(*) FROM usage_logs WHERE settled_at IS NULL) AS open,
           coalesce(sum(reserved_micro_usd), 0)::bigint AS reserved,
           coalesce(sum(settled_micro_usd) FILTER (WHERE scope = 'total'), 0)::bigint AS settled
    FROM ai_spend
""")
_TOLD = text("""
    SELECT count(*) FILTER (WHERE outcome <> 'budget' AND NOT cache_hit) AS calls,
           count(*) FILTER (WHERE outcome = 'lost') AS swept,
           coalesce(sum(cost_micro_usd), 0)::bigint AS cost FROM usage_logs
""")
