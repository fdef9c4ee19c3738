import io

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.reader import RangeReader
from tests.pipelines import films

DATA = bytes(number * 7 % 251 for number in range(1000))

moves = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 1200)),
    st.tuples(st.just("set"), st.integers(0, 1200)),
    st.tuples(st.just("cur"), st.integers(-300, 300)),
    st.tuples(st.just("end"), st.integers(-1000, 100)),
)


def reader(data: bytes = DATA, **options: object) -> RangeReader:
    return RangeReader(lambda start, end: data[start:end], len(data), **options)  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    data=st.binary(max_size=1000),
    block=st.integers(1, 300),
    cache_blocks=st.integers(1, 5),
    steps=st.lists(moves, max_size=30),
)
def test_any_walk_reads_what_a_file_in_memory_reads(
    data: bytes, block: int, cache_blocks: int, steps: list[tuple[str, int]]
) -> None:
    ours, theirs = reader(data, block=block, cache_blocks=cache_blocks), io.BytesIO(data)
    for what, number in steps:
        if what == "read":
            assert ours.read(number) == theirs.read(number)
        else:
            whence = {"set": io.SEEK_SET, "cur": io.SEEK_CUR, "end": io.SEEK_END}[what]
            base = {"set": 0, "cur": theirs.tell(), "end": len(data)}[what]
            if base + number < 0:  # BytesIO clips some of these to the start and refuses others
                with pytest.raises(ValueError, match="before the start"):
                    ours.seek(number, whence)
            else:
                assert ours.seek(number, whence) == theirs.seek(number, whence)
        assert ours.tell() == theirs.tell()


def test_requests_are_aligned_coalesced_and_cached() -> None:
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return DATA[start:end]

    ours = RangeReader(fetch, len(DATA), block=100, cache_blocks=10)
    ours.seek(150)
    assert ours.read(200) == DATA[150:350]
    ours.seek(310)
    assert ours.read(200) == DATA[310:510]
    ours.seek(950)
    ours.read(-1)
    assert asked == [(100, 400), (400, 600), (900, 1000)]
    assert (ours.requests, ours.bytes_read) == (3, 600)


def test_the_least_recently_used_block_goes_first() -> None:
    ours = reader(block=100, cache_blocks=2)
    for position in (0, 100, 0, 200, 0):
        ours.seek(position)
        ours.read(1)
    assert ours.requests == 3
    ours.seek(100)
    ours.read(1)
    assert ours.requests == 4


def test_the_budget_is_kept_before_a_byte_too_many_is_fetched() -> None:
    ours = reader(block=100, budget_bytes=250)
    ours.read(200)
    with pytest.raises(MediaError) as caught:
        ours.read(100)
    assert caught.value.code == "media.over_budget"
    assert ours.bytes_read == 200


def test_a_short_answer_of_the_store_is_the_stores_fault() -> None:
    ours = RangeReader(lambda start, end: DATA[start : end - 1], len(DATA), block=100)
    with pytest.raises(Transient) as caught:
        ours.read(10)
    assert caught.value.code == "store.short_read"


def test_the_deadline_is_asked_before_each_request_and_ends_the_reading() -> None:
    class TimeUpError(Exception):
        pass

    left = iter([None, TimeUpError()])

    def deadline() -> None:
        if (ended := next(left)) is not None:
            raise ended

    ours = reader(block=100, deadline=deadline)
    ours.read(100)
    with pytest.raises(TimeUpError):
        ours.read(100)
    assert ours.requests == 1


def test_av_reads_through_it_and_lets_its_exceptions_out_in_their_own_type() -> None:
    data = films.film(50)
    with av.open(reader(data, block=512), "r") as film:
        assert sum(1 for _ in film.decode(video=0)) == 50

    def away(start: int, end: int) -> bytes:
        raise Transient("store.away", "The store is away.")

    with pytest.raises(Transient):
        av.open(RangeReader(away, len(data)), "r")


@pytest.mark.parametrize("wrong", [{"size": -1}, {"size": 1, "block": 0}, {"size": 1, "cache_blocks": 0}])
def test_nonsense_is_refused_at_once(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        RangeReader(lambda start, end: b"", **wrong)
