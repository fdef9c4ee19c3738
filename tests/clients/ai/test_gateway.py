"""One behaviour for every wire: the in-memory twin, and HTTP to the sandbox."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from huntaze.clients.ai.memory_wire import MemoryWire
from huntaze.clients.ai.wire import HttpWire
from huntaze.models.base import new_id
from huntaze.pipelines.ai.calls import Caller, ChatReply, ChatRequest
from huntaze.pipelines.ai.deployments import Deployment, Routes
from huntaze.pipelines.ai.errors import BudgetExhausted
from huntaze.pipelines.errors import Permanent, Transient
from tests.clients.ai.bench import PRICES, Bench
from tests.waiting import until

ASK = ChatRequest("generate", "What shall I answer to “hello”?", system="Be kind.", max_tokens=50)
FRESH = Caller(cache_s=0)


def unique(model: str) -> str:
    """A name of its own for the model: the sandbox counts calls by name."""
    return f"{model}+latency=0+slow=0".replace("sandbox", f"sandbox-{new_id().hex}", 1)


def test_an_answer_is_paid_by_what_it_took(bench: Bench) -> None:
    reply = bench.gateway("sandbox-text").complete(ASK, FRESH)
    assert reply.text.startswith("SANDBOX")
    assert reply.sandbox
    assert (reply.deployment, reply.cut, reply.cache_hit) == ("d0", False, False)
    ((ask, used),) = bench.budget.rows
    assert used.sandbox
    assert (used.outcome, used.cost_micro_usd) == ("ok", reply.cost_micro_usd)
    assert 0 < reply.cost_micro_usd == bench.budget.spent < ask.bound_micro_usd
    assert reply.cost_micro_usd == reply.input_tokens + 4 * reply.output_tokens
    assert bench.budget.reserved == {}
    assert ask.lease_s > 40
    assert bench.breaker.recorded == [("d0", True)]


def test_a_stream_gives_the_same_in_pieces(bench: Bench) -> None:
    gateway = bench.gateway("sandbox-text+think")
    whole = gateway.complete(ASK, FRESH)
    *pieces, reply = gateway.stream(ASK, FRESH)
    assert isinstance(reply, ChatReply)
    assert len(pieces) > 3
    assert "".join(str(piece) for piece in pieces) == reply.text == whole.text
    assert reply.output_tokens > 0
    assert [used.cost_micro_usd is not None for _, used in bench.budget.rows] == [True, True]


@pytest.mark.parametrize(("model", "opened"), [("think", False), ("think_open", True), ("think_open", False)])
def test_thoughts_are_paid_and_not_shown(bench: Bench, model: str, opened: bool) -> None:
    gateway = bench.gateway(f"sandbox-text+{model}", opens_thought=opened)
    reply = gateway.complete(ASK, FRESH)
    assert reply.text.startswith("SANDBOX")
    assert "thoughts" not in reply.text
    plain = bench.gateway("sandbox-text").complete(ASK, FRESH)
    assert reply.text == plain.text
    assert reply.output_tokens > plain.output_tokens


def test_a_limit_is_waited_out_as_long_as_was_asked_for(bench: Bench) -> None:
    reply = bench.gateway(unique("sandbox-text+429=250+times=2")).complete(ASK, replace(FRESH, patience_s=1))
    assert reply.text
    assert bench.slept == [0.25, 0.25]
    assert bench.outcomes == [("d0", "rate_limited"), ("d0", "rate_limited"), ("d0", "ok")]
    assert len({ask.request_id for ask, _ in bench.budget.rows}) == 3, "each try is an ask of its own"
    assert bench.budget.spent == reply.cost_micro_usd, "a call that was turned away costs nothing"


def test_a_limit_beyond_patience_is_left_to_the_fallback_or_to_the_caller(bench: Bench) -> None:
    reply = bench.gateway("sandbox-text+429=9000", "sandbox-text").complete(ASK, FRESH)
    assert reply.deployment == "d1"
    with pytest.raises(Transient) as caught:
        bench.gateway("sandbox-text+429=9000").complete(ASK, FRESH)
    assert (caught.value.code, caught.value.retry_after) == ("ai.rate_limited", 9)
    assert bench.slept == []
    with pytest.raises(Transient):
        bench.gateway("sandbox-text+429").complete(ASK, replace(FRESH, patience_s=2.5))
    assert bench.slept == [1.0, 1.0], "patience is for all waits together"


@pytest.mark.parametrize(
    ("trouble", "outcome", "paid"),
    [
        ("503", "unavailable", False),
        ("500", "unavailable", True),
        ("504", "timeout", True),
        ("hang", "timeout", True),
        ("drop", "unavailable", True),
        ("not_json", "bad_response", True),
    ],
)
def test_who_is_in_trouble_is_replaced_and_what_may_have_been_paid_is_counted(
    bench: Bench, trouble: str, outcome: str, paid: bool
) -> None:
    short = {"timeout_s": 0.3} if trouble == "hang" else {}
    gateway = bench.gateway(f"sandbox-text+{trouble}", "sandbox-text", **short)
    reply = gateway.complete(ASK, FRESH)
    assert reply.deployment == "d1"
    assert bench.outcomes == [("d0", outcome), ("d1", "ok")]
    assert bench.breaker.recorded == [("d0", False), ("d1", True)]
    bound = bench.budget.rows[0][0].bound_micro_usd
    assert bench.budget.spent - reply.cost_micro_usd == (bound if paid else 0)
    with pytest.raises(Transient) as caught:
        bench.gateway(f"sandbox-text+{trouble}", **short).complete(ASK, FRESH)
    assert caught.value.code == f"ai.{outcome}"
    assert caught.value.__cause__ is not None
    assert bench.budget.reserved == {}


@pytest.mark.parametrize("filter", ["prompt_filter", "output_filter"])
def test_a_filter_is_final_and_paid(bench: Bench, filter: str) -> None:
    gateway = bench.gateway(f"sandbox-text+{filter}", "sandbox-text")
    for ask in (gateway.complete, lambda *given: list(gateway.stream(*given))):
        with pytest.raises(Permanent) as caught:
            ask(ASK, Caller())
        assert caught.value.code == "ai.content_filter"
    assert bench.outcomes == [("d0", "content_filter")] * 2, "neither retried, nor kept, nor asked elsewhere"
    assert bench.budget.spent > 0
    assert bench.breaker.recorded == [("d0", True)] * 2, "the server is well"
    assert bench.answers.kept == {}


@pytest.mark.parametrize("status", ["400", "401", "404", "302"])
def test_a_refusal_is_final_and_costs_nothing(bench: Bench, status: str) -> None:
    with pytest.raises(Permanent, match=r"ai\.refused"):
        bench.gateway(f"sandbox-text+{status}", "sandbox-text").complete(ASK, FRESH)
    assert bench.outcomes == [("d0", "refused")]
    assert bench.budget.spent == 0


def test_an_answer_that_breaks_off_says_so_and_is_not_kept(bench: Bench) -> None:
    gateway = bench.gateway("sandbox-text+cut")
    assert gateway.complete(ASK, Caller()).cut
    assert bench.answers.kept == {}
    assert bench.outcomes == [("d0", "length")]


def test_what_the_server_does_not_count_is_paid_at_the_bound(bench: Bench) -> None:
    reply = bench.gateway("sandbox-text+no_usage").complete(ASK, FRESH)
    ((ask, used),) = bench.budget.rows
    assert used.cost_micro_usd is None
    assert bench.budget.spent == reply.cost_micro_usd == ask.bound_micro_usd


def test_an_equal_question_costs_nothing_within_the_same_eyes(bench: Bench) -> None:
    gateway, ada, bob = bench.gateway("sandbox-text"), Caller(new_id()), Caller(new_id())
    first = gateway.complete(ASK, ada)
    again = gateway.complete(replace(ASK, prompt=f" {ASK.prompt}\n"), replace(ada, job_id=new_id()))
    assert again == replace(first, cache_hit=True, cost_micro_usd=0)
    assert not gateway.complete(ASK, bob).cache_hit, "nothing of one creator's reaches another"
    assert not gateway.complete(ASK, Caller()).cache_hit
    for other in (replace(ASK, system=None), replace(ASK, prompt_version="2"), replace(ASK, role="reason")):
        assert not gateway.complete(other, ada).cache_hit
    hits = [used for _, used in bench.budget.rows if used.cache_hit]
    assert [(hit.cost_micro_usd, hit.outcome) for hit in hits] == [(0, "ok")]
    *_, streamed = gateway.stream(ASK, ada)
    assert isinstance(streamed, ChatReply)
    assert streamed.cache_hit


def test_what_holds_nothing_of_anybody_s_serves_all(bench: Bench) -> None:
    gateway = bench.gateway("sandbox-text")
    assert not gateway.complete(ASK, Caller(new_id(), shared=True)).cache_hit
    assert gateway.complete(ASK, Caller(new_id(), shared=True, cache_s=60)).cache_hit
    assert list(bench.answers.ttls.values()) == [3600]


def test_equal_questions_at_once_make_one_call(bench: Bench) -> None:
    gateway, caller = bench.gateway("sandbox-text+latency=150"), Caller(new_id())
    together = threading.Barrier(20)

    def ask(number: int) -> ChatReply:
        together.wait(10)
        return gateway.complete(ASK, caller)

    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(ask, range(20)))
    assert sum(not reply.cache_hit for reply in replies) == 1
    assert len({reply.text for reply in replies}) == 1
    assert sum(reply.cost_micro_usd for reply in replies) == bench.budget.spent


def test_only_what_its_caller_can_use_is_kept_and_taken_from_there(bench: Bench) -> None:
    gateway, caller = bench.gateway("sandbox-text"), Caller(new_id())
    for picky in (gateway.complete, lambda *given: [*gateway.stream(*given)][-1]):
        reply = picky(ASK, caller, lambda text: "no answer has this" in text)
        assert isinstance(reply, ChatReply)
        assert (reply.text.startswith("SANDBOX"), reply.cache_hit) == (True, False), "given all the same"
    assert bench.answers.kept == {}
    assert not gateway.complete(ASK, caller).cache_hit
    assert gateway.complete(ASK, caller).cache_hit
    assert not gateway.complete(ASK, caller, lambda text: False).cache_hit, "kept by somebody who could use it"


def test_a_spent_budget_asks_nobody(bench: Bench) -> None:
    bench.budget.limit_micro_usd = 100
    for ask in (bench.gateway("sandbox-text", "sandbox-text").complete, bench.gateway("sandbox-text").stream):
        with pytest.raises(BudgetExhausted) as caught:
            list(ask(ASK, FRESH))  # type: ignore[call-overload]
        assert caught.value.resets_at.year == 2099
    assert bench.outcomes == [("d0", "budget")] * 2
    assert bench.breaker.recorded == []


def test_a_price_that_is_not_known_refuses(bench: Bench) -> None:
    gateway = bench.gateway("sandbox-text", output_micro_usd_per_million=None)
    with pytest.raises(Permanent, match=r"ai\.unknown_price"):
        gateway.complete(ASK, FRESH)
    with pytest.raises(Permanent, match=r"ai\.unknown_price"):
        gateway.price("vision", 1, 1)
    assert bench.budget.rows == []


def test_an_open_breaker_is_no_call(bench: Bench) -> None:
    bench.breaker.open = {"d0"}
    assert bench.gateway("sandbox-text", "sandbox-text").complete(ASK, FRESH).deployment == "d1"
    with pytest.raises(Transient, match=r"ai\.unavailable"):
        bench.gateway("sandbox-text").complete(ASK, FRESH)
    assert bench.outcomes == [("d1", "ok")]


def two(bench: Bench, **first: Any) -> Routes:
    dear = {**PRICES, "name": "dear", "model": "sandbox-text", "base_url": bench.base_url, "fallback": "cheap", **first}
    cheap = {**dear, "name": "cheap", "fallback": None, "retires_at": None, "output_micro_usd_per_million": 1_000_000}
    made = [Deployment.model_validate(one) for one in (dear, cheap)]
    return Routes({one.name: one for one in made}, {"generate": "dear"}, economise_at=0.8)


def test_a_retired_deployment_is_left_for_its_successor(bench: Bench) -> None:
    gateway = bench.over(two(bench, retires_at=date(2026, 7, 1)))
    assert gateway.complete(ASK, FRESH).deployment == "cheap"
    gateway = bench.over(two(bench, retires_at=date(2026, 7, 2)))
    assert gateway.complete(ASK, FRESH).deployment == "dear"


def test_a_budget_that_runs_low_moves_a_role_to_the_cheaper_one(bench: Bench) -> None:
    gateway = bench.over(two(bench))
    assert gateway.complete(ASK, FRESH).deployment == "dear"
    bench.budget.spent = 800_000_000
    assert gateway.complete(ASK, FRESH).deployment == "cheap"
    with pytest.raises(Permanent, match=r"ai\.no_deployment"):
        gateway.complete(replace(ASK, role="vision"), FRESH)


def test_a_stream_falls_back_only_before_it_has_begun(bench: Bench) -> None:
    *pieces, reply = bench.gateway("sandbox-text+503", "sandbox-text").stream(ASK, FRESH)
    assert isinstance(reply, ChatReply)
    assert (reply.deployment, "".join(str(piece) for piece in pieces)) == ("d1", reply.text)
    broken = bench.gateway("sandbox-text+drop", "sandbox-text").stream(ASK, FRESH)
    assert isinstance(next(broken), str)
    with pytest.raises(Transient, match=r"ai\.unavailable"):
        list(broken)
    assert bench.outcomes[2:] == [("d0", "unavailable")], "what was said stays said"
    assert bench.budget.reserved == {}


@pytest.mark.parametrize(
    ("switch", "limits"),
    [
        ("hang", {"first_byte_s": 0.3}),  # the first byte
        ("slow=600", {"first_byte_s": 0.3}),  # one that goes on too slowly
        ("slow=100", {"timeout_s": 0.5}),  # the whole
    ],
)
def test_a_stream_has_its_times(sandbox: str, switch: str, limits: dict[str, float]) -> None:
    wire = HttpWire()
    bench = Bench(wire, sandbox)
    with pytest.raises(Transient, match=r"ai\.timeout"):
        list(bench.gateway(f"sandbox-text+{switch}", **limits).stream(ASK, FRESH))
    wire.close()
    assert bench.outcomes == [("d0", "timeout")]
    assert bench.budget.spent == bench.budget.rows[0][0].bound_micro_usd


def test_a_reader_that_leaves_does_not_lose_what_is_paid(bench: Bench) -> None:
    gateway, caller = bench.gateway("sandbox-text+slow=5"), Caller(new_id())
    stream = gateway.stream(ASK, caller)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    until(lambda: bench.budget.rows, "the call to be settled")
    assert bench.outcomes == [("d0", "ok")]
    until(lambda: bench.answers.kept, "the answer to be kept")
    assert gateway.complete(ASK, caller).cache_hit


def test_a_fault_of_ours_leaves_no_reservation(bench: Bench) -> None:
    def broken(request: ChatRequest) -> str:
        raise ZeroDivisionError

    bench.wire = MemoryWire(broken)
    with pytest.raises(ZeroDivisionError):
        bench.gateway("sandbox-text").complete(ASK, FRESH)
    assert bench.outcomes == [("d0", "abandoned")]
    assert bench.budget.spent == bench.budget.rows[0][0].bound_micro_usd


def test_the_same_model_elsewhere_is_another_model(bench: Bench) -> None:
    here, there = bench.gateway("sandbox-text"), bench.gateway("sandbox-text", base_url="http://there.test/v1")
    assert here.identity("vision") != there.identity("vision")
    assert here.identity("vision") == bench.gateway("sandbox-text", timeout_s=3).identity("vision")
