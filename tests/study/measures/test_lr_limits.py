"""How large a learning rate may be, on planted bands."""

from __future__ import annotations

import dataclasses

import numpy as np

from study.measures.catalogue import cases, measured
from study.measures.landscape import DIVERGED
from study.measures.lr_limits import decades_above, decades_below, largest_lr, only_row
from tests.planting import evidence, planted


def test_distances_from_the_optimum() -> None:
    """The edges of a planted band and their distances from a planted optimum are what was planted."""
    base = planted(-3.1, -0.9, shift=0.02)
    position = np.log10(base.lr)
    metric = base.metric_SWL - 0.05 * np.abs(position + 2)
    found = evidence(dataclasses.replace(base, metric_SWL=metric)).regions["none", "trained", "own"]
    for of, truth in ((largest_lr, -0.9), (decades_above, 1.1), (decades_below, 1.1)):
        estimate = of(found, only_row(found, 1))
        assert estimate
        low, high = estimate.interval(0.95) or (0, 0)
        assert low <= truth <= high
        assert high - low < 2.5


def test_limits_of_an_empty_row_are_none() -> None:
    """Where a region is empty at some seed there is no edge, and the measure says so in words."""
    found = evidence(planted(-9.0, -8.0)).regions["none", "trained", "own"]
    assert largest_lr(found, only_row(found, 0)) is None
    case = cases([evidence(planted(-9.0, -8.0))], {})[0]
    assert "competitive cell" in str(measured(case, "max stable lr"))


def test_an_island_beyond_the_region_does_not_count() -> None:
    """A cell that happens to train two columns beyond divergence does not move the largest stable lr."""
    base = planted(-3.1, -0.9)
    outcome, metric = base.outcome_SWL.copy(), base.metric_SWL.copy()
    assert (outcome[:, 1, 20] == DIVERGED).all()
    outcome[:, 1, 20], metric[:, 1, 20] = 1, 0.9
    loss = base.loss_SWL.copy()
    loss[:, 1, 20] = 0.2
    island = dataclasses.replace(base, outcome_SWL=outcome, metric_SWL=metric, loss_SWL=loss)
    plain, odd = (evidence(one).regions["none", "trained", "own"] for one in (base, island))
    assert odd.inside_SWL[:, 1, 20].all()
    found = [largest_lr(one, only_row(one, 1)) for one in (plain, odd)]
    assert found[0]
    assert found[1]
    assert found[0].mean == found[1].mean
