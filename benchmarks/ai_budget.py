"""The AI budget: 32 threads until $1,000 are gone. How many calls a second, and how much too much."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from benchmarks.rig.processes import rig
from benchmarks.rig.report import Options, Report, parse_options, percentile
from huntaze.models import ai_report
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.base import new_id
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.pipelines.ai.budget import DEFAULT_MONTHLY_MICRO_USD
from huntaze.pipelines.ai.calls import ROLES, Ask, Used
from huntaze.pipelines.ai.errors import BudgetExhausted

THREADS = 32
QUICK_MOST = 2_000_000  # micro-USD that a call may cost: about 1,000 calls until the money is gone
FULL_MOST = 200_000
CREATORS = 10_000
_SUMS = text("""
    INSERT INTO ai_spend (month, scope)
    SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date, 'creator:' || gen_random_uuid()
    FROM generate_series(1, :creators)
""")
_GIVE_UP = 20  # refusals in a row after which a thread believes that the money is gone


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def run(options: Options) -> Report:
    """A race that reserves and settles, then reservations alone, then one caller without company, then that again
    where many have called before."""
    report, most = Report("ai_budget"), QUICK_MOST if options.quick else FULL_MOST
    report.sizes = {"threads": THREADS, "budget_micro_usd": DEFAULT_MONTHLY_MICRO_USD, "most_micro_usd": most}
    with rig() as stores:
        report.versions = stores.store_versions()
        engine = build_engine(stores.settings.database.sqlalchemy_url, pool_size=THREADS, application="bench")
        try:
            _race(build_sessions(engine), report, most, settles=True)
            _race(build_sessions(engine), report, most, settles=False)
            for creators in (0, CREATORS):
                _alone(build_sessions(engine), report, 100 if options.quick else 1000, creators)
        finally:
            engine.dispose()
    return report


def _race(sessions: Sessions, report: Report, most: int, *, settles: bool) -> None:
    _empty(sessions)
    ledger, start = BudgetLedger(sessions), threading.Barrier(THREADS + 1)

    def caller(number: int) -> int:
        chance, calls, refused = random.Random(number), 0, 0
        start.wait()
        while refused < _GIVE_UP:
            bound = chance.randrange(most // 10, most)
            ask = Ask(new_id(), chance.choice(ROLES), "model", None, None, bound, 600.0)
            try:
                ledger.reserve(ask)
            except BudgetExhausted:
                refused += 1
                continue
            calls, refused = calls + 1, 0
            if settles:
                ledger.settle(ask, Used("model", 900, 200, 0, 0, chance.randrange(bound), 900, "ok"))
        return calls

    with ThreadPoolExecutor(THREADS) as pool:
        racing = [pool.submit(caller, number) for number in range(THREADS)]
        start.wait()
        begun = time.perf_counter()
        calls = sum(one.result() for one in racing)
        seconds = time.perf_counter() - begun
    with sessions() as session:
        total = ai_report.budget(session).scopes[0]
    taken = total.settled_micro_usd + total.reserved_micro_usd
    name, about = ("calls", "reserved and settled") if settles else ("reservations", "reserved alone")
    report.note(f"{calls} {name}, ${taken / 1e6:,.2f} of $1,000 taken, in {seconds:.1f} s")
    report.add(f"{name}_per_s", calls / seconds, "/s", f"{about}, {THREADS} threads, refusals not counted")
    report.add(f"{name}_taken_usd", taken / 1e6, "$", "taken of $1,000")
    over = max(0, taken - DEFAULT_MONTHLY_MICRO_USD)
    report.add(f"{name}_overspent_micro_usd", over, "micro-USD", "taken beyond it", "0")


def _alone(sessions: Sessions, report: Report, calls: int, creators: int) -> None:
    """What the ledger adds to a call, in a month in which so many creators have asked before."""
    _empty(sessions)
    with sessions.begin() as session:
        session.execute(_SUMS, {"creators": creators})
    behind = f", behind the sums of {creators} creators" if creators else ""
    ledger, reserved, settled = BudgetLedger(sessions), [], []
    for _ in range(calls):
        ask = Ask(new_id(), "vision", "model", None, None, 1000, 600.0)
        begun = time.perf_counter()
        ledger.reserve(ask)
        between = time.perf_counter()
        ledger.settle(ask, Used("model", 900, 200, 0, 0, 700, 900, "ok"))
        reserved.append(1000 * (between - begun))
        settled.append(1000 * (time.perf_counter() - between))
    for name, values in (("reserve", reserved), ("settle", settled)):
        for share in (0.5, 0.99):
            percent = f"p{100 * share:.0f}"
            key = f"{name}_crowd_{percent}_ms" if creators else f"{name}_{percent}_ms"
            report.add(key, percentile(values, share), "ms", f"one {name}, one caller{behind}, {percent}")


def _empty(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(text("TRUNCATE usage_logs, ai_spend, ai_limits, ai_warnings"))


if __name__ == "__main__":
    main()
