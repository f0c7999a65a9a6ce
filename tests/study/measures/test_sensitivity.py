"""Sensitivities on planted landscapes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from study.measures.sensitivity import wd_sensitivity
from tests.planting import planted


def test_wd_sensitivity_at_each_lr() -> None:
    """A column whose loss does not change along weight decay has no sensitivity.

    One with a jump at the last of four rows has a quarter of it.
    """
    base = planted(-3.1, -0.9)
    loss = base.loss_SWL.copy()
    loss[:, -1, 10] = 1.0
    landscape = dataclasses.replace(base, loss_SWL=loss)
    column = np.broadcast_to(np.arange(len(base.lr)), (3, len(base.lr)))
    assert wd_sensitivity(landscape, column == 9).mean == pytest.approx(0, abs=1e-12)
    assert wd_sensitivity(landscape, column == 10).mean == pytest.approx(0.8 / 4)
