"""What `huntaze doctor` says of scraping: sources that are held, money that is short, settings that are half there."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from huntaze.cli.findings import Finding
from huntaze.models import scrape_budget, trend_verdicts
from huntaze.setting_groups import ApifySettings

_SHORT = 0.9  # of the month's cap: from here on runs will soon be skipped


def examine_sources(session: Session, settings: ApifySettings) -> Iterator[Finding]:
    """Open alarms, the month's money, and what scraping lacks to begin."""
    for alarm in trend_verdicts.open_alarms(session, 10):
        fix = (
            f"Its posts are not counted. Look at huntaze sources runs {alarm.source_id}; "
            "once it is right, huntaze sources resume."
        )
        yield Finding("sources", False, str(alarm), fix, warning=True)
    now, cap = scrape_budget.spend(session), settings.monthly_cap_micro_usd
    used = (now.spent + now.reserved) / cap if cap else 1.0
    detail = f"{100 * used:.0f} % of the month's ${cap / 1_000_000:,.2f} for scraping are spent or put aside"
    fix = "Runs are skipped where nothing is left: raise HUNTAZE_APIFY_MONTHLY_CAP_MICRO_USD, or pause sources."
    yield Finding("scraping", used < _SHORT, detail, fix, warning=True)
    if settings.token is not None:
        yield from _whole(settings)


def _whole(settings: ApifySettings) -> Iterator[Finding]:
    if settings.author_keys is None:
        fix = "Set HUNTAZE_APIFY_AUTHOR_KEYS: nothing is scraped without it."
        yield Finding("scraping", False, "there are no keys to hash authors with", fix, warning=True)
    if (settings.webhook_url is None) != (settings.webhook_secret is None):
        fix = (
            "HUNTAZE_APIFY_WEBHOOK_URL and HUNTAZE_APIFY_WEBHOOK_SECRET go together; until then runs are polled alone."
        )
        yield Finding("scraping", False, "webhooks are half set up", fix, warning=True)
