"""What `up` and `demo` show a person."""

from typing import Any

from rich.panel import Panel
from rich.text import Text

from huntaze.cli.demo import DemoFacts
from huntaze.cli.fleet import Fleet
from huntaze.cli.output import PANEL_COLUMNS, out, print_line, print_table
from huntaze.cli.stack.ports import LOOPBACK, METRICS_PORTS
from huntaze.cli.stack.rundir import RunDir


def print_facts(facts: DemoFacts) -> None:
    """The analysis, the picture, the times, the bytes, the cost."""
    if facts.error is not None:
        reason = f"The video could not be analysed: {facts.error['message']} ({facts.error['code']})"
        out.print(reason, style="red", markup=False, soft_wrap=True)
    if facts.analysis is not None:
        _print_analysis(facts)
    media = facts.media
    if media is not None:
        length = "unknown length" if media["duration_s"] is None else f"{media['duration_s']:.1f} s"
        print_line(f"Video     {facts.file}: {media['codec']}, {media['width']}x{media['height']}, {length}")
    if facts.grid is not None:
        times = ", ".join(f"{cell['time_s']:.1f}" for cell in facts.cells)
        print_line(f"Grid      {facts.grid}  ({len(facts.cells)} cells, at {times} s)")
    if facts.reading is not None:
        read, size = facts.reading["bytes"], facts.reading["size"]
        share = f"{100 * read / size:.1f} % of the object's {size:,} bytes, {facts.reading['requests']} requests"
        out.print(f"Read      {read:,} bytes from S3: {share}")
    if facts.usage is not None:
        usage = facts.usage
        print_line(f"Model     {usage['model']}: {_cost(usage)}")
    if facts.ledger is not None:
        print_line(f"AI ledger {_booked(facts.ledger)}")
    print_line(f"Job       {facts.job_id}")
    if facts.error is not None:
        return  # what else was not done follows from it
    out.print()
    print_table(["stage", "seconds"], [(t.stage, f"{t.seconds:.3f}") for t in facts.timings], "no stage ran")
    out.print(f"[bold]from upload to analysis: {facts.total_s:.2f} s[/bold]")
    for problem in facts.problems:
        out.print(f"Not done: {problem}.", style="red")


def _cost(usage: dict[str, Any]) -> str:
    """What the answer took, and what it was forecast to take at most."""
    if usage.get("reused"):
        return "not asked again: the same pictures were analysed before, this cost nothing"
    cost = f"{usage['input_tokens']} + {usage['output_tokens']} tokens, ${usage['cost_micro_usd'] / 1e6:.6f}"
    if forecast := usage.get("forecast"):
        most = f"{forecast['input_tokens']} + {forecast['output_tokens']}, ${forecast['cost_micro_usd'] / 1e6:.6f}"
        cost += f"; forecast at most {most}"
    return cost + (" (sandbox: nothing was paid)" if usage["sandbox"] else "")


def _booked(role: dict[str, Any]) -> str:
    """The month's row of a role: what all its calls took, those of earlier runs included."""
    tokens = f"{role['input_tokens']} + {role['output_tokens']} tokens, ${role['cost_micro_usd'] / 1e6:.6f}"
    median = "" if role["latency_ms"] is None else f", median {role['latency_ms']} ms"
    return f"{role['role']} this month: {role['calls']} calls, {tokens}{median}; more: huntaze ai budget"


def _print_analysis(facts: DemoFacts) -> None:
    analysis = facts.analysis or {}
    sandbox = bool(facts.usage and facts.usage["sandbox"])
    text = Text()
    text.append(f"{analysis['summary']}\n")
    text.append(f"Tags: {', '.join(analysis['tags'])}\n\n", style="dim")
    for scene in analysis["scenes"]:
        text.append(f"{'#' + str(scene['cell']):>3} {scene['time_s']:6.1f} s  {scene['description']}\n")
    text.append("\n")
    for name, value in _suggestions(analysis):
        text.append(f"{name:<9}", style="bold")
        text.append(f" {value}\n")
    text.rstrip()
    title = "SANDBOX answer: made from pixels, no model has seen this video" if sandbox else "Analysis"
    width = min(out.width, PANEL_COLUMNS)
    out.print(Panel(text, title=title, border_style="yellow" if sandbox else "green", width=width))


def _suggestions(analysis: dict[str, Any]) -> list[tuple[str, str]]:
    """(label, text) of what the model proposes and judges, without what is not there."""
    cover = analysis.get("cover")
    rows = [("Cover", f"#{cover['cell']} at {cover['time_s']:.1f} s: {cover['reason']}")] if cover else []
    rows += [(name, text) for name in ("Titles", "Captions", "Hooks") for text in analysis.get(name.lower(), [])]
    judged = [f"rated {analysis['content_rating']}", f"confidence {analysis['confidence']:.0%}"]
    judged += [f"words in {analysis['language']}"] if analysis.get("language") else []
    rows.append(("Judged", ", ".join(judged)))
    rows += [("Flags", ", ".join(analysis["safety_flags"]))] if analysis["safety_flags"] else []
    rows += [("Quality", note) for note in analysis["quality_notes"]] + [("Note", note) for note in analysis["notes"]]
    return [("" if at and rows[at - 1][0] == name else name, text) for at, (name, text) in enumerate(rows)]


def print_urls(fleet: Fleet, flower: str, run: RunDir) -> None:
    """Where everything is."""
    out.print()
    out.print("[bold]The fleet is up.[/bold]")
    print_line(f"API       {fleet.api_url}")
    print_line(f"API docs  {fleet.api_url}/docs")
    print_line(f"Metrics   {fleet.api_url}/metrics   queues and requests; of the processes that work:")
    for name in METRICS_PORTS:
        print_line(f"          http://{LOOPBACK}:{fleet.ports[name]}/metrics   {name}")
    login = f"user {fleet.environment.get('HUNTAZE_FLOWER_USER', 'ops')}, password "
    print_line(f"Flower    {flower}   {login}{fleet.environment['HUNTAZE_FLOWER_PASSWORD']}")
    print_line(f"Demo key  {fleet.key}")
    print_line(f"Data      {run.path}   logs: {run.logs}")
    out.print("Other commands (huntaze jobs list, huntaze enqueue video FILE, ...) find this fleet from this folder.")
    out.print("[dim]Ctrl-C stops all of it.[/dim]")
