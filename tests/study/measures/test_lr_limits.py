"""How large a learning rate may be, on planted bands."""

from __future__ import annotations

import dataclasses

import numpy as np

from study.measures.catalogue import cases, measured
from study.measures.lr_limits import decades_above, decades_below, largest_lr
from tests.planting import evidence, planted


def test_distances_from_the_optimum() -> None:
    """The edges of a planted band and their distances from a planted optimum are what was planted."""
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
