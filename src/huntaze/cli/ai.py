"""`huntaze ai`: what models may cost, and what they have cost."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Annotated

import typer

from huntaze.cli.here import ledger
from huntaze.cli.output import WIDE, Failed, out, print_json, print_line, print_table
from huntaze.models import ai_limits, ai_report, user_store
from huntaze.models.ai_report import Budget, RoleUsage, ScopeBudget
from huntaze.pipelines.ai.budget import DEFAULT_MONTHLY_MICRO_USD, TOTAL, Scope
from huntaze.pipelines.ai.calls import ROLES

ai = typer.Typer(no_args_is_help=True, help="See and set what models may cost in a month.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
_MICRO = 1_000_000
_MOST = 1_000_000_000  # dollars


@ai.command()
def budget(
    month: Annotated[str | None, typer.Option(help="YYYY-MM, UTC; default: this one")] = None,
    creators: Annotated[int, typer.Option(min=0, help="how many creators to show, the dearest first")] = 10,
    json: AsJson = False,
) -> None:
    """Show a month: limits, spent, reserved, where it is heading; by role and creator, and what the calls took."""
    first = _month(month)
    with ledger("ai") as sessions, sessions() as session:
        found, usage = ai_report.budget(session, first), ai_report.usage(session, first)
    shown = [one for one in found.scopes if not one.scope.startswith("creator:")]
    shown += [one for one in found.scopes if one.scope.startswith("creator:")][:creators]
    if json:
        scopes = [{**asdict(one), "share_spent": one.share_spent} for one in shown]
        facts = {"month": f"{found.month:%Y-%m}", "resets_at": found.resets_at.isoformat()}
        print_json({**facts, "scopes": scopes, "usage": [asdict(one) for one in usage]})
        return
    _show(found, shown, usage)


def _show(found: Budget, shown: Sequence[ScopeBudget], usage: Sequence[RoleUsage]) -> None:
    hidden = len(found.scopes) - len(shown)
    print_line(f"{found.month:%B %Y} (UTC), resets on {found.resets_at:%Y-%m-%d}")
    columns = ["scope", "spent", "reserved", "limit", "spent %", "forecast", "warned"]
    print_table(columns, [_row(one) for one in shown], "", whole=columns[1:])
    if hidden:
        print_line(f"and {hidden} more creators: --creators {len(found.scopes)}")
    over = [one for one in shown if one.limit_micro_usd is not None and one.forecast_micro_usd > one.limit_micro_usd]
    for one in over:
        out.print(f"{one.scope} is heading over its limit", style="yellow", markup=False)
    print_line("")
    more = ["tokens in", "out", "thought", "median ms"] if out.width >= WIDE else []
    columns = ["role", "calls", "hits", "failed", "sandbox", "cost", *more]
    print_table(columns, [_calls(one)[: len(columns)] for one in usage], "no calls have ended in this month")


def _row(one: ScopeBudget) -> tuple[object, ...]:
    limit = None if one.limit_micro_usd is None else dollars(one.limit_micro_usd)
    share = None if one.share_spent is None else f"{100 * one.share_spent:.1f}"
    warned = f"{one.warned_percent} %" if one.warned_percent else ""
    spent, reserved = dollars(one.settled_micro_usd), dollars(one.reserved_micro_usd)
    return one.scope, spent, reserved, limit, share, dollars(one.forecast_micro_usd), warned


def _calls(one: RoleUsage) -> tuple[object, ...]:
    hits = f"{one.cache_hits} ({100 * one.cache_hits / one.calls:.0f} %)" if one.calls else ""
    tokens = (one.input_tokens, one.output_tokens, one.reasoning_tokens)
    return one.role, one.calls, hits, one.failed, one.sandbox, dollars(one.cost_micro_usd), *tokens, one.latency_ms


@ai.command()
def limit(
    amount: Annotated[str, typer.Argument(help="dollars a month, such as 1000 or 2.50; none takes a limit away")],
    role: Annotated[str | None, typer.Option(help=f"of the calls of a role: {', '.join(ROLES)}")] = None,
    creator: Annotated[uuid.UUID | None, typer.Option(help="of the calls for one creator")] = None,
    json: AsJson = False,
) -> None:
    """Set a monthly limit, of the whole or of a part. It holds at once; jobs that waited for the budget try again."""
    scope, micro = _scope(role, creator), _micro(amount)
    with ledger("ai") as sessions, sessions.begin() as session:
        if creator is not None and not user_store.user_exists(session, creator):
            raise Failed(f"There is no creator {creator}.")
        woken = ai_limits.remove(session, scope) if micro is None else ai_limits.put(session, scope, micro)
    if micro is None and scope == TOTAL:
        micro = DEFAULT_MONTHLY_MICRO_USD
    if json:
        print_json({"scope": str(scope), "limit_micro_usd": micro, "jobs_woken": woken or []})
        return
    print_line(f"{scope}: {'no limit' if micro is None else f'{dollars(micro)} a month'}")
    if woken:
        print_line(f"{len(woken)} waiting jobs try again")


def _scope(role: str | None, creator: uuid.UUID | None) -> Scope:
    if role is not None and creator is not None:
        raise Failed("A limit is of a role or of a creator: give --role or --creator, not both.", 2)
    if role is not None and role not in ROLES:
        raise Failed(f"--role {role}: there is no such role; there are: {', '.join(ROLES)}.", 2)
    if role is not None:
        return Scope("role", role)
    return TOTAL if creator is None else Scope("creator", str(creator))


def _micro(amount: str) -> int | None:
    """'2.50' -> 2_500_000; None for 'none'. Raises Failed."""
    if amount == "none":
        return None
    try:
        micro = Decimal(amount.removeprefix("$")) * _MICRO
    except ArithmeticError:
        micro = Decimal("NaN")
    if not (micro.is_finite() and 0 <= micro <= _MOST * _MICRO and micro == micro.to_integral_value()):
        raise Failed(f"{amount} is no amount. Give dollars from 0 to {_MOST:,}, six decimals at most, or none.", 2)
    return int(micro)


def _month(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(f"{text}-01")
    except ValueError:
        raise Failed(f"--month {text}: give a month as YYYY-MM, such as 2026-11.", 2) from None


def dollars(micro_usd: int) -> str:
    """From a dollar on to the cent, below it exactly: $1,000.00, $0.000412."""
    if micro_usd >= _MICRO:
        micro_usd = (micro_usd + 5000) // 10_000 * 10_000
    cents, rest = divmod(micro_usd, 10_000)
    return f"${cents // 100:,}.{cents % 100:02d}" + f"{rest:04d}".rstrip("0")
