"""What a source may be: checked alike for the API and the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Final

from cronsim import CronSim, CronSimError

from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.trends.posts.inputs import ACTORS, Input, Query, build_input
from huntaze.pipelines.trends.posts.post import Platform

LEAST_GAP: Final = timedelta(minutes=15)  # between two runs: each costs
ITEMS_MOST: Final = 10_000
CHARGE_MOST: Final = 20_000_000  # micro-USD of one run
_LOOKED_AT: Final = 50  # slots of a cron expression
_ANCHOR: Final = datetime(2026, 1, 1, tzinfo=UTC)


class BadSource(Permanent):
    """A field of a source cannot be used; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"source.{field}_invalid", message)
        self.field = field

    def __reduce__(self) -> tuple[type["BadSource"], tuple[str, str]]:
        return (BadSource, (self.field, self.message))


@dataclass(frozen=True)
class SourceSpec:
    """One question to a platform. `max_charge_micro_usd`: of one run."""

    platform: str
    query: str
    cron: str = "0 */6 * * *"
    region: str | None = None
    language: str | None = None
    max_items: int = 200
    max_charge_micro_usd: int = 500_000

    @property
    def actor(self) -> str:
        return ACTORS[self.platform].name

    def input(self) -> Input:
        """What its actor is asked. Raises Permanent."""
        return build_input(self.platform, Query(self.query, self.max_items, self.region, self.language))


def check_source(spec: SourceSpec) -> None:
    """Raises BadSource for the first field that cannot be used."""
    if spec.platform not in list(Platform):
        raise BadSource("platform", f"There is no platform {spec.platform[:50]}; there are: {', '.join(Platform)}.")
    if not 1 <= len(spec.query) <= 200 or not spec.query.isprintable() or spec.query.strip() != spec.query:
        raise BadSource("query", "The query must be 1 to 200 printable characters: #hashtag, @profile, or words.")
    if spec.query in ("#", "@"):
        raise BadSource("query", "The query names nothing behind its sign.")
    if spec.region is not None and not re.fullmatch("[A-Z]{2}", spec.region):
        raise BadSource("region", "The region must be two capital letters (ISO 3166-1), such as DE.")
    if spec.language is not None and not re.fullmatch("[a-z]{2}", spec.language):
        raise BadSource("language", "The language must be two small letters (ISO 639-1), such as de.")
    if not 1 <= spec.max_items <= ITEMS_MOST:
        raise BadSource("max_items", f"max_items must be from 1 to {ITEMS_MOST}.")
    if not 1 <= spec.max_charge_micro_usd <= CHARGE_MOST:
        raise BadSource("max_charge_micro_usd", f"The charge of a run must be from 1 to {CHARGE_MOST} micro-USD.")
    _check_cron(spec.cron)
    spec.input()


def _check_cron(cron: str) -> None:
    if len(cron) > 64:
        raise BadSource("cron", "The cron expression must have 64 characters at most.")
    try:
        slots = list(islice(CronSim(cron, _ANCHOR), _LOOKED_AT))
    except CronSimError as error:
        raise BadSource("cron", f"cron {cron!r} cannot be read ({error}); five fields in UTC: 0 */6 * * *.") from None
    if not slots:
        raise BadSource("cron", f"cron {cron!r} never comes.")
    if any(later - sooner < LEAST_GAP for sooner, later in pairwise(slots)):
        raise BadSource("cron", f"Runs must be {LEAST_GAP.seconds // 60} minutes apart or more.")
