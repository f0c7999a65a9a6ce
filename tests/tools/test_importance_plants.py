"""The calibration of importances in its short form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tests.tools import importance_plants

DRAWS = 25


def test_intervals_of_variance_shares_cover_planted_truths(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 25 landscapes of each kind no interval covers too rarely for a coverage of 91 %."""
    # Optuna's evaluator takes nearly all of the time, and is not what is looked at here.
    monkeypatch.setattr(importance_plants, "pedanova_interval", lambda *_: (0.5, 0.5))
    found = importance_plants.coverage(DRAWS, 3, np.random.default_rng(0))
    least = int(binom.ppf(1e-4, DRAWS, 0.91))
    of_variance = {what: hits for what, (hits, _) in found.items() if "pedanova" not in what}
    assert len(of_variance) == 8
    assert {what: hits for what, hits in of_variance.items() if hits < least} == {}
