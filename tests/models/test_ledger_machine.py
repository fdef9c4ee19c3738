"""The ledger against a model: any interleaving of dispatch, claim, finish, crash, rescue, cancel, retry, replay."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import job_claim, job_dispatch, job_enqueue, job_reads, job_rescue, job_settle, job_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_rescue import MAX_CRASHES
from huntaze.models.job_settle import AttemptEnd, CancelRequested, LeaseLost
from huntaze.models.jobs import Job
from huntaze.pipelines.errors import Permanent

MOST = 5  # attempts of a noop
OK = AttemptEnd(stages=[])
ERROR = AttemptEnd(stages=[], error_code="x.y", error_message="It broke.")


@dataclass
class Modelled:
    """What the row must say."""

    state: str = "waiting"
    attempt: int = 0
    errors: int = 0
    crashes: int = 0
    cancel_asked: bool = False
    effects: int = 0


class Ledger(RuleBasedStateMachine):
    """Every token (job, attempt) that was ever given out stays in `tokens`: holders that lost the row try on."""

    jobs = Bundle("jobs")
    tokens = Bundle("tokens")

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self.sessions = sessions
        self.model: dict[uuid.UUID, Modelled] = {}
        self.turns = Turns()
        with sessions.begin() as session:
            session.execute(text("TRUNCATE jobs, job_attempts, events CASCADE"))
            session.execute(text("CREATE TABLE IF NOT EXISTS test_effects (job_id uuid)"))
            session.execute(text("TRUNCATE test_effects"))

    @precondition(lambda self: len(self.model) < 3)  # few jobs, much happening to each
    @rule(target=jobs, key=st.sampled_from("abc"), priority=st.integers(-1, 1))
    def enqueue(self, key: str, priority: int) -> uuid.UUID:
        with self.sessions.begin() as session:
            job = job_enqueue.enqueue(session, Noop(), flow_key=key, priority=priority).job
        self.model[job.id] = Modelled()
        return job.id

    @rule(room=st.integers(0, 4))
    def dispatch(self, room: int) -> None:
        with self.sessions.begin() as session:
            job_dispatch.promote(session)
            taken = job_dispatch.take_due(session, "default", room, {"noop": 1}, self.turns)
        assert len(taken.hints) <= room
        for hint in taken.hints:
            assert self.model[hint.job_id].state == "waiting"
            self.model[hint.job_id].state = "queued"

    @rule(job_id=jobs)
    def lose_the_broker(self, job_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            again = {hint.job_id for hint in job_dispatch.take_overdue(session, "default", 0)}
        assert again == {id for id, one in self.model.items() if one.state == "queued"}

    @rule(target=tokens, job_id=jobs)
    def start(self, job_id: uuid.UUID) -> object:
        self.dispatch(4)
        return self.claim(job_id)

    @rule(target=tokens, job_id=jobs)
    def claim(self, job_id: uuid.UUID) -> object:
        modelled = self.model[job_id]
        with self.sessions.begin() as session:
            job = job_claim.claim(session, job_id, "node/1", 60)
        assert (job is not None) == (modelled.state == "queued"), "a duplicate message finds nothing"
        if job is None:
            return multiple()
        modelled.state, modelled.attempt = "running", modelled.attempt + 1
        assert job.attempt == modelled.attempt
        return job_id, modelled.attempt

    def _settle(self, token: tuple[uuid.UUID, int], action: Callable[[Session], Job]) -> Modelled | None:
        """Runs the action, which must succeed exactly for the holder of the row; returns what to change."""
        modelled = self.model[token[0]]
        holds = modelled.state == "running" and modelled.attempt == token[1]
        try:
            with self.sessions.begin() as session:
                action(session)
                session.execute(text("INSERT INTO test_effects VALUES (:id)"), {"id": token[0]})
        except LeaseLost:
            assert not holds
            return None
        except CancelRequested:
            assert holds
            assert modelled.cancel_asked
            return None
        assert holds
        modelled.effects += 1
        return modelled

    @rule(token=tokens)
    def succeed(self, token: tuple[uuid.UUID, int]) -> None:
        if modelled := self._settle(token, lambda session: job_settle.succeed(session, *token, OK)):
            assert not modelled.cancel_asked
            modelled.state = "succeeded"

    @rule(token=tokens)
    def fail(self, token: tuple[uuid.UUID, int]) -> None:
        if modelled := self._settle(token, lambda session: job_settle.fail(session, *token, ERROR)):
            modelled.state, modelled.errors = "failed", modelled.errors + 1

    @rule(token=tokens)
    def retry(self, token: tuple[uuid.UUID, int]) -> None:
        if modelled := self._settle(token, lambda session: job_settle.retry_later(session, *token, ERROR, 0)):
            modelled.errors += 1
            over = modelled.errors >= MOST
            modelled.state = "cancelled" if modelled.cancel_asked else "failed" if over else "waiting"

    @rule(token=tokens)
    def snooze(self, token: tuple[uuid.UUID, int]) -> None:
        if modelled := self._settle(token, lambda session: job_settle.snooze(session, *token, OK, 0)):
            modelled.state = "cancelled" if modelled.cancel_asked else "waiting"

    @rule(token=tokens)
    def stop_cancelled(self, token: tuple[uuid.UUID, int]) -> None:
        if modelled := self._settle(token, lambda session: job_settle.stop_cancelled(session, *token, OK)):
            modelled.state = "cancelled"

    @rule(token=tokens)
    def renew(self, token: tuple[uuid.UUID, int]) -> None:
        modelled = self.model[token[0]]
        with self.sessions.begin() as session:
            seen = job_settle.renew(session, {token[0]: token[1]}, 60)
        holds = modelled.state == "running" and modelled.attempt == token[1]
        assert seen == ({token[0]: modelled.cancel_asked} if holds else {})

    @rule(job_id=jobs)
    def crash(self, job_id: uuid.UUID) -> None:
        modelled = self.model[job_id]
        with self.sessions.begin() as session:
            expire = "UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = :id AND state = 'running'"
            session.execute(text(expire), {"id": job_id})
        with self.sessions.begin() as session:
            rescued = [job.id for job in job_rescue.rescue(session)]
        assert rescued == ([job_id] if modelled.state == "running" else [])
        if rescued:
            modelled.crashes += 1
            over = modelled.crashes >= MAX_CRASHES
            modelled.state = "cancelled" if modelled.cancel_asked else "failed" if over else "waiting"

    @rule()
    def stop_the_node(self) -> None:
        with self.sessions.begin() as session:
            back = set(job_settle.hand_back(session, "node"))
        assert back == {id for id, one in self.model.items() if one.state == "running"}
        for job_id in back:
            self.model[job_id].state = "cancelled" if self.model[job_id].cancel_asked else "waiting"

    @rule(job_id=jobs)
    def cancel(self, job_id: uuid.UUID) -> None:
        modelled = self.model[job_id]
        with self.sessions.begin() as session:
            job_store.cancel(session, job_id)
        if modelled.state in ("waiting", "queued"):
            modelled.state, modelled.cancel_asked = "cancelled", True
        elif modelled.state == "running":
            modelled.cancel_asked = True

    @rule(job_id=jobs)
    def replay(self, job_id: uuid.UUID) -> None:
        modelled = self.model[job_id]
        try:
            with self.sessions.begin() as session:
                job_store.replay(session, job_id)
        except Permanent:
            assert modelled.state != "failed"
            return
        assert modelled.state == "failed"
        modelled.state, modelled.errors, modelled.crashes, modelled.cancel_asked = "waiting", 0, 0, False

    @invariant()
    def the_rows_say_what_the_model_says(self) -> None:
        with self.sessions() as session:
            for job in job_reads.search(session, limit=1000):
                modelled = self.model[job.id]
                seen = (job.state, job.attempt, job.errors, job.crashes, job.cancel_requested_at is not None)
                wanted = (
                    *(modelled.state, modelled.attempt, modelled.errors, modelled.crashes),
                    modelled.cancel_asked,
                )
                assert seen == wanted
                attempts = job_store.attempts_of(session, job.id)
                assert [attempt["attempt"] for attempt in attempts] == list(range(1, job.attempt + 1))
                open_attempts = [attempt["attempt"] for attempt in attempts if attempt["outcome"] is None]
                assert open_attempts == ([job.attempt] if job.state == "running" else [])
            effects = session.execute(text("SELECT job_id, count(*) FROM test_effects GROUP BY job_id")).all()
            assert dict(map(tuple, effects)) == {id: one.effects for id, one in self.model.items() if one.effects}


def test_any_interleaving_keeps_the_invariants(sessions: Sessions) -> None:
    thorough = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    try:
        run_state_machine_as_test(lambda: Ledger(sessions), settings=thorough)  # type: ignore[no-untyped-call]
    finally:
        with sessions.begin() as session:
            session.execute(text("DROP TABLE IF EXISTS test_effects"))
