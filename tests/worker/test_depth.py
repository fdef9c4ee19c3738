"""How deep the broker may be: free slots for slow jobs, what drains for quick ones."""

from hypothesis import given
from hypothesis import strategies as st

from huntaze.worker.depth import WINDOW_S, Depth


def test_slow_jobs_are_sent_to_free_slots_only() -> None:
    depth = Depth(1000)
    assert depth.room(0.0, slots=2, queued=0, running=0) == 2
    depth.sent(2)
    assert depth.room(0.02, slots=2, queued=2, running=0) == 0
    assert depth.room(0.04, slots=2, queued=0, running=2) == 0, "to be claimed is not to be done"
    for tick in range(1, 50):
        room = depth.room(0.04 + WINDOW_S + tick, slots=2, queued=0, running=2)
        assert room == 0
    assert depth.room(60.0, slots=2, queued=0, running=1) == 1


def test_quick_jobs_get_a_deeper_broker() -> None:
    depth, sent = Depth(1000), []
    for tick in range(20):
        room = depth.room(tick * 0.02, slots=2, queued=0, running=0)
        depth.sent(room)
        sent.append(room)
    assert sent[0] == 2
    assert sent[8] > 100, "it doubles from round to round"
    assert max(sent) <= 1002


def test_a_slow_job_that_follows_another_makes_no_room_for_a_third() -> None:
    depth = Depth(1000)
    depth.room(0.0, slots=2, queued=0, running=2)
    assert depth.room(0.1, slots=2, queued=0, running=1) == 1
    depth.sent(1)
    assert depth.room(0.12, slots=2, queued=0, running=2) == 0
    assert depth.room(0.5, slots=2, queued=0, running=0) == 2
    depth.sent(2)
    assert depth.room(0.52, slots=2, queued=1, running=1) == 0
    assert depth.room(0.54 + 0.9 * WINDOW_S, slots=2, queued=0, running=2) == 0, "a round that came late"
    assert depth.room(0.56 + 0.9 * WINDOW_S, slots=2, queued=0, running=1) == 1, "one follows, not two"


def test_quick_jobs_get_a_deeper_broker_beside_slow_ones() -> None:
    depth, sent = Depth(1000), []
    for tick in range(20):
        room = depth.room(tick * 0.02, slots=16, queued=0, running=12)
        depth.sent(room)
        sent.append(room)
    assert sent[0] == 4
    assert sent[-1] > 100


def test_after_a_pause_the_depth_begins_anew() -> None:
    depth = Depth(1000)
    depth.room(0.0, slots=2, queued=0, running=0)
    depth.sent(500)
    assert depth.room(100.0, slots=2, queued=0, running=0) == 2


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 50), st.integers(0, 500), st.integers(0, 50), st.integers(0, 500)),
        max_size=40,
    )
)
def test_room_is_never_negative_nor_beyond_the_most(steps: list[tuple[float, int, int, int, int]]) -> None:
    depth, now = Depth(100), 0.0
    for wait, slots, queued, running, sent in steps:
        now += wait
        room = depth.room(now, slots, queued, running)
        assert 0 <= room <= slots + 100
        depth.sent(min(sent, room))
