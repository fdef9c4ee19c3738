"""What `demo` shows of a scrape and of what came of it."""

from datetime import datetime
from textwrap import shorten
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from huntaze.cli.demo_trends import TrendFacts
from huntaze.cli.output import PANEL_COLUMNS, out, print_line, print_table

_SHOWN = 3  # recommendations
_POST = 80  # characters
_BARS = "▁▂▃▄▅▆▇█"
_BY = {"model": "by the model", "sandbox": "SANDBOX", "template": "from the figures, without a model"}


def print_trend_facts(facts: TrendFacts) -> None:
    """The scrape, the trends with their figures, the recommendations with their reasons, the times."""
    run, source = facts.run, facts.source
    cost = "" if run["cost_micro_usd"] is None else f", ${run['cost_micro_usd'] / 1e6:.4f} (sandbox: nothing was paid)"
    new = f"{run['posts']:,} posts, {run['posts_new']:,} of them new"
    out.print()
    print_line(f"Scrape    {source['platform']} {source['query']}: {new}{cost}")
    print_line(f"Detection {_detected(facts.detection)}")
    if facts.series:
        print_line(f"Rising    {_bars(facts.series)} {facts.trends[0]['label']}, posts an hour in the sample")
    out.print()
    columns = ["trend", "state", "since (UTC)", "posts", "authors", "x threshold", "change", "confidence"]
    print_table(columns, [_row(trend) for trend in facts.trends], "no trend was found", whole=columns[1:])
    out.print()
    if facts.recommendations:
        _print_recommendations(facts.recommendations)
    rows = [(stage, f"{seconds:.3f}") for stage, seconds in facts.stages.items()]
    print_table(["stage", "seconds"], rows, "no stage ran")
    out.print(f"[bold]from scrape to recommendations: {facts.total_s:.2f} s[/bold]")
    for problem in facts.problems:
        out.print(f"Not done: {problem}.", style="red")


def _detected(told: dict[str, Any]) -> str:
    if not told.get("hours"):
        return "no new hour: what there is was scored before"
    alarms = "1 alarm" if told["alarms"] == 1 else f"{told['alarms']} alarms"
    return f"{told['hours']} hours scored, {told['topics']:,} topics, {alarms}"


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    since, change = datetime.fromisoformat(one["started_at"]), f"{one['velocity']:+.1f}/h"
    figures = (one["posts"], one["authors"], f"{one['strength']:.1f}", change, f"{one['confidence']:.0%}")
    return (one["label"], one["state"], f"{since:%m-%d %H:%M}", *figures)


def _bars(series: list[int]) -> str:
    most = max(series) or 1
    return "".join(_BARS[round(posts * (len(_BARS) - 1) / most)] for posts in series)


def _print_recommendations(recommendations: list[dict[str, Any]]) -> None:
    shown = Table.grid(padding=(0, 1))
    for one in recommendations[:_SHOWN]:
        shown.add_row(Text(f"{one['place']}."), Text(one["label"], style="bold"))
        for name, text in _reasons(one):
            shown.add_row(Text(name, style="dim"), Text(text))
    if len(recommendations) > _SHOWN:
        shown.add_row("", Text(f"and {len(recommendations) - _SHOWN} more: GET /v1/recommendations", style="dim"))
    title = "Recommendations: SANDBOX, these posts are made up"
    out.print(Panel(shown, title=title, border_style="yellow", width=min(out.width, PANEL_COLUMNS)))


def _reasons(one: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, text) of why it is there, what to make of it, and who else did."""
    why = one["why"]
    worth = " x ".join(f"{part} {why[part]:.2f}" for part in ("relevance", "strength", "freshness"))
    common = f"in common: {', '.join(why['terms'])}" if why["terms"] else "nothing in common with your own work"
    rows = [("Why", f"{worth}; {common}"), ("Idea", f"{one['idea']['text']} ({_BY[one['idea']['source']]})")]
    for post in one["examples"][:2]:
        views = "" if post["views"] is None else f"{post['views']:,} views: "
        rows.append(("Post", f"{views}{shorten(post['text'], _POST, placeholder='…')}"))
    return rows
