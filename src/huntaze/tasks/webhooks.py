"""From an event to an endpoint's answer; one job a delivery, one attempt of the job a request."""

import random
from datetime import timedelta

from huntaze.clients.webhooks.outbound import Answer
from huntaze.logs import logger
from huntaze.models import webhook_deliveries, webhook_log, webhook_store
from huntaze.models.job_args import WebhooksDeliver, WebhooksReplay
from huntaze.models.webhook_deliveries import Attempt, Delivery
from huntaze.models.webhook_log import Range
from huntaze.models.webhooks import DeliveryState, DisabledReason
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.webhooks.schedule import Outcome, Verdict, is_failing_for_good, judge, retry_after
from huntaze.pipelines.webhooks.signing import signed_headers
from huntaze.pipelines.webhooks.targets import parse_target
from huntaze.tasks.context import JobContext, Snooze
from huntaze.tasks.registry import job

_log = logger(__name__)

AGENT = "huntaze-webhooks/1"
NO_SECRET_S = 300.0  # until somebody has put the fleet's key back
FAILED = "webhook.failed"


@job(WebhooksDeliver)
def deliver(ctx: JobContext, args: WebhooksDeliver) -> None:
    """Sends one event to one endpoint, if nothing of the same subject has to go before it."""
    key = (args.endpoint_id, args.event_id)
    with ctx.sessions() as session:
        delivery = webhook_deliveries.load(session, key)
        first = delivery is not None and webhook_deliveries.is_first(session, delivery)
    if delivery is None:
        return
    if delivery.disabled:
        _give_up(ctx, delivery, "webhook.disabled")
    elif delivery.wait_s:
        raise Snooze(delivery.wait_s * random.uniform(1.0, 1.2))  # noqa: S311 - not a secret
    elif first or not _parked(ctx, delivery):
        _settle(ctx, delivery, _post(ctx, delivery))


class _NothingBefore(Exception):
    """What was to be waited for has ended meanwhile."""


def _parked(ctx: JobContext, delivery: Delivery) -> bool:
    """Ends this job with the delivery waiting, in one commit; who ends the one before it enqueues another."""
    try:
        with ctx.finish() as finish:
            if not webhook_deliveries.park(finish.session, delivery):
                raise _NothingBefore
            finish.result["state"] = DeliveryState.WAITING.value
    except _NothingBefore:
        return False
    return True


def _post(ctx: JobContext, delivery: Delivery) -> Answer:
    """The request, with no transaction open. An URL that is refused by now is an answer like others."""
    settings = ctx.clients.webhooks
    with ctx.sessions() as session:
        secrets = webhook_store.secrets_of(session, settings.keys, delivery.key[0]) if settings.keys else []
    if not secrets:
        _log.error("no key for a webhook's secret: see HUNTAZE_WEBHOOKS_KEY", endpoint_id=str(delivery.key[0]))
        raise Snooze(NO_SECRET_S)
    body = delivery.message.body()
    headers = signed_headers(secrets, str(delivery.message.id), int(delivery.now.timestamp()), body)
    try:
        target = parse_target(delivery.url, settings.policy)
    except Permanent as refused:
        return Answer(None, 0.0, error=refused.code)
    ctx.checkpoint()  # as late as can be: one that lost its lease sends nothing
    with ctx.stage("post"):
        return settings.outbound.post(
            target, body, {"Content-Type": "application/json", "User-Agent": AGENT, **headers}
        )


def _settle(ctx: JobContext, delivery: Delivery, answer: Answer) -> None:
    attempt = Attempt(round(answer.seconds, 4), answer.status, answer.error)
    wait = retry_after(answer.retry_after, delivery.now)
    verdict = judge(delivery.attempts + 1, answer.status, wait, random.random())  # noqa: S311 - not a secret
    if verdict.outcome == Outcome.DELIVERED:
        with ctx.finish() as finish:
            webhook_deliveries.end(finish.session, delivery.key, DeliveryState.DELIVERED, attempt)
            finish.result["state"] = DeliveryState.DELIVERED.value
    elif verdict.outcome == Outcome.GONE:
        _give_up(ctx, delivery, "webhook.gone", attempt, disable=DisabledReason.GONE)
    else:
        _failed(ctx, delivery, attempt, verdict)


def _failed(ctx: JobContext, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> None:
    """Notes the failure. Raises Transient where another attempt is due; the next one of the job is that."""
    code = attempt.error or FAILED
    failing = DisabledReason.FAILING if is_failing_for_good(delivery.failing_since, delivery.now) else None
    if failing or verdict.outcome == Outcome.EXHAUSTED:
        _give_up(ctx, delivery, code, attempt, verdict, disable=failing)
        return
    with ctx.sessions.begin() as session:
        webhook_deliveries.again(session, delivery.key, attempt, timedelta(seconds=verdict.delay_s))
        webhook_deliveries.endpoint_failed(session, delivery.key[0], _throttle(verdict))
    told = f"answered {attempt.status}" if attempt.status else "did not answer"
    raise Transient(code, f"The endpoint {told}.", verdict.delay_s)


def _throttle(verdict: Verdict | None) -> timedelta | None:
    return timedelta(seconds=verdict.delay_s) if verdict is not None and verdict.throttle else None


def _give_up(
    ctx: JobContext,
    delivery: Delivery,
    code: str,
    attempt: Attempt | None = None,
    verdict: Verdict | None = None,
    *,
    disable: DisabledReason | None = None,
) -> None:
    """Ends the delivery as failed: its job has done what it could."""
    with ctx.finish() as finish:
        webhook_deliveries.end(finish.session, delivery.key, DeliveryState.FAILED, attempt, code)
        if attempt is not None:
            webhook_deliveries.endpoint_failed(finish.session, delivery.key[0], _throttle(verdict))
        if disable is not None and webhook_store.disable(finish.session, delivery.key[0], disable):
            _log.warning("webhook endpoint disabled", endpoint_id=str(delivery.key[0]), reason=disable)
        finish.result.update(state=DeliveryState.FAILED.value, code=code)


@job(WebhooksReplay)
def replay(ctx: JobContext, args: WebhooksReplay) -> None:
    """Sends a range of time again, in small transactions. Begun anew after a crash, it finds what it did before."""
    of = Range(args.endpoint_id, args.since, args.until, args.delivered)
    sent = 0
    upto: int | None = 0
    while upto is not None:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            count, upto = webhook_log.replay(session, of, upto)
        sent += count
    with ctx.finish() as finish:
        finish.result["deliveries"] = sent
