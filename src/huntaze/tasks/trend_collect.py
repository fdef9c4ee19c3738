"""From a dataset to posts: page by page, from the checkpoint on; then what the run is worth."""

import uuid

from huntaze.clients.apify.runner import ItemPage
from huntaze.logs import logger
from huntaze.models import trend_ingest, trend_run_store, trend_verdicts
from huntaze.models.job_args import TrendsCollect
from huntaze.models.trend_ingest import PageOf
from huntaze.models.trend_sources import RunState, TrendRun, TrendSource
from huntaze.pipelines.trends.posts.identity import AuthorKeys, parse_keys
from huntaze.pipelines.trends.posts.normalise import normalise
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job
from huntaze.tasks.trend_scrapes import apify_settings

PAGE = 1000  # items

_log = logger(__name__)


@job(TrendsCollect)
def collect(ctx: JobContext, args: TrendsCollect) -> None:
    """Reads the dataset to its end. Broken off, it goes on at the checkpoint, which moves with what was stored."""
    with ctx.sessions() as session:
        run, source = trend_run_store.load(session, args.run_id)
    if run.state != RunState.COLLECTING:
        return
    assert run.dataset_id is not None
    keys = _keys(ctx)
    offset, more = run.dataset_offset, True
    while more:
        page = ctx.clients.actors.items(run.dataset_id, offset, PAGE)
        # An empty page that covers less than all is not the end; a full one that reaches it neither: the vendor's count
        # may lag behind what a run has just written, so there has to be nothing behind it.
        more = bool(page.items) or page.next_offset < page.total
        offset = _store(ctx, page, keys, run, source)
        ctx.progress(min(offset / max(page.total, 1), 0.99), "collect")
    _conclude(ctx, run.id)


def _keys(ctx: JobContext) -> AuthorKeys:
    written = apify_settings(ctx).author_keys
    assert written is not None
    return parse_keys(written.get_secret_value())


def _store(ctx: JobContext, page: ItemPage, keys: AuthorKeys, run: TrendRun, source: TrendSource) -> int:
    """The page's rows and the checkpoint in one commit. Returns where to go on."""
    assert run.observed_at is not None
    assert run.dataset_id is not None
    rows = [normalise(source.platform, item, keys, run.observed_at) for item in page.items]
    whose = PageOf(
        run_id=run.id,
        source_id=source.id,
        dataset_id=run.dataset_id,
        observed_at=run.observed_at,
        key_version=keys.version,
        region=source.region,
        language=source.language,
    )
    following = min(page.next_offset, max(page.total, page.offset + len(page.items)))
    with ctx.sessions.begin() as session:
        nulls = trend_run_store.hold_at(session, run.id, page.offset)
        if nulls is None:  # another attempt has read on: that one goes further
            return _where(ctx, run.id, following)
        stored = trend_ingest.store_page(session, whose, page.offset, rows, page.items)
        trend_run_store.read_on(session, run.id, nulls, stored, offset=following, total=page.total)
    return following


def _where(ctx: JobContext, run_id: uuid.UUID, at_least: int) -> int:
    with ctx.sessions() as session:
        return max(trend_run_store.load(session, run_id)[0].dataset_offset, at_least)


def _conclude(ctx: JobContext, run_id: uuid.UUID) -> None:
    with ctx.finish() as finish:
        concluded = trend_verdicts.conclude(finish.session, run_id)
        if concluded is not None:
            finish.result.update(verdict=concluded.verdict, feeds=concluded.feeds)
    if concluded is not None:
        for finding in concluded.findings:
            told = {"alarm": finding.kind, "field": finding.field, "usual": finding.usual, "seen": finding.seen}
            _log.error("source held: its rows are not as usual", run_id=str(run_id), **told)
