"""What the trial does beside its own kinds of jobs: the product's billing, webhooks and AI budget, as they are."""

import asyncio
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models.database import Sessions
from huntaze.models.job_args import AiSweep, EventsPlace
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.models.job_store import db_now
from tests.chaos import billing, hooks, spending
from tests.chaos.billing import Books
from tests.chaos.checks import Violation
from tests.chaos.hooks import Hooks
from tests.chaos.load import Load
from tests.chaos.outside import OutsideWorld
from tests.chaos.spending import Purse

_JOBS_A_SUBSCRIPTION, _SUBSCRIPTIONS_MOST, _SUBSCRIPTIONS_LEAST = 50, 200, 7


def environment(url: str) -> dict[str, str]:
    """Of the fleet; `url`: the outside world's."""
    return {**billing.environment(url), **hooks.environment(), **spending.environment(url)}


# Minutes pass: what was to be tried again much later is due. Nobody has to be waited for but the money.
_HURRY = text("""
    WITH late AS (
        UPDATE jobs SET run_at = clock_timestamp(), ready = true
        WHERE state = 'waiting' AND run_at > clock_timestamp() + interval '15 s'
        RETURNING id
    ), deliveries AS (
        UPDATE webhook_deliveries SET next_attempt_at = NULL WHERE next_attempt_at IS NOT NULL
    ), endpoints AS (
        UPDATE webhook_endpoints SET throttled_until = NULL WHERE throttled_until IS NOT NULL
    )
    SELECT count(*) FROM late
""")
# And so do the leases of the calls of models, whose callers are all dead by then.
_EXPIRE = text("UPDATE usage_logs SET lease_until = clock_timestamp() WHERE settled_at IS NULL")
_REDONE = text("SELECT (args ->> 'event_id')::uuid FROM jobs WHERE kind = 'webhooks.deliver' AND id = ANY(:replayed)")


@dataclass
class Domains:
    """All three. `figures`: what `check` counted."""

    books: Books
    hooks: Hooks
    purse: Purse
    figures: dict[str, int] = field(default_factory=dict)
    _calls: int = 0

    @classmethod
    def of(
        cls, sessions: Sessions, outside: OutsideWorld, seed: int, jobs: int, asks: int, seconds: float
    ) -> "Domains":
        """With the outside world behind them. `jobs`, `asks`: how many jobs there will be, and questions among them."""
        subscriptions = min(_SUBSCRIPTIONS_MOST, max(_SUBSCRIPTIONS_LEAST, jobs // _JOBS_A_SUBSCRIPTION))
        made = cls(
            Books(sessions, seed, subscriptions, seconds), Hooks(sessions, outside.url), Purse(sessions, asks, seconds)
        )
        outside.answers["/v1/payment_intents"] = made.books.cashier.reply
        outside.answers[hooks.PATH] = made.hooks.reply
        outside.answers[spending.PATH] = made.purse.vendor.reply
        return made

    def prepare(self, load: Load) -> None:
        """Before the first job and the first fault."""
        self.hooks.prepare(load.creators)
        self.purse.prepare(load.creators)
        self.books.prepare()

    async def run(self) -> None:
        """While the faults happen."""
        await asyncio.gather(self.books.run(), self.purse.run())

    def hurry(self, session: Session) -> int:
        """Lets time pass; returns how many jobs that made due."""
        return int(session.execute(_HURRY).scalar_one())

    def last_call(self, session: Session) -> None:
        """What the schedule would do in the next minutes: the nets under billing, webhooks and the budget."""
        self._calls += 1
        session.execute(_EXPIRE)
        now = db_now(session)
        nets = (AiSweep(slot=now), EventsPlace(slot=now))
        enqueue_many(session, [NewJob(one, dedupe_key=f"chaos-{one.kind}-{self._calls}") for one in nets])
        self.books.last_call(session, self._calls)

    def check(self, session: Session, replayed: Collection[uuid.UUID]) -> list[Violation]:
        """All that is wrong."""
        found: list[Violation] = []
        billed, wrong = self.books.check(session)
        found += wrong
        redone = set(session.scalars(_REDONE, {"replayed": list(replayed)}))
        told, wrong = self.hooks.check(session, redone)
        found += wrong
        spent, wrong = self.purse.check(session)
        self.figures = {**billed, **told, **spent}
        return [*found, *wrong]
