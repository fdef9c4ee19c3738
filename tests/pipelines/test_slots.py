"""No slot is lost or doubled, however time is cut; and the neighbours of a moment are its neighbours."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.periodic.slots import latest_slot, next_slot, slots, slots_between

CRONS = st.sampled_from(["*/5 * * * *", "0 * * * *", "30 2 * * *", "0 9 * * MON", "17 4 29 2 *", "59 23 31 * *"])
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11))])
# hypothesis takes naive bounds and adds the zone
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=ZONES)  # noqa: DTZ001
STEPS = st.lists(st.timedeltas(timedelta(0), timedelta(days=4)), min_size=1, max_size=8)


def cut(start: datetime, steps: list[timedelta]) -> list[datetime]:
    moments = [start]
    for step in steps:
        moments.append(moments[-1] + step)
    return moments


@settings(deadline=None)
@given(MOMENTS, STEPS, CRONS)
def test_no_slot_is_lost_or_doubled_however_time_is_cut(start: datetime, steps: list[timedelta], cron: str) -> None:
    moments = cut(start, steps)
    since = [slot for piece in pairwise(moments) for slot in slots(cron, *piece)]
    within = [slot for piece in pairwise(moments) for slot in slots_between(cron, *piece)]
    assert since == list(slots(cron, start, moments[-1]))
    assert within == list(slots_between(cron, start, moments[-1]))
    assert all(start < slot <= moments[-1] for slot in since)
    assert all(start <= slot < moments[-1] for slot in within)


@settings(deadline=None)
@given(MOMENTS, CRONS, st.booleans())
def test_a_moment_lies_between_its_neighbours(moment: datetime, cron: str, on_a_slot: bool) -> None:
    if on_a_slot:
        moment = next(slots(cron, moment, moment + timedelta(days=2000)))
    before, after = latest_slot(cron, moment), next_slot(cron, moment)
    assert before is not None
    assert after is not None
    assert before <= moment < after
    assert (before == moment) >= on_a_slot
    assert list(islice(slots(cron, before, after), 2)) == [after], "and nothing lies between them"


def test_a_range_has_its_start_and_not_its_end() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert list(slots_between("0 * * * *", noon, noon + timedelta(hours=2))) == [noon, noon + timedelta(hours=1)]
    assert list(slots("0 * * * *", noon, noon + timedelta(hours=1))) == [noon + timedelta(hours=1)]
    assert list(slots_between("0 * * * *", noon, noon)) == []
