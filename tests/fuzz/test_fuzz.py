import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from huntaze.pipelines.video.extract import extract
from tests.fuzz.mutate import mutated
from tests.fuzz.pool import Child
from tests.fuzz.run import broken, growth, run
from tests.fuzz.seeds import seeds
from tests.fuzz.steady import GROWTH_MOST_MB, looks


def test_broken_films_give_grids_or_codes_and_nothing_else(tmp_path: Path) -> None:
    outcome = run(seeds(shared=False), 60, 3, tmp_path, children=1, say=print)
    assert outcome.bad == 0, outcome.table()
    assert sum(outcome.outcomes.values()) == 60
    assert {"grid", "grid, damaged", "media.unreadable"} <= set(outcome.outcomes)
    assert json.loads(outcome.json())["kept"] == []


@pytest.mark.parametrize(("seed", "name"), [("1/268", "film.ts"), ("1/1214", "film.ts"), ("1/1896", "film.flv")])
@pytest.mark.parametrize("cells", [4, 9, 16])
def test_what_was_found_films_out_of_order_have_one_picture_for_a_time(seed: str, name: str, cells: int) -> None:
    _, data = mutated(seeds(shared=False)[name], Random(seed))
    seen = extract(io.BytesIO(data), size_bytes=len(data), cells=cells)
    assert len(set(seen.times_s)) == len(seen.times_s) == len(seen.grid.cells)
    assert list(seen.times_s) == sorted(seen.times_s)
    assert seen.times_s[0] >= 0


def test_what_was_found_a_track_that_comes_up_late_is_damage() -> None:
    _, data = mutated(seeds(shared=False)["film.flv"], Random("1/47"))
    assert extract(io.BytesIO(data), size_bytes=len(data), cells=16).damaged


def test_whole_films_give_whole_grids_and_memory_stays_flat(tmp_path: Path) -> None:
    assert growth(looks(70, shared=False)) <= GROWTH_MOST_MB


def test_the_same_seed_breaks_the_same_bytes() -> None:
    films = {"a": bytes(range(256)) * 40, "b": b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov" * 20}
    once, again = ([broken(films, 5, number) for number in range(50)] for _ in range(2))
    assert once == again
    assert [broken(films, 6, number) for number in range(50)] != once
    assert sum(data in films.values() for _, data in once) < 10


def test_growth_is_seen() -> None:
    assert growth([100] * 50) == 0
    assert growth([30 + number for number in range(50)]) == 30


@pytest.mark.parametrize(
    ("number", "outcome"), [(signal.SIGSEGV, "! SIGSEGV"), (signal.SIGKILL, "! SIGKILL"), (signal.SIGABRT, "! SIGABRT")]
)
def test_a_child_that_dies_is_counted_and_replaced(
    number: signal.Signals, outcome: str, tmp_path: Path, film: Callable[[], Path]
) -> None:
    with (tmp_path / "log").open("wb") as log, Child(log) as child:
        assert child.look(film()).outcome == "grid"
        child.kill(number)
        assert child.look(film()).outcome == outcome
        assert child.look(film()).outcome == "grid"


@pytest.fixture
def film(tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        path = tmp_path / "film.gif"
        path.write_bytes(seeds(shared=False)["film.gif"])
        return path

    return make
