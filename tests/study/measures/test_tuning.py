"""Measures of tuning against what they are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from study.measures.tuning import (
    best_of,
    effective_dimension,
    expected_performance,
    shared_default_regret,
    tuning_curve,
    wins,
)
from tests.planting import planted


def test_best_of_k_is_what_drawing_gives() -> None:
    """The closed form equals the mean of the best of k draws with replacement, for every k."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=12)
    drawn = [rng.choice(score, (40_000, k)).max(axis=1).mean() for k in (1, 2, 5, 20)]
    assert best_of(score, 20)[[0, 1, 4, 19]] == pytest.approx(drawn, abs=0.03)
    assert best_of(score, 1)[0] == pytest.approx(score.mean())


def test_chances_of_being_best_add_up() -> None:
    """With ties shared, the transforms' chances of being best sum to 1.

    Equal transforms have equal chances, and a better one has more.
    """
    one, two, worse = planted(-3.1, -0.9), planted(-3.1, -0.9, method="a"), planted(-2.1, -1.9, method="b")
    chances = [
        wins(own, [other for other in (one, two, worse) if other is not own], 3).mean
        for own in (one, two, worse)
    ]
    assert sum(chances) == pytest.approx(1)
    assert chances[0] > chances[2]
    twin = dataclasses.replace(one, transform="twin")
    assert wins(one, [twin], 5).mean == pytest.approx(0.5)


def test_tuning_curve_rises() -> None:
    """More random cells never make the expected best worse, and in the end it is the best."""
    curve = [estimate.mean for estimate in tuning_curve(planted(-3.1, -0.9), 200)]
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("points", [1, 2, 9, 700])
def test_expected_performance_is_the_weighted_mean_of_the_curve(points: int) -> None:
    """Without the curve itself, of which a grid of ten thousand cells has ten thousand points."""
    one = planted(-3.1, -0.9, lr=tuple(np.logspace(-4, 0, points)))
    most = one.score_SWL[0].size
    curve = [estimate.mean for estimate in tuning_curve(one, most)]
    wanted = np.average(curve, weights=np.arange(most, 0, -1.0))
    assert expected_performance(one).mean == pytest.approx(wanted, rel=1e-11)


def planes(*best: tuple[int, int]) -> np.ndarray:
    """Normalised scores of two seeds on several workloads: 1 in one cell, 0.5 in its row, 0.2 elsewhere."""
    score = np.full((2, len(best), 4, 6), 0.2)
    for e, (w, c) in enumerate(best):
        score[:, e, w], score[:, e, w, c] = 0.5, 1.0
    return score


def test_shared_default_regret_and_dimension() -> None:
    """One point that is best everywhere has no regret and leaves nothing to tune.

    Other columns cost regret and need one axis tuned, other rows and columns both.
    """
    same, column, both = planes((1, 2), (1, 2)), planes((1, 2), (1, 4)), planes((1, 2), (3, 4))
    assert shared_default_regret(same).mean == 0
    assert effective_dimension(same).mean == 0
    assert shared_default_regret(column).mean == pytest.approx(1 - 0.75)
    assert effective_dimension(column).mean == 1
    assert shared_default_regret(both).mean == pytest.approx(1 - 0.6)
    assert effective_dimension(both).mean == 2
