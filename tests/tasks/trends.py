"""A fleet of one for scraping: the real ledger, jobs run here one after the other, the vendor in memory."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from huntaze.clients.apify.twin import MemoryActorRunner
from huntaze.models import job_dispatch, scrape_budget, trend_run_store, trend_source_store
from huntaze.models.database import Sessions
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_kinds import KINDS
from huntaze.models.scrape_budget import Spend
from huntaze.models.trend_sources import TrendRun, TrendSource
from huntaze.pipelines.trends.posts.sources import SourceSpec
from huntaze.worker.base import run_job
from huntaze.worker.runtime import Runtime

KEYS_TEXT = "1:" + "6b" * 16
KNOWN = {name: kind.args.version for name, kind in KINDS.items()}
CAP = 10_000_000
CHARGE = 500_000


def video(number: int, **fields: Any) -> dict[str, Any]:
    """A row as TikTok's actor writes them."""
    told = {"text": f"clip {number} #tag", "createTime": 1774878892 + number, "authorMeta": {"name": f"user{number}"}}
    return {"id": str(7_000_000_000 + number), **told, "diggCount": number, "playCount": 10 * number, **fields}


@dataclass
class Fleet:
    """`turn` runs what is due, and what is due later too: nobody waits here."""

    runtime: Runtime
    actors: MemoryActorRunner

    @property
    def sessions(self) -> Sessions:
        return self.runtime.sessions

    def source(self, creator_id: uuid.UUID | None = None, **fields: Any) -> TrendSource:
        with self.sessions.begin() as session:
            return trend_source_store.create(session, SourceSpec("tiktok", **{"query": "#ootd", **fields}), creator_id)

    def plan(self, source: TrendSource, cap: int = CAP) -> TrendRun:
        with self.sessions.begin() as session:
            held = trend_source_store.hold_own(session, source.id, None)
            assert held is not None
            return trend_source_store.plan_now(session, held, cap)

    def turn(self, times: int = 1) -> list[str]:
        """The states of the jobs that ran, of the last turn."""
        states: list[str] = []
        for _ in range(times):
            with self.sessions.begin() as session:
                session.execute(
                    text("UPDATE jobs SET run_at = clock_timestamp(), ready = true WHERE state = 'waiting'")
                )
                hints = job_dispatch.take_due(session, "default", 100, KNOWN, Turns()).hints
            ends = [run_job(self.runtime, "here", hint.kind, hint.job_id) for hint in hints]
            states = ["lost" if end is None else str(end.state) for end in ends]
        return states

    def run(self, run: TrendRun) -> TrendRun:
        with self.sessions() as session:
            return trend_run_store.load(session, run.id)[0]

    def spend(self) -> Spend:
        with self.sessions() as session:
            return scrape_budget.spend(session)

    def with_apify(self, **changes: Any) -> None:
        apify = self.runtime.settings.apify.model_copy(update=changes)
        self.runtime = replace(self.runtime, settings=self.runtime.settings.model_copy(update={"apify": apify}))
