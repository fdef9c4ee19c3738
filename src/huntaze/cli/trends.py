"""`huntaze trends`: what rises now, its jobs and reports by hand, and any series through the detector."""

import csv
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from json import dumps
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from sqlalchemy.orm import Session

from huntaze.cli import trend_jobs
from huntaze.cli.here import ledger
from huntaze.cli.moments import MOMENT, parse_moment, rough_length
from huntaze.cli.output import WIDE, Failed, err, live_progress, out, print_json, print_line, print_table
from huntaze.models import job_store, trend_lives, trend_report_requests, trend_report_store, user_store
from huntaze.models.jobs import Job
from huntaze.models.trend_reports import TrendReport
from huntaze.models.trend_topics import Trend, TrendTopic
from huntaze.pipelines.trends.backtest import BadSeries, Row, Series, detector_for, read_series, replay
from huntaze.pipelines.trends.life import TrendState
from huntaze.pipelines.trends.topics import TopicKind

trends = typer.Typer(no_args_is_help=True, help="Show trends, and replay series through the detector.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Slot = Annotated[str | None, typer.Option(help=f'the job\'s "now"; default: now; {MOMENT}')]
_TOLD = 500  # rows between two words on progress
_NAMED = 10  # alarms that the summary names


@trends.callback()
def _group() -> None:
    """Show trends, and replay series through the detector."""


@trends.command("list")
def list_trends(
    state: Annotated[TrendState | None, typer.Option(help="only these; else all that are not over")] = None,
    platform: Annotated[str | None, typer.Option(help="only of this platform, e.g. tiktok")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """Show trends by rank: the strength of the alarm, halved every twelve hours since the peak."""
    with ledger("trends") as sessions, sessions() as session:
        now = job_store.db_now(session)
        found = trend_lives.search(session, now, platform=platform, state=state, limit=limit)
    if json:
        print_json([_facts(*one) for one in found])
        return
    wide = out.width >= WIDE
    columns = ["topic", "state", "rank", "posts/h", *(["change", "lead", "confidence"] if wide else [])]
    columns += ["since (UTC)", *(["platforms", "id"] if wide else [])]
    rows = [(*_seen(*one), *(_more(one[0]) if wide else ()), f"{one[0].started_at:%m-%d %H:%M}") for one in found]
    ends = [(", ".join(trend.platforms), trend.id) if wide else () for trend, _, _ in found]
    rows = [(*row, *end) for row, end in zip(rows, ends, strict=True)]
    print_table(columns, rows, "there are no such trends", whole=("state", "rank", "since (UTC)", "id"))


def _facts(trend: Trend, topic: TrendTopic, rank: float) -> dict[str, Any]:
    columns = {column.key: getattr(trend, column.key) for column in Trend.__table__.columns}
    return {**columns, "kind": topic.kind, "name": topic.name, "rank": round(rank, 4)}


def _seen(trend: Trend, topic: TrendTopic, rank: float) -> tuple[str, ...]:
    name = f"#{topic.name}" if topic.kind == TopicKind.HASHTAG else topic.name
    return name, trend.state, f"{rank:.2f}", f"{trend.level:.1f}"


def _more(trend: Trend) -> tuple[str, ...]:
    lead = "" if trend.lead_h is None else f"{trend.lead_h} h"
    return f"{trend.velocity:+.1f}/h", lead, f"{trend.confidence:.0%}"


@trends.command()
def detect(slot: Slot = None, json: AsJson = False) -> None:
    """Have what was scraped scored now, not at the next hour. Hours are scored once, however often it is asked for."""
    with ledger("trends") as sessions, sessions.begin() as session:
        job = trend_jobs.detect(session, _slot(session, slot))
        _tell(job, as_json=json)


@trends.command()
def recommend(
    creator: Annotated[str | None, typer.Option(help="a creator's handle or id; default: everybody")] = None,
    slot: Slot = None,
    json: AsJson = False,
) -> None:
    """Have a new set of recommendations made now, not tomorrow morning. The creator is told when it is there."""
    with ledger("trends") as sessions, sessions.begin() as session:
        whose = None if creator is None else _creator(session, creator)
        job = trend_jobs.recommend(session, _slot(session, slot), whose)
        _tell(job, as_json=json)


@trends.command()
def report(
    creator: Annotated[str, typer.Option(help="a creator's handle or id")],
    json: AsJson = False,
) -> None:
    """Have a report made of the last seven whole days. A worker makes it; the creator is told."""
    with ledger("trends") as sessions, sessions.begin() as session:
        asked = trend_report_requests.ask(session, _creator(session, creator))
        session.refresh(asked)
        facts = {column.key: getattr(asked, column.key) for column in TrendReport.__table__.columns}
    if json:
        print_json(facts)
    else:
        print_line(f"report {facts['id']}: {facts['first']} to {facts['last']} (UTC); huntaze trends reports")


@trends.command("reports")
def list_reports(
    creator: Annotated[str | None, typer.Option(help="only this creator's, by handle or id")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: AsJson = False,
) -> None:
    """Show trend reports, newest first."""
    with ledger("trends") as sessions, sessions() as session:
        owner = None if creator is None else _creator(session, creator)
        found = trend_report_store.list_reports(session, owner, limit=limit)
        facts = [{column.key: getattr(one, column.key) for column in TrendReport.__table__.columns} for one in found]
    if json:
        print_json(facts)
        return
    rows = [(one["id"], one["cadence"], one["first"], one["last"], one["state"], _told(one["words"])) for one in facts]
    print_table(["id", "cadence", "first", "last", "state", "words"], rows, "there are no reports")


def _told(words: dict[str, Any] | None) -> str:
    return "" if words is None else f"{len(words['paragraphs'])} by {words['source']}"


def _creator(session: Session, named: str) -> uuid.UUID:
    found = user_store.find_user(session, named)
    if found is None:
        raise Failed(f"--creator {named}: there is no creator with this handle or id.", 2)
    return found


def _slot(session: Session, text: str | None) -> datetime:
    now = job_store.db_now(session)
    slot = now if text is None else parse_moment(text, "--slot")
    if slot > now:
        raise Failed(f"--slot {text} has not come yet; it is {now:%Y-%m-%dT%H:%MZ} now.", 2)
    return slot


def _tell(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json({"job_id": job.id, "kind": job.kind, "state": job.state})
    else:
        print_line(f"job {job.id} is {job.state}; huntaze jobs show {job.id}")


@trends.command()
def backtest(
    file: Annotated[Path, typer.Argument(help="a CSV file with the columns timestamp,value")],
    to: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="instead of standard output")] = None,
    json: AsJson = False,
) -> None:
    """Replay FILE: rows of timestamp,value,anomaly_score, in its order.

    A score of 1.0 or more is an alarm; every row knows only those above it. Times that name no zone are UTC.
    """
    series = _read(file)
    rows = _replayed(series)
    with _opened(to) as file_out:
        if json:
            file_out.write(dumps([row._asdict() for row in rows], indent=2) + "\n")
        else:
            writer = csv.writer(file_out, lineterminator="\n")
            writer.writerow(Row._fields)
            writer.writerows((row.timestamp, _plain(row.value), row.anomaly_score) for row in rows)
    _sum_up(series, rows)


def _read(file: Path) -> Series:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return read_series(lines)
    except BadSeries as error:
        raise Failed(f"{file}, {error}.", 2) from None
    except UnicodeDecodeError:
        raise Failed(f"{file} is not text in UTF-8; name a CSV file with the columns timestamp,value.", 2) from None
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror or error}.", 2) from None


def _replayed(series: Series) -> list[Row]:
    rows: list[Row] = []
    with live_progress() as progress:
        task = progress.add_task("replay", total=len(series.stamps))
        for row in replay(series, detector_for(series)):
            rows.append(row)
            if len(rows) % _TOLD == 0:
                progress.update(task, completed=len(rows))
    return rows


@contextmanager
def _opened(to: Path | None) -> Iterator[TextIO]:
    if to is None:
        yield sys.stdout
        return
    try:
        with to.open("w", encoding="utf-8", newline="") as opened:
            yield opened
    except OSError as error:
        raise Failed(f"{to} cannot be written: {error.strerror or error}. Name another file with --out.") from None


def _plain(value: float) -> float | int:
    """104 as it stood in the file, not 104.0."""
    return int(value) if value.is_integer() else value


def _sum_up(series: Series, rows: list[Row]) -> None:
    """For people, beside the rows: on standard error."""
    alarms = [row.timestamp for row in rows if row.anomaly_score >= 1]
    more = f", and {len(alarms) - _NAMED} more" if len(alarms) > _NAMED else ""
    named = f": {', '.join(alarms[:_NAMED])}{more}" if alarms else ""
    step, count = rough_length(series.step_s), "1 alarm" if len(alarms) == 1 else f"{len(alarms)} alarms"
    err.print(f"{len(rows)} rows, one every {step}; {count}{named}", markup=False, style="dim", soft_wrap=True)
