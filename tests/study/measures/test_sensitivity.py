"""Sensitivities on planted landscapes."""

from __future__ import annotations

import dataclasses

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
    assert wd_sensitivity(landscape, 9).mean == 0
    assert wd_sensitivity(landscape, 10).mean == pytest.approx(0.8 / 4)
