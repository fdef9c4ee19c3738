"""The stand-in speaks as the model is asked to, so that everything behind it is tried."""

import json

import numpy as np

from huntaze.cli.sandbox_ai_picture import CELL, answer, image_tokens
from huntaze.pipelines.video.grid import canvas_tokens
from huntaze.pipelines.video.report import Report, parse_report


def grid() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Three pictures and an empty place."""
    made = np.random.default_rng(1).integers(0, 255, (2 * CELL, 2 * CELL, 3), np.uint8)
    made[CELL:, CELL:] = 16
    return made


def test_the_answer_has_every_field_that_is_asked_for() -> None:
    said = answer(grid())
    assert set(said) == set(Report.model_fields) - {"notes", "dropped", "prompt_version"}
    report = parse_report(json.dumps(said), {1: 0.0, 2: 1.0, 3: 2.0})
    assert (report.dropped, report.notes) == (0, ())
    assert len(report.scenes) == 3
    assert report.cover is not None
    assert all((report.titles, report.captions, report.hooks, report.tags, report.quality_notes))
    assert "SANDBOX" in report.summary


def test_it_counts_a_grid_s_tokens_as_the_model_does() -> None:
    for rows, columns in ((1, 1), (2, 2), (2, 3), (3, 3), (4, 4)):
        picture = np.zeros((rows * CELL, columns * CELL, 3), np.uint8)
        assert image_tokens(picture) == canvas_tokens(columns * CELL, rows * CELL)
