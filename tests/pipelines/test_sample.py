import io
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from huntaze.pipelines.video.sample import DURATION_S, FPS, SCENES, draw, scene_at, write_sample
from tests.pipelines import films


def test_the_sample_is_small_and_has_an_i_frame_at_every_cut() -> None:
    data = films.sample()
    assert len(data) < 1_000_000
    with av.open(io.BytesIO(data)) as film:
        stream = film.streams.video[0]
        keys = {round(float(packet.pts * packet.time_base), 3) for packet in film.demux(stream) if packet.is_keyframe}
        assert float(stream.duration * stream.time_base) == DURATION_S
    assert {scene.start_s for scene in SCENES} <= keys
    assert len(keys) > 2 * len(SCENES)


def test_the_cuts_are_where_the_scenes_say() -> None:
    with av.open(io.BytesIO(films.sample())) as film:
        small = [frame.to_ndarray(format="rgb24")[::20, ::20].astype(int) for frame in film.decode(video=0)]
    assert len(small) == DURATION_S * FPS
    steps = [float(np.abs(b - a).mean()) for a, b in pairwise(small)]
    cuts = sorted(range(len(steps)), key=steps.__getitem__)[-(len(SCENES) - 1) :]
    assert sorted((cut + 1) / FPS for cut in cuts) == [scene.start_s for scene in SCENES[1:]]


def test_something_moves_in_every_scene() -> None:
    for scene in SCENES:
        assert draw(scene.start_s + 0.4).tobytes() != draw(scene.start_s + 0.8).tobytes()


def test_the_same_bytes_every_time_within_seconds(tmp_path: Path) -> None:
    started = time.process_time()
    assert write_sample(tmp_path / "again.mp4") == SCENES
    assert time.process_time() - started < 20
    assert (tmp_path / "again.mp4").read_bytes() == films.sample()


@pytest.mark.parametrize(("time_s", "name"), [(0.0, "sunrise"), (2.96, "sunrise"), (3.0, "sea"), (19.9, "confetti")])
def test_which_scene_is_on_screen(time_s: float, name: str) -> None:
    assert scene_at(time_s).name == name
