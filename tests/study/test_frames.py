"""A study's cells as a table."""

from __future__ import annotations

import json

from study.frames import dynamics_columns

INF, NAN = float("inf"), float("nan")


def test_columns_of_infinite_numbers() -> None:
    """A table's maxima and means are infinite where a number was; NaN and null are no numbers."""
    kept = {
        "step": [1, 5, 9],
        "grad_std": [1.0, INF, None],
        "scale": [NAN, INF, 0.5],
        "update_ratio": [1.0, 3.0, NAN],
    }
    assert dynamics_columns(json.dumps(kept)) == {
        "grad_std_first": 1.0,
        "grad_std_last": INF,
        "scale_max": INF,
        "scale_above_one": 0.5,
        "update_ratio_mean": 2.0,
    }
    assert dynamics_columns(json.dumps(kept | {"scale": [NAN] * 3})) == {}
