import io
import threading
from collections.abc import Iterator

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.reader import RangeReader, Tactics
from tests.pipelines import films

DATA = bytes(number * 7 % 251 for number in range(1000))
SMALL = Tactics(whole_most=0, head=100, block=100, tail=0, cache=1000, spool_most=0)

places = st.integers(0, 1200)
moves = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 1200)),
    st.tuples(st.just("set"), places),
    st.tuples(st.just("cur"), st.integers(-300, 300)),
    st.tuples(st.just("end"), st.integers(-1000, 100)),
    st.tuples(st.just("ahead"), st.lists(st.tuples(places, places), max_size=4)),
    st.tuples(st.just("spool"), st.just(0)),
)


def reader(data: bytes = DATA, tactics: Tactics = SMALL, **options: object) -> RangeReader:
    return RangeReader(lambda start, end: data[start:end], len(data), tactics=tactics, **options)  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    data=st.binary(max_size=1000),
    tactics=st.builds(
        Tactics,
        whole_most=st.sampled_from([0, 500]),
        head=st.integers(1, 300),
        block=st.integers(1, 300),
        tail=st.integers(0, 300),
        cache=st.integers(0, 600),
        spool_most=st.sampled_from([0, 2000]),
    ),
    steps=st.lists(moves, max_size=30),
)
def test_any_walk_reads_what_a_file_in_memory_reads(
    data: bytes, tactics: Tactics, steps: list[tuple[str, object]]
) -> None:
    theirs = io.BytesIO(data)
    with reader(data, tactics, stream=lambda: [data[:300], data[300:]]) as ours:
        for what, argument in steps:
            if what == "ahead":
                ours.fetch_ahead(argument)  # type: ignore[arg-type]
            elif what == "spool":
                ours.spool("a test says so")
            elif what == "read":
                assert ours.read(argument) == theirs.read(argument)  # type: ignore[arg-type]
            else:
                moves_alike(ours, theirs, what, argument, len(data))  # type: ignore[arg-type]
            assert ours.tell() == theirs.tell()


def moves_alike(ours: RangeReader, theirs: io.BytesIO, what: str, number: int, size: int) -> None:
    whence = {"set": io.SEEK_SET, "cur": io.SEEK_CUR, "end": io.SEEK_END}[what]
    base = {"set": 0, "cur": theirs.tell(), "end": size}[what]
    if base + number < 0:  # BytesIO clips some of these to the start and refuses others
        with pytest.raises(ValueError, match="before the start"):
            ours.seek(number, whence)
    else:
        assert ours.seek(number, whence) == theirs.seek(number, whence)


class Store:
    """An object that remembers what was asked of it, by whom."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []
        self.threads: set[int] = set()
        self.streams = 0

    def fetch(self, start: int, end: int) -> bytes:
        self.asked.append((start, end))
        self.threads.add(threading.get_ident())
        return self.data[start:end]

    def stream(self) -> Iterator[bytes]:
        self.streams += 1
        yield self.data[:400]
        yield self.data[400:]


def test_a_small_object_comes_in_one_request() -> None:
    store = Store()
    ours = RangeReader(store.fetch, 1000, tactics=Tactics())
    ours.seek(700)
    assert ours.read(10) == DATA[700:710]
    ours.fetch_ahead([(0, 50), (800, 900)])
    assert ours.spool("no index")
    ours.seek(0)
    assert ours.read() == DATA
    assert store.asked == [(0, 1000)]
    assert (ours.way, ours.requests, ours.bytes_read) == ("whole", 1, 1000)


def test_a_large_one_begins_with_its_head_and_an_index_at_the_back_is_one_request() -> None:
    store = Store()
    ours = RangeReader(store.fetch, 1000, tactics=Tactics(whole_most=0, head=128, block=32, tail=400))
    ours.read(50)
    ours.seek(630)
    ours.read(10)
    ours.seek(990)
    ours.read(10)
    assert store.asked == [(0, 128), (608, 1000)]


def test_reading_straight_on_asks_for_more_each_time() -> None:
    store = Store(bytes(100_000))
    ours = RangeReader(store.fetch, 100_000, tactics=Tactics(whole_most=0, head=100, block=100, tail=0))
    ours.fetch_ahead([])
    ours.seek(1000)
    for _ in range(14):
        ours.read(100)
    assert store.asked == [(1000, 1100), (1100, 1300), (1300, 1700), (1700, 2500)]


def test_what_is_known_beforehand_is_fetched_side_by_side_and_read_without_a_request() -> None:
    store, together = Store(), threading.Barrier(3)

    def fetch(start: int, end: int) -> bytes:
        if start:
            together.wait(10)  # passes only when three requests are under way at once
        return store.fetch(start, end)

    ours = RangeReader(fetch, 1000, tactics=SMALL)
    ours.read(10)
    ours.fetch_ahead([(150, 200), (300, 333), (50, 60), (900, 2000)])
    for start, end in ((150, 200), (300, 333), (900, 1000)):
        ours.seek(start)
        assert ours.read1(1000) == DATA[start:end], "a planned piece is not read past its end"
    assert sorted(store.asked) == [(0, 100), (150, 200), (300, 333), (900, 1000)]
    assert (ours.way, ours.requests, ours.bytes_read) == ("planned", 4, 283)


def test_overlapping_plans_fetch_no_byte_twice() -> None:
    ours = reader()
    ours.fetch_ahead([(100, 300)])
    ours.fetch_ahead([(200, 500), (50, 120)])
    assert ours.bytes_read == 450


def test_the_first_failure_of_a_plan_comes_out_as_itself() -> None:
    away = Transient("store.away", "The store is away.")

    def fetch(start: int, end: int) -> bytes:
        if start == 300:
            raise away
        return DATA[start:end]

    with pytest.raises(Transient) as caught:
        RangeReader(fetch, 1000, tactics=SMALL).fetch_ahead([(start, start + 50) for start in range(0, 1000, 100)])
    assert caught.value is away


def test_a_plan_that_fails_ends_on_the_disk_and_says_why() -> None:
    store = Store(bytes(1000) + DATA)
    tactics = Tactics(whole_most=0, head=10, block=10, tail=0, cache=100)
    with RangeReader(store.fetch, 2000, stream=store.stream, tactics=tactics) as ours:
        ours.fetch_ahead([(0, 10)])
        for number in range(20):
            ours.seek(1990 - 100 * number)
            assert ours.read(5) == store.data[1990 - 100 * number :][:5]
        assert ours.way == "spooled"
        assert ours.reason == "the plan failed: 9 unforeseen requests"
        assert (store.streams, len(store.asked)) == (1, 1 + 8)
        assert ours.bytes_read == 10 + 8 * 10 + 2000


def test_an_index_that_is_spread_over_the_file_ends_on_the_disk() -> None:
    store = Store(bytes(50_000_000))
    tactics = Tactics(whole_most=0, head=10, block=10, tail=0)
    with RangeReader(store.fetch, len(store.data), stream=store.stream, tactics=tactics) as ours:
        for number in range(10):
            ours.seek(1_000_000 * number)
            ours.read(5)
        assert (ours.way, ours.reason) == ("spooled", "the index is spread over the file: 9 unforeseen requests")


def test_an_object_too_large_for_the_disk_is_read_on_demand() -> None:
    store = Store()
    ours = RangeReader(store.fetch, 1000, stream=store.stream, tactics=Tactics(whole_most=0, head=100, spool_most=999))
    assert not ours.spool("no usable index")
    assert (ours.way, ours.reason, store.streams) == ("demand", "no usable index", 0)
    assert ours.read() == DATA


def test_a_copy_to_disk_keeps_budget_length_and_deadline() -> None:
    store = Store()
    tactics = Tactics(whole_most=0, head=100)
    poor = RangeReader(store.fetch, 1000, stream=store.stream, tactics=tactics, budget_bytes=999)
    assert not poor.spool("no usable index")
    for chunks in ([DATA[:999]], [DATA, b"x"]):
        with pytest.raises(Transient, match=r"store\.short_read"):
            RangeReader(store.fetch, 1000, stream=lambda chunks=chunks: chunks, tactics=tactics).spool("x")  # type: ignore[misc]

    class TimeUpError(Exception):
        pass

    asked = iter([None, None, TimeUpError()])

    def deadline() -> None:
        if (ended := next(asked)) is not None:
            raise ended

    with pytest.raises(TimeUpError):
        RangeReader(store.fetch, 1000, stream=store.stream, tactics=tactics, deadline=deadline).spool("x")


def test_pieces_fetched_on_demand_go_when_there_is_no_room_planned_ones_stay() -> None:
    ours = reader(tactics=Tactics(whole_most=0, head=100, block=100, tail=0, cache=200))
    ours.fetch_ahead([(0, 100)])
    for position in (100, 300, 100, 500, 100, 0):
        ours.seek(position)
        ours.read(1)
    assert ours.requests == 4
    ours.seek(300)
    ours.read(1)
    assert ours.requests == 5, "the one least recently used had gone"


def test_the_budget_is_kept_before_a_byte_too_many_is_fetched() -> None:
    ours = reader(budget_bytes=250)
    ours.fetch_ahead([(0, 200)])
    ours.seek(200)
    with pytest.raises(MediaError) as caught:
        ours.read(100)
    assert caught.value.code == "media.over_budget"
    assert ours.bytes_read == 200
    with pytest.raises(MediaError):
        ours.fetch_ahead([(300, 340), (400, 450)])


def test_a_short_answer_of_the_store_is_the_stores_fault() -> None:
    for ahead in (False, True):
        ours = RangeReader(lambda start, end: DATA[start : end - 1], len(DATA), tactics=SMALL)
        with pytest.raises(Transient) as caught:
            ours.fetch_ahead([(100, 200), (300, 400)]) if ahead else ours.read(10)
        assert caught.value.code == "store.short_read"


def test_the_deadline_is_asked_before_each_request_and_ends_the_reading() -> None:
    class TimeUpError(Exception):
        pass

    left = iter([None, TimeUpError()])

    def deadline() -> None:
        if (ended := next(left)) is not None:
            raise ended

    ours = reader(deadline=deadline)
    ours.read(100)
    with pytest.raises(TimeUpError):
        ours.read(100)
    assert ours.requests == 1


def test_av_reads_through_it_and_lets_its_exceptions_out_in_their_own_type() -> None:
    data = films.film(50)
    with av.open(reader(data, Tactics(whole_most=0, head=512, block=512)), "r") as film:
        assert sum(1 for _ in film.decode(video=0)) == 50

    def away(start: int, end: int) -> bytes:
        raise Transient("store.away", "The store is away.")

    with pytest.raises(Transient):
        av.open(RangeReader(away, len(data)), "r")


@pytest.mark.parametrize(
    ("size", "tactics"), [(-1, SMALL), (1, Tactics(block=0)), (1, Tactics(head=0))], ids=["size", "block", "head"]
)
def test_nonsense_is_refused_at_once(size: int, tactics: Tactics) -> None:
    with pytest.raises(ValueError, match="must"):
        RangeReader(lambda start, end: b"", size, tactics=tactics)
