"""How often a suggestion is there already: a day of messages, replayed against the gateway's own cache rules.

Hits depend on the traffic, not on the machine: where fans send the same words again they are frequent, where a name or
the conversation goes with each question there are next to none. No model is asked; time is the replay's own.

Then a real API process is asked what it has answered before: how long a hit takes from end to end.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import httpx

from benchmarks.ai import answers, sandbox
from benchmarks.rig.processes import rig
from benchmarks.rig.report import Options, Report, parse_options, percentile
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.memory_wire import MemoryWire
from huntaze.clients.ai.ports import Made
from huntaze.clients.ai.twins import MemoryBudget
from huntaze.models import user_store
from huntaze.pipelines.ai.calls import Caller
from huntaze.pipelines.ai.deployments import CACHE_S, Deployment, Routes
from huntaze.pipelines.ai.suggestions import Message, build_request

PARTS = ("replay", "latency")
DAY_S = 86_400.0
_ANSWER = json.dumps({"suggestions": [{"tone": "warm", "text": text} for text in ("Hi!", "Hello!", "Hey!")]})


@dataclass(frozen=True)
class Traffic:
    """What a creator's fans write in a day. `templates`: how many wordings there are of what is written again and
    again, the n-th used 1/n as often as the first (Zipf). `free`: share of messages that nobody has written before.
    `named`: the fan's name goes with the question. `turns`: messages of the conversation that go with it. `kept_s`: how
    long answers are kept; None: the role's default, an hour. `holds`: 80 % are to be reached."""

    name: str
    about: str
    per_day: int
    templates: int = 40
    free: float = 0.0
    named: bool = False
    turns: int = 0
    kept_s: int | None = None
    holds: bool = False


_DAY = 86_400
TRAFFIC = (
    Traffic("templates_few", "12 wordings, 2,000 messages a day", 2000, templates=12, holds=True),
    Traffic("templates_busy", "40 wordings, 2,000 messages a day", 2000),
    Traffic("templates_usual", "40 wordings, 500 messages a day", 500),
    Traffic("templates_quiet", "40 wordings, 50 messages a day", 50),
    Traffic("busy_day", "40 wordings, 2,000 a day, kept for a day", 2000, kept_s=_DAY, holds=True),
    Traffic("usual_day", "40 wordings, 500 a day, kept for a day", 500, kept_s=_DAY, holds=True),
    Traffic("quiet_day", "40 wordings, 50 a day, kept for a day", 50, kept_s=_DAY),
    Traffic("many_day", "400 wordings, 2,000 a day, kept for a day", 2000, templates=400, kept_s=_DAY),
    Traffic("free_half", "half of them free words, 2,000 a day, kept for a day", 2000, free=0.5, kept_s=_DAY),
    Traffic("named", "40 wordings, with the fan's name", 2000, named=True),
    Traffic("conversation", "40 wordings, with two messages before", 2000, turns=2),
)
_FANS = 300


@dataclass
class _Clocked:
    """Answers whose time is the replay's."""

    now: float = 0.0
    kept: dict[str, tuple[str, float]] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:
        found = self.kept.get(key)
        if found and found[1] > self.now and usable(found[0]):
            return found[0]
        made = make()
        self.kept[key] = (made.text, self.now + made.keep_s)
        return made.text

    def close(self) -> None:
        """Holds nothing."""


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """The replay has a seed of its own: the same figures on every machine."""
    report, days, asks = Report("ai_hits"), 1 if options.quick else 3, 200 if options.quick else 2000
    report.sizes = {"days": days, "cache_s": CACHE_S["generate"], "fans": _FANS, "asks": asks}
    parts = options.only or PARTS
    if "replay" in parts:
        for one in TRAFFIC:
            target = "80 %" if one.holds else ""
            report.add(f"{one.name}_hit_rate", 100 * hit_rate(one, days), "%", f"suggestions: {one.about}", target)
    if "latency" in parts:
        _latency(report, asks)
    return report


def _latency(report: Report, asks: int) -> None:
    """One client, one request after the other: auth, cache, the row of usage, the answer."""
    with rig(s3=True) as stores, sandbox(stores) as url, HeldPort() as port:
        with stores.sessions.begin() as session:
            _, key = user_store.create_key(session, user_store.ensure_user(session, "bench").id, "bench")
        stores.environment |= {"HUNTAZE_AI_BASE_URL": url, "HUNTAZE_AI_MODEL": "sandbox-text"}
        stores.start("api", "huntaze.api", "--port", str(port.number))
        base = f"http://{LOOPBACK}:{port.number}"
        stores.until(lambda: answers(f"{base}/healthz"), "the API", 30)
        report.versions = stores.store_versions()
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30) as client:
            for shown, asked in (("hit", {"message": "hello"}), ("hit_stream", {"message": "hello", "stream": True})):
                waits = [_timed(client, f"{base}/v1/ai/suggestions", asked) for _ in range(asks + 5)][5:]
                for share, percent in ((0.5, "p50"), (0.95, "p95")):
                    target = "< 50 ms" if percent == "p95" else ""
                    what = "POST /v1/ai/suggestions, a hit" + (", streamed to its end" if "stream" in shown else "")
                    report.add(f"{shown}_{percent}_ms", percentile(waits, share), "ms", f"{what}: {percent}", target)


def _timed(client: httpx.Client, url: str, asked: dict[str, object]) -> float:
    begun = time.perf_counter()
    client.post(url, json=asked).raise_for_status()
    return 1000 * (time.perf_counter() - begun)


def hit_rate(traffic: Traffic, days: int) -> float:
    """Share (0..1) of the messages whose suggestions were there already."""
    deployment = Deployment(
        name="replay",
        model="replay",
        base_url="http://nowhere.test/v1",
        input_micro_usd_per_million=0,
        output_micro_usd_per_million=0,
    )
    kept, wire = _Clocked(), MemoryWire(lambda _: _ANSWER)
    gateway = Gateway(Routes({"replay": deployment}, {"generate": "replay"}), wire, MemoryBudget(), answers=kept)
    caller, messages = Caller(UUID(int=1), cache_s=traffic.kept_s), 0
    for kept.now, message in _messages(traffic, days):
        gateway.complete(build_request(message), caller)
        messages += 1
    return 1 - len(wire.asked) / messages


def _messages(traffic: Traffic, days: int) -> Iterator[tuple[float, Message]]:
    """In order of time, which is busier in the evening: (seconds, message)."""
    chance = random.Random(traffic.name)
    weights = [1 / rank for rank in range(1, traffic.templates + 1)]
    times = sorted(
        day * DAY_S + chance.triangular(0, DAY_S, 20 * 3600) for day in range(days) for _ in range(traffic.per_day)
    )
    for number, at in enumerate(times):
        fan = chance.randrange(_FANS)
        said = f"template {chance.choices(range(traffic.templates), weights)[0]}: love it, more please"
        if chance.random() < traffic.free:
            said = f"message {number} in somebody's own words"
        before = [("fan", f"turn {chance.random()}") for _ in range(traffic.turns)]
        yield at, Message(f"I am fan {fan}. {said}" if traffic.named else said, before)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
