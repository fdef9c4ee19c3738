"""The fleet's share of a deployment's limits, so that a 429 is rare: requests and tokens a minute, calls at once.

Requests and tokens go by the generic cell rate algorithm, calls at once by leases in a sorted set; both in one script,
by the server's clock. Where Redis is away nobody is held back: the vendor's 429 then says when.
"""

import random
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from huntaze.clients.ai.shared_state import SharedState, SharedStateAway
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.ai.errors import RATE_LIMITED
from huntaze.pipelines.errors import Transient

# What may come at once, in seconds' worth of a limit: vendors look at shorter times than the minute they speak of.
_BURST_S = 10.0
_FULL_MS = 50  # how soon a full house is looked at again

# KEYS: requests, tokens, calls. ARGV: limits of each (0: none), tokens of this call, id, lease and burst in ms.
# Returns 0: taken, else the milliseconds after which it may be tried again.
_TAKE = f"""
    local time = redis.call('TIME')
    local now = time[1] * 1000 + time[2] / 1000
    local wait, booked = 0, {{}}
    for i, cost in ipairs({{1, tonumber(ARGV[4])}}) do
        local limit = tonumber(ARGV[i])
        if limit > 0 then
            local each = 60000 / limit
            local from = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now)
            -- A call that is larger than a burst may go when nothing else is booked.
            local room = math.max(tonumber(ARGV[7]), math.min(cost, limit) * each)
            local to = from + math.min(cost, limit) * each
            wait = math.max(wait, to - room - now)
            booked[KEYS[i]] = to
        end
    end
    local most = tonumber(ARGV[3])
    if most > 0 then
        redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
        if redis.call('ZCARD', KEYS[3]) >= most then wait = math.max(wait, {_FULL_MS}) end
    end
    if wait > 0 then return math.ceil(wait) end
    for key, to in pairs(booked) do
        redis.call('SET', key, string.format('%.3f', to), 'PX', math.ceil(to - now) + 1000)
    end
    if most > 0 then
        redis.call('ZADD', KEYS[3], now + tonumber(ARGV[6]), ARGV[5])
        redis.call('PEXPIRE', KEYS[3], tonumber(ARGV[6]) + 1000)
    end
    return 0
"""


class RedisShaper:
    """The port's Shaper, by the limits of these deployments {name: deployment}. Safe to share between threads."""

    def __init__(self, shared: SharedState, deployments: Mapping[str, Deployment]) -> None:
        self._shared, self._deployments = shared, deployments

    def take(self, deployment: str, tokens: int, patience_s: float) -> AbstractContextManager[None]:
        """Holds a place while the block runs; a place whose holder died is free again when its call would be over.

        Waits up to `patience_s`. Raises Transient (`ai.rate_limited`, with `retry_after`).
        """
        known = self._deployments.get(deployment)
        if known is None or not (known.requests_per_minute or known.tokens_per_minute or known.concurrent):
            return nullcontext()
        return self._held(known, tokens, patience_s)

    @contextmanager
    def _held(self, deployment: Deployment, tokens: int, patience_s: float) -> Iterator[None]:
        place = secrets.token_hex(8)
        self._wait(deployment, tokens, place, time.monotonic() + patience_s)
        try:
            yield
        finally:
            if deployment.concurrent:
                self._leave(deployment, place)

    def _wait(self, deployment: Deployment, tokens: int, place: str, deadline: float) -> None:
        while True:
            try:
                wait_s = self._try(deployment, tokens, place) / 1000
            except SharedStateAway:
                return
            left = deadline - time.monotonic()
            if wait_s == 0:
                return
            if wait_s > left:
                raise Transient(RATE_LIMITED, "The model is asked as often as it may be.", wait_s)
            threading.Event().wait(min(wait_s * random.uniform(1, 1.2), left))  # noqa: S311 - not a secret

    def _try(self, deployment: Deployment, tokens: int, place: str) -> int:
        keys = [self._shared.key(what, deployment.name) for what in ("requests", "tokens", "calls")]
        limits = (deployment.requests_per_minute, deployment.tokens_per_minute, deployment.concurrent)
        lease_ms = round(1000 * (deployment.connect_s + deployment.timeout_s + 5))
        given: list[str | int] = [*(limit or 0 for limit in limits), tokens, place, lease_ms, round(1000 * _BURST_S)]
        return int(self._shared.ask(lambda client: client.eval(_TAKE, 3, *keys, *given)))

    def _leave(self, deployment: Deployment, place: str) -> None:
        try:
            self._shared.ask(lambda client: client.zrem(self._shared.key("calls", deployment.name), place))
        except SharedStateAway:
            return
