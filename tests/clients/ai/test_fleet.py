"""Two processes of a fleet, each with a gateway of its own, over the same Redis."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from huntaze.clients.ai.answers import RedisAnswers
from huntaze.clients.ai.breaker import RedisBreaker
from huntaze.clients.ai.build import build_gateway
from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.memory_wire import MemoryWire
from huntaze.clients.ai.shaping import RedisShaper
from huntaze.clients.ai.shared_state import SharedState
from huntaze.clients.ai.twins import MemoryBudget
from huntaze.models.base import new_id
from huntaze.pipelines.ai.calls import Caller, ChatRequest
from huntaze.pipelines.ai.deployments import Deployment, Routes
from huntaze.pipelines.errors import Transient
from huntaze.setting_groups import AISettings, RedisSettings
from tests.clients.ai.conftest import NewShared
from tests.waiting import until

ASK = ChatRequest("generate", "What shall I answer?", max_tokens=50)
MODEL = Deployment(
    name="d",
    model="sandbox-text",
    base_url="http://h",
    input_micro_usd_per_million=1_000_000,
    output_micro_usd_per_million=4_000_000,
    requests_per_minute=6000,
    concurrent=50,
)


@pytest.fixture
def wire() -> MemoryWire:
    return MemoryWire()


@pytest.fixture
def fleet(shared: NewShared, wire: MemoryWire) -> Iterator[list[Gateway]]:
    both = [gateway(shared(), wire), gateway(shared(), wire)]
    yield both
    for one in both:
        one.close()


def gateway(state: SharedState, wire: MemoryWire) -> Gateway:
    routes = Routes({"d": MODEL}, {"generate": "d"})
    breaker, shaper = RedisBreaker(state), RedisShaper(state, routes.deployments)
    return Gateway(routes, wire, MemoryBudget(), answers=RedisAnswers(state), breaker=breaker, shaper=shaper)


def test_equal_questions_at_once_are_one_call(fleet: list[Gateway], wire: MemoryWire) -> None:
    """The answer comes while others are still between looking for it and asking: they must not ask again."""
    start, caller = threading.Barrier(100), Caller(new_id())

    def ask(number: int) -> str:
        start.wait()
        return fleet[number % len(fleet)].complete(ASK, caller).text

    with ThreadPoolExecutor(100) as pool:
        assert len(set(pool.map(ask, range(100)))) == 1
    assert len(wire.asked) == 1


def test_a_creators_answers_are_his_own(fleet: list[Gateway], wire: MemoryWire) -> None:
    here, there = fleet
    here.complete(ASK, one := Caller(new_id()))
    assert there.complete(ASK, one).cache_hit
    assert not any(there.complete(ASK, other).cache_hit for other in (Caller(new_id()), Caller(None)))
    assert len(wire.asked) == 3


def test_without_redis_everybody_is_answered(shared: NewShared, dead_url: str, wire: MemoryWire) -> None:
    alone = gateway(shared(dead_url), wire)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: alone.complete(ASK, Caller(None)), range(60)))
    assert len({answer.text for answer in answers}) == 1
    assert 1 <= len(wire.asked) <= 60


def test_a_gateway_that_is_closed_leaves_no_thread_and_no_connection(redis_settings: RedisSettings) -> None:
    before = set(threading.enumerate())
    settings = AISettings(base_url="http://127.0.0.1:9/v1", model="sandbox-text")
    made = build_gateway(settings, redis_settings, MemoryBudget())
    with pytest.raises(Transient, match=r"ai\.unavailable"):
        made.complete(ASK, Caller(None))
    assert set(threading.enumerate()) - before, "a lease was held"
    made.close()
    until(lambda: not set(threading.enumerate()) - before, "the thread to end")
    with pytest.raises(RuntimeError, match="closed"):
        made.complete(ASK, Caller(None, cache_s=0))
