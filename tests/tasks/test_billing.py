"""The handlers of billing and payments, called as plain functions: real ledger, the embedded gateway."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.clients.payments.embedded import EmbeddedGateway
from huntaze.models import billing_credit, job_claim, job_dispatch, job_enqueue, payment_inbox, plan_store
from huntaze.models.ai_usage import UsageLog
from huntaze.models.base import new_id
from huntaze.models.billing_invoices import Receivable
from huntaze.models.billing_ledger import BillingAudit as Audit
from huntaze.models.billing_meters import AI_COST, STORAGE, VIDEOS
from huntaze.models.billing_payments import InboxMessage, PaymentAttempt
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_subscriptions import UsageRecord
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions
from huntaze.models.job_args import (
    BillingAudit,
    BillingCollect,
    BillingMeter,
    BillingPart,
    BillingRun,
    JobArgs,
    PaymentCharge,
    PaymentNotice,
    PaymentRefund,
)
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job, JobState
from huntaze.models.plan_store import NewPrice
from huntaze.models.users import User
from huntaze.pipelines.billing.pricing import PerUnit
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.settings import Settings
from huntaze.tasks import billing, payments
from huntaze.tasks.context import JobContext
from tests.models.billing_kit import START, balances, day, invoices, run, subscribe

KNOWN = {name: kind.args.version for name, kind in KINDS.items()}


@pytest.fixture
def gateway() -> EmbeddedGateway:
    return EmbeddedGateway()


Claim = Callable[[JobArgs | Job], JobContext]


@pytest.fixture
def claim(sessions: Sessions, settings: Settings, gateway: EmbeddedGateway) -> Claim:
    """The context of a job: one that is there, or a new one."""

    def begin(wanted: JobArgs | Job) -> JobContext:
        with sessions.begin() as session:
            job = wanted if isinstance(wanted, Job) else job_enqueue.enqueue(session, wanted).job
            job_dispatch.promote(session)
            job_dispatch.take_due(session, "default", 100, KNOWN, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        clients = Clients(MemoryObjectStore(), SimpleNamespace(), payments=gateway)  # type: ignore[arg-type]
        return JobContext(held, sessions, clients, SimpleNamespace(lost=False, cancelled=False), settings)

    return begin


def result(ctx: JobContext) -> dict[str, object]:
    with ctx.sessions() as session:
        job = session.get_one(Job, ctx.job.id)
    assert job.state == JobState.SUCCEEDED
    return job.result or {}


def waiting(sessions: Sessions, kind: type[JobArgs]) -> list[Job]:
    with sessions() as session:
        query = select(Job).where(Job.kind == kind.kind, Job.state.in_(("waiting", "queued"))).order_by(Job.id)
        return list(session.scalars(query))


def attempts(sessions: Sessions) -> list[tuple[int, str]]:
    with sessions() as session:
        found = session.scalars(select(PaymentAttempt).order_by(PaymentAttempt.number))
        return [(one.number, one.state) for one in found]


def owed(sessions: Sessions) -> Receivable:
    with sessions() as session:
        return session.scalars(select(Receivable)).one()


def test_a_slot_is_billed_collected_and_audited(sessions: Sessions, creator: User, claim: Claim) -> None:
    subscribe(sessions, creator, method="ok")
    ctx = claim(BillingRun(slot=START))
    billing.run_billing(ctx, BillingRun(slot=START))
    assert result(ctx) == {"due": 1, "held": 0, "parts": 1}
    (part,) = waiting(sessions, BillingPart)
    ctx = claim(part)
    billing.bill_part(ctx, BillingPart(slot=START, part=0))
    assert result(ctx)["invoices"] == 1
    for found in (1, 1):  # the second collection finds the first one's job in its place
        ctx = claim(BillingCollect(slot=START))
        billing.collect(ctx, BillingCollect(slot=START))
        assert result(ctx) == {"charges": found, "refunds": 0}
    (charge,) = waiting(sessions, PaymentCharge)
    ctx = claim(charge)
    payments.charge_invoice(ctx, PaymentCharge.model_validate(charge.args))
    assert result(ctx) == {"attempt": 1, "outcome": "paid"}
    assert balances(sessions) == {"receivable": 0, "revenue": -2000, "cash": 2000}
    ctx = claim(BillingAudit(slot=START))
    billing.audit_books(ctx, BillingAudit(slot=START))
    assert result(ctx) == {"invoices": 1, "entries": 4, "differences": 0}


def test_a_part_goes_on_in_another_job(
    sessions: Sessions, creator: User, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(sessions, creator)
    monkeypatch.setattr(billing, "BUDGET_S", 0.0)
    args = BillingPart(slot=START, part=0)
    ctx = claim(args)
    billing.bill_part(ctx, args)
    assert result(ctx)["more"] is True
    assert len(waiting(sessions, BillingPart)) == 1


def test_who_is_held_is_said(sessions: Sessions, creator: User, claim: Claim) -> None:
    row = subscribe(sessions, creator)
    args = BillingPart(slot=day(2026, 1, 1), part=0)
    ctx = claim(args)
    billing.bill_part(ctx, args)
    assert (result(ctx)["held"], result(ctx)["held_first"]) == (1, [str(row.id)])


def charging(sessions: Sessions, creator: User, method: str) -> PaymentCharge:
    subscribe(sessions, creator, method=method)
    run(sessions, START)
    return PaymentCharge(slot=START, invoice_id=invoices(sessions)[0].id)


def test_no_answer_is_asked_again_with_the_same_key(
    sessions: Sessions, creator: User, claim: Claim, gateway: EmbeddedGateway
) -> None:
    args = charging(sessions, creator, "unknown;ok")
    with pytest.raises(Transient, match=r"payments\.unknown"):
        payments.charge_invoice(claim(args), args)
    assert attempts(sessions) == [(1, "unknown")]
    with sessions.begin() as session:
        session.execute(text("DELETE FROM job_attempts; DELETE FROM jobs"))
    payments.charge_invoice(claim(args), args)
    assert attempts(sessions) == [(1, "succeeded")]
    assert list(gateway.moved.values()) == [2000]


def test_a_process_that_dies_after_the_call_charges_once(
    sessions: Sessions, creator: User, claim: Claim, gateway: EmbeddedGateway
) -> None:
    args = charging(sessions, creator, "ok")
    ctx = claim(args)
    with sessions.begin() as session:
        session.execute(text("UPDATE jobs SET attempt = attempt + 1"))  # somebody else has the job by now
    with pytest.raises(Exception, match=str(ctx.job.id)):
        payments.charge_invoice(ctx, args)
    assert attempts(sessions) == [(1, "started")]
    with sessions.begin() as session:
        session.execute(text("DELETE FROM job_attempts; DELETE FROM jobs"))
    payments.charge_invoice(claim(args), args)
    assert (attempts(sessions), list(gateway.moved.values())) == ([(1, "succeeded")], [2000])


def test_a_gateway_that_refuses_us_is_left_alone(
    sessions: Sessions, creator: User, claim: Claim, gateway: EmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = charging(sessions, creator, "ok")

    def refuse(*_: object) -> None:
        raise Permanent("payments.refused", "The key is wrong.")

    monkeypatch.setattr(gateway, "charge", refuse)
    with pytest.raises(Permanent, match=r"payments\.refused"):
        payments.charge_invoice(claim(args), args)
    assert owed(sessions).next_attempt_at == START + payments.REFUSED_FOR
    assert attempts(sessions) == [(1, "started")]


def test_a_decline_waits_for_the_schedule(sessions: Sessions, creator: User, claim: Claim) -> None:
    args = charging(sessions, creator, "1*decline;ok")
    payments.charge_invoice(claim(args), args)
    assert (attempts(sessions), owed(sessions).next_attempt_at) == ([(1, "declined")], START + timedelta(days=2))
    early = claim(args)
    payments.charge_invoice(early, args)
    assert attempts(sessions) == [(1, "declined")], "nothing is asked before its time"
    later = PaymentCharge(slot=START + timedelta(days=2), invoice_id=args.invoice_id)
    with sessions.begin() as session:
        session.execute(text("DELETE FROM job_attempts; DELETE FROM jobs"))  # the worker would have ended it
    payments.charge_invoice(claim(later), later)
    assert attempts(sessions) == [(1, "declined"), (2, "succeeded")]


def intent(args: PaymentCharge, status: str, attempt: int = 1) -> dict[str, object]:
    metadata = {"invoice_id": str(args.invoice_id), "attempt": str(attempt)}
    return {
        "id": f"evt_{status}",
        "type": "payment_intent.succeeded" if status == "succeeded" else "payment_intent.payment_failed",
        "data": {"object": {"id": "pi_1", "status": status, "metadata": metadata}},
    }


def test_notices_are_stored_once_and_settle(sessions: Sessions, creator: User, claim: Claim) -> None:
    args = charging(sessions, creator, "action")
    payments.charge_invoice(claim(args), args)
    assert attempts(sessions) == [(1, "requires_action")]
    for status in ("succeeded", "requires_payment_method"):  # the failure comes after the success it preceded
        event = intent(args, status)
        with sessions.begin() as session:
            assert payment_inbox.receive(session, "stripe", str(event["id"]), str(event["type"]), event)
            assert not payment_inbox.receive(session, "stripe", str(event["id"]), str(event["type"]), event)
    for told in waiting(sessions, PaymentNotice):
        payments.read_notice(claim(told), PaymentNotice.model_validate(told.args))
    assert (attempts(sessions), owed(sessions).state) == ([(1, "succeeded")], "paid")
    with sessions() as session:
        assert sorted(session.scalars(select(InboxMessage.outcome))) == ["over before", "paid"]


def test_a_dispute_is_booked_from_the_inbox(sessions: Sessions, creator: User, claim: Claim) -> None:
    args = charging(sessions, creator, "ok")
    payments.charge_invoice(claim(args), args)
    with sessions.begin() as session:
        session.execute(text("UPDATE payment_attempts SET gateway = 'stripe'; UPDATE payments SET reference = 'pi_1'"))
        taken = {"id": "txn_1", "amount": -2000, "fee": 1500, "currency": "eur"}
        dispute = {"id": "du_1", "amount": 2000, "currency": "eur", "reason": "general", "payment_intent": "pi_1"}
        dispute |= {"status": "lost", "balance_transactions": [taken]}
        event = {"type": "charge.dispute.closed", "created": 1_760_000_000, "data": {"object": dispute}}
        payment_inbox.receive(session, "stripe", "evt_1", "charge.dispute.closed", event)
    (told,) = waiting(sessions, PaymentNotice)
    payments.read_notice(claim(told), PaymentNotice.model_validate(told.args))
    assert balances(sessions) == {"receivable": 0, "revenue": -2000, "cash": -1500, "dispute": 3500}
    with sessions() as session:
        assert session.scalars(select(InboxMessage.outcome)).one() == "lost, 2 movements booked"


def test_a_refund_is_asked_for_and_settled(
    sessions: Sessions, creator: User, claim: Claim, gateway: EmbeddedGateway
) -> None:
    args = charging(sessions, creator, "ok")
    payments.charge_invoice(claim(args), args)
    with sessions.begin() as session:
        billing_credit.credit_note(session, args.invoice_id, 500, reason="sorry", source_key="n", at=START, refund=True)
    ctx = claim(BillingCollect(slot=START))
    billing.collect(ctx, BillingCollect(slot=START))
    (asked,) = waiting(sessions, PaymentRefund)
    payments.give_back(claim(asked), PaymentRefund.model_validate(asked.args))
    assert sum(gateway.moved.values()) == 1500
    with sessions() as session:
        assert billing_credit.refunds_due(session) == []


def test_books_that_differ_fail_the_job_and_are_kept(sessions: Sessions, creator: User, claim: Claim) -> None:
    subscribe(sessions, creator)
    run(sessions, START)
    with sessions.begin() as session:
        session.execute(text("UPDATE receivables SET open_minor = 7"))
    args = BillingAudit(slot=START)
    with pytest.raises(Permanent, match=r"billing\.books_differ.*what is left of an invoice"):
        billing.audit_books(claim(args), args)
    with sessions() as session:
        assert len(session.scalars(select(Audit)).one().differences) == 1


def test_meters_count_each_thing_once(sessions: Sessions, creator: User, claim: Claim) -> None:
    with sessions.begin() as session:
        prices = [NewPrice(meter, meter, PerUnit(Decimal(1)), meter=meter) for meter in (VIDEOS, AI_COST, STORAGE)]
        plan = Plan(id=new_id(), code="metered", name="Metered", currency="EUR", interval="month")
        plan_store.create_plan(session, plan, prices)
    row = subscribe(sessions, creator, plan_id=plan.id)
    common = {"creator_id": creator.id, "kind": "video", "name": "x", "content_type": "video/mp4"}
    with sessions.begin() as session:
        content = Content(id=new_id(), object_key="x", size=5 * 10**8, created_at=day(2025, 2, 1), **common)
        session.add(content)
        session.flush()
        for status, at in (("succeeded", day(2025, 2, 3)), ("succeeded", day(2025, 1, 1)), ("queued", day(2025, 2, 3))):
            task = ContentTask(id=new_id(), creator_id=creator.id, content_id=content.id, status=status, updated_at=at)
            task.analysis = {"summary": "x"}
            session.add(task)
        called = {"month": date(2025, 2, 1), "role": "vision", "deployment": "x", "bound_micro_usd": 99}
        ended = {"cost_micro_usd": 42, "outcome": "ok", "settled_at": day(2025, 2, 3)}
        for sandbox in (False, True):
            one = UsageLog(request_id=new_id(), creator_id=creator.id, sandbox=sandbox, **called, **ended)
            session.add(one)
    args = BillingMeter(slot=day(2025, 2, 3, 12))
    for expected in (1, 0):
        ctx = claim(args)
        billing.count_usage(ctx, args)
        assert result(ctx) == dict.fromkeys((VIDEOS, AI_COST, STORAGE), expected)
    with sessions() as session:
        units = session.execute(select(UsageRecord.meter, UsageRecord.quantity)).all()
        assert set(session.scalars(select(UsageRecord.subscription_id))) == {row.id}
    assert dict(map(tuple, units)) == {VIDEOS: 1, AI_COST: 42, STORAGE: Decimal("0.5")}
