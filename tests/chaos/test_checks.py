"""The trial's own eyes: each sees what it is there for."""

import asyncio
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.billing import charged
from tests.chaos.fleet import Fleet, Place
from tests.chaos.hooks import Arrival, Told, missing, out_of_order
from tests.chaos.nursery import TELL, Child
from tests.waiting import until

ENDPOINT, SUBJECT = uuid.uuid4(), uuid.uuid4()
FIRST, SECOND, OTHER = (Told(uuid.uuid4(), subject, at) for at, subject in enumerate((SUBJECT, SUBJECT, uuid.uuid4())))


def came(event: Told, *, signed: bool = True, accepted: bool = True) -> Arrival:
    return Arrival(ENDPOINT, event.id, "", signed, accepted)


@pytest.mark.parametrize(
    ("arrivals", "wrong"),
    [
        ([FIRST, OTHER, SECOND], 0),
        ([OTHER, FIRST, FIRST, SECOND, FIRST], 0),  # again is no disorder
        ([SECOND, FIRST, OTHER], 1),
    ],
)
def test_disorder_within_a_subject_is_seen(arrivals: list[Told], wrong: int) -> None:
    assert len(list(out_of_order([FIRST, SECOND, OTHER], [came(one) for one in arrivals]))) == wrong


def test_who_comes_before_the_one_ahead_was_accepted_is_out_of_order() -> None:
    arrivals = [came(FIRST, accepted=False), came(SECOND), came(FIRST)]
    assert len(list(out_of_order([FIRST, SECOND], arrivals))) == 1
    assert not list(out_of_order([FIRST, SECOND], arrivals, redone={FIRST.id}))


@pytest.mark.parametrize("arrivals", [[], [came(FIRST, accepted=False)], [came(FIRST, signed=False)]])
def test_what_nobody_accepted_is_missing(arrivals: list[Arrival]) -> None:
    assert len(list(missing([FIRST], arrivals))) == 1
    assert not list(missing([FIRST], [*arrivals, came(FIRST)]))


def test_money_that_moved_twice_or_is_not_booked_is_seen() -> None:
    invoice = uuid.uuid4()
    assert not charged({invoice: [500]}, {invoice: 500, uuid.uuid4(): 0})
    assert [one.sort for one in charged({invoice: [500, 500]}, {invoice: 500})] == ["doubled"]
    assert [one.sort for one in charged({invoice: [500]}, {})] == ["lost"]
    assert [one.sort for one in charged({}, {invoice: 500})] == ["lost"]


_DEAF = f"""
import faulthandler, signal
def deaf():
    signal.sigwait([signal.SIGUSR2])
faulthandler.register({int(TELL)}, file=2)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
deaf()
"""


@dataclass
class _Logs:
    path: Path

    def log(self, name: str) -> Path:
        return self.path


def test_who_does_not_stop_is_noted_with_its_stacks_and_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        deaf = subprocess.Popen([sys.executable, "-c", _DEAF], stdout=out, stderr=out, start_new_session=True)
    until(lambda: "ready" in log.read_text(), "the process")
    place = Place("deaf-0", "dispatcher", (), 0, Child(deaf.pid))
    fleet = Fleet(_Logs(log), places=[place], stop_timeout_s=0.1)  # type: ignore[arg-type]

    asyncio.run(fleet.stop())

    assert "deaf-0" in fleet.hung[0]
    assert "in deaf" in fleet.hung[0]
    assert deaf.wait(10) == -9
