"""Plateaus: the best score of a place and its surroundings, alike from a whole grid and a part of it."""

from __future__ import annotations

import numpy as np
import pytest

from search_spaces import LogAxis
from study.measures.plateaus import ENOUGH, Surroundings
from study.measures.reference import reference_scores

LR, WD = LogAxis(1e-4, 1, 8).values, LogAxis(1e-3, 1, 8).values  # plateaus of 3 x 3 places
NOISE = 0.01


def test_neighbours_of_a_coarse_grid_are_strangers() -> None:
    """With four values per decade, and beside weight decay 0, every place is its own plateau."""
    around = Surroundings.of((0.0, 1e-3, 1e-2), LogAxis(1e-4, 1, 4).values)
    score_SWL = np.random.default_rng(0).normal(size=(2, 3, 17))
    assert around.scores(score_SWL) == pytest.approx(score_SWL.reshape(2, -1))


def test_one_lucky_cell_is_no_plateau() -> None:
    """A cell that is lucky at every seed raises the best plateau by a ninth of its luck, and no more."""
    score_SWL = np.full((3, len(WD), len(LR)), 0.5)
    score_SWL[:, 10, 10] = 0.6
    assert reference_scores([Surroundings.of(WD, LR).scores(score_SWL)]) == pytest.approx(0.5 + 0.1 / 9)


def test_more_cells_do_not_make_the_best_better() -> None:
    """On flat noise the best of 825 cells is three deviations too good, the best plateau less than two."""
    score_SWL = np.random.default_rng(1).normal(0.5, NOISE, (1, len(WD), len(LR)))
    assert score_SWL.max() > 0.5 + 3 * NOISE
    (reference,) = reference_scores([Surroundings.of(WD, LR).scores(score_SWL)])
    assert 0.5 < reference < 0.5 + 2 * NOISE


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_part_of_the_grid_leads_to_the_best(seeds: int) -> None:
    """From one place in nine, asking for what is wanted finds the grid's own reference.

    It is met within half a cell's deviation, with a few plateaus' cells.
    """
    rng, around = np.random.default_rng(2), Surroundings.of(WD, LR)
    hill_WL = 0.9 - 0.05 * (np.log10(WD)[:, None] + 1.5) ** 2 - 0.05 * (np.log10(LR)[None] + 2) ** 2
    whole_SWL = hill_WL + rng.normal(0, NOISE, (seeds, *hill_WL.shape))
    part_SWL = np.full(whole_SWL.shape, np.nan)
    part_SWL[:, 1::3, 1::3] = whole_SWL[:, 1::3, 1::3]
    start = int(np.isfinite(part_SWL).sum())
    while places := around.wanted(part_SWL):
        for row, column in places:
            assert np.isnan(part_SWL[0, row, column])
            part_SWL[:, row, column] = whole_SWL[:, row, column]
    assert np.isfinite(part_SWL).sum() - start <= 8 * ENOUGH
    assert reference_scores([around.scores(part_SWL)]) == pytest.approx(
        reference_scores([around.scores(whole_SWL)]), abs=NOISE / 2
    )


def test_nothing_trained_is_no_score() -> None:
    """Without a trained place there is no best score; with one that place is the best that is known."""
    around, score_SWL = Surroundings.of(WD, LR), np.full((1, len(WD), len(LR)), np.nan)
    assert np.isnan(around.scores(score_SWL)).all()
    score_SWL[0, 3, 4] = 0.7
    assert reference_scores([around.scores(score_SWL)]) == pytest.approx(0.7)
