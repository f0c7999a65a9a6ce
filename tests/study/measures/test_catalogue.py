"""Measures of tuning against what they are made of; every measure has a number or a reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from study.measures.catalogue import MEASURES, cases, measured, spikes_of
from study.measures.evidence import gather
from study.measures.importance import DIFFERENCE, SCORE, importances
from study.measures.landscape import FINISHED, Landscape
from study.measures.lr_limits import decades_above, decades_below, largest_lr
from study.measures.sensitivity import wd_sensitivity
from study.measures.tuning import (
    best_of,
    effective_dimension,
    shared_default_regret,
    tuning_curve,
    wins,
)
from study.spec.tolerances import Tolerances
from tests.fabricated import record_of
from tests.planting import evidence, planted


def test_best_of_k_is_what_drawing_gives() -> None:
    """The closed form equals the mean of the best of k draws with replacement, for every k."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=12)
    drawn = [rng.choice(score, (40_000, k)).max(axis=1).mean() for k in (1, 2, 5, 20)]
    assert best_of(score, 20)[[0, 1, 4, 19]] == pytest.approx(drawn, abs=0.03)
    assert best_of(score, 1)[0] == pytest.approx(score.mean())


def test_chances_of_being_best_add_up() -> None:
    """With ties shared, the transforms' chances of being best sum to 1; equal ones have equal chances; a better one has more."""
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


def planes(*best: tuple[int, int]) -> np.ndarray:
    """Normalised scores of two seeds on several workloads: 1 in one cell each, 0.5 in its row, 0.2 elsewhere."""
    score = np.full((2, len(best), 4, 6), 0.2)
    for e, (w, c) in enumerate(best):
        score[:, e, w], score[:, e, w, c] = 0.5, 1.0
    return score


def test_shared_default_regret_and_dimension() -> None:
    """One setting that is best everywhere has no regret and nothing to tune; other rows or columns have, and need one or two."""
    same, column, both = planes((1, 2), (1, 2)), planes((1, 2), (1, 4)), planes((1, 2), (3, 4))
    assert shared_default_regret(same).mean == 0
    assert effective_dimension(same).mean == 0
    assert shared_default_regret(column).mean == pytest.approx(1 - 0.75)
    assert effective_dimension(column).mean == 1
    assert shared_default_regret(both).mean == pytest.approx(1 - 0.6)
    assert effective_dimension(both).mean == 2


def test_distances_from_the_optimum() -> None:
    """The edges of a planted band lie where they were put, and so do their distances from a planted optimum."""
    base = planted(-3.1, -0.9, shift=0.02)
    position = np.log10(base.lr)
    metric = base.metric_SWL - 0.05 * np.abs(position + 2)
    found = evidence(dataclasses.replace(base, metric_SWL=metric)).regions["none", "trained", "own"]
    for of, truth in ((largest_lr, -0.9), (decades_above, 1.1), (decades_below, 1.1)):
        estimate = of(found, 1)
        assert estimate
        low, high = estimate.interval(0.95) or (0, 0)
        assert low <= truth <= high
        assert high - low < 2.5


def test_limits_of_an_empty_row_are_none() -> None:
    """Where a region is empty at some seed there is no edge, and the measure says so in words."""
    found = evidence(planted(-9.0, -8.0)).regions["none", "trained", "own"]
    assert largest_lr(found, 0) is None
    case = cases([evidence(planted(-9.0, -8.0))], {})[0]
    assert "empty" in str(measured(case, "max stable lr"))


def test_wd_sensitivity_at_each_lr() -> None:
    """A column whose loss does not change along weight decay has none; one with a jump at the last row has a quarter of it."""
    base = planted(-3.1, -0.9)
    loss = base.loss_SWL.copy()
    loss[:, -1, 10] = 1.0
    landscape = dataclasses.replace(base, loss_SWL=loss)
    assert wd_sensitivity(landscape, 9).mean == 0
    assert wd_sensitivity(landscape, 10).mean == pytest.approx(0.8 / 4)


def test_late_spikes_are_counted() -> None:
    """A recorded loss far above the window before it is a spike; noise, a slow rise and too few points are none."""
    from search_spaces import Cell

    record = record_of(Cell("w", "adamw", "none", (), 0.1, 0.1, 0, "s"), 0.9)

    def with_curve(values: list[float]) -> int | None:
        return spikes_of(
            dataclasses.replace(record, curve=tuple((k, value, None) for k, value in enumerate(values)))
        )

    noise = list(1 + 0.01 * np.random.default_rng(0).normal(size=30))
    assert with_curve(noise) == 0
    assert with_curve([*noise, 2.0, *noise]) == 1
    assert with_curve(list(np.linspace(1, 2, 30))) == 0
    assert with_curve([1.0, 2.0]) is None


def several_workloads() -> list[Landscape]:
    return [
        dataclasses.replace(planted(-3.1, high, method=method), workload=name)
        for name, high in (("w", -0.9), ("v", -1.9))
        for method in ("none", "a")
    ]


@pytest.mark.parametrize(
    "landscapes", [[planted(-3.1, -0.9)], several_workloads()], ids=["one workload", "two workloads"]
)
def test_every_measure_has_a_number_or_a_reason(landscapes: list[Landscape]) -> None:
    """Each row of the table gives finite values with one per seed, or words; regret and dimension take several workloads."""
    pieces = gather(landscapes, Tolerances())
    keys = {str(key): record_of_key(str(key)) for one in landscapes for key in one.key_SWL.ravel()}
    for case in cases(pieces, keys):
        for name in MEASURES:
            found = measured(case, name)
            assert (
                found
                if isinstance(found, str)
                else len(found.values_S) == 3 and np.isfinite(found.values_S).all()
            ), name
        assert isinstance(measured(case, "shared-default regret"), str) == (len(pieces) == 1)
        assert isinstance(measured(case, "effective dimension"), str) == (len(pieces) == 1)


def record_of_key(key: str) -> object:
    from search_spaces import Cell

    return record_of(Cell("w", "adamw", "none", (), 0.1, 0.1, 0, key), 0.9)


def surface(value_WL: np.ndarray, method: str = "a") -> Landscape:
    base = planted(-3.1, -0.9, method=method)
    metric = np.broadcast_to(0.5 + 0.3 * value_WL, base.metric_SWL.shape)
    return dataclasses.replace(base, metric_SWL=metric, outcome_SWL=np.full_like(base.outcome_SWL, FINISHED))


def test_interaction_of_lr_and_weight_decay() -> None:
    """fANOVA's interaction is nearly all of a product's variance and nearly none of a sum's, on axes that count in decades."""
    x, y = np.linspace(-1, 1, 25)[None], np.linspace(-1, 1, 4)[:, None]
    share = {
        name: next(one for one in importances(surface(value)) if one.evaluator == "fanova")
        for name, value in (("product", x * y), ("sum", x + y))
    }
    assert (share["product"].interaction or 0) > 0.85
    assert (share["sum"].interaction or 1) < 0.05
    assert share["sum"].shares["lr"] + share["sum"].shares["weight_decay"] == pytest.approx(1)


def test_importances_for_the_difference_to_the_baseline() -> None:
    """Where a transform gains along lr alone, lr explains the difference although weight decay explains the score."""
    x, y = np.linspace(-1, 1, 25)[None], np.linspace(-1, 1, 4)[:, None]
    both = importances(surface(0.2 * x + y), surface(np.broadcast_to(y, (4, 25)), "none"))
    found = {(one.of, one.evaluator): one for one in both}
    assert found[SCORE, "fanova"].shares["weight_decay"] > 0.8
    assert found[DIFFERENCE, "fanova"].shares["lr"] > 0.9
    assert set(found) == {(of, name) for of in (SCORE, DIFFERENCE) for name in ("fanova", "pedanova")}
