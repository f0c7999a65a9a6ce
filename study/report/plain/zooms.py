"""A zoom as JSON: what was looked at, how its cells ended, and the dimension of the edge."""

from __future__ import annotations

import json
import math
from typing import Any

from study.measures.edge_dimension import Dimension
from study.measures.estimate import Missing
from study.plan.window import Window
from study.zoom_result import ZoomResult

SCHEMA = 1
"""Version of the form; a key that is added does not change it."""
UNITS = {
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "loss_initial": "loss units",
    "loss_final": "loss units",
    "diverged_step": "steps",
    "loss_size": "fraction of the untrained loss; of diverged cells the inverse",
    "seconds": "seconds of training, all cells together",
    "sizes": "cells",
}


def zoom_values(found: ZoomResult) -> dict[str, Any]:
    """Everything that is known of a zoom but its cells."""
    window = found.window
    return {
        "schema": SCHEMA,
        "study": found.study,
        "name": window.name,
        "setting": window.setting.full_name,
        "transform": window.transform.technical_name,
        "lr": list(window.lr),
        "weight_decay": list(window.weight_decay),
        "points": window.points,
        "seed": window.seed,
        "steps": window.setting.condition.budget.steps,
        "cells": found.map.counts,
        "inferred": 0,
        "dimension": {
            "boxes": dimension_values(found.boxes),
            "pairs": dimension_values(found.pairs),
        },
        "metric": found.map.metric_name,
        "loss_initial": None if math.isnan(found.map.loss_initial) else found.map.loss_initial,
        "seconds": found.map.seconds,
        "units": UNITS,
        "trained_by": [json.loads(text) | {"cells": count} for text, count in found.map.behind.most_common()],
    }


def dimension_values(found: Dimension | Missing) -> dict[str, Any]:
    """A dimension with its interval and what it rests on, or why there is none."""
    if isinstance(found, Missing):
        return {"value": None, "reason": found.reason}
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "confidence": found.confidence,
        "n": found.n,
        "sizes": list(found.sizes),
        "counts": list(found.counts),
        "slopes": list(found.slopes),
    }


def zoom_params(window: Window) -> dict[str, object]:
    """What tells a zoom from others, for a tracker."""
    return {
        "transform": window.transform.technical_name,
        "setting": window.setting.full_name,
        "lr_low": window.lr[0],
        "lr_high": window.lr[1],
        "weight_decay_low": window.weight_decay[0],
        "weight_decay_high": window.weight_decay[1],
        "points": window.points,
        "seed": window.seed,
        "steps": window.setting.condition.budget.steps,
    }


def zoom_metrics(found: ZoomResult) -> dict[str, float]:
    """The numbers of a zoom, for a tracker."""
    numbers = {f"cells_{name}": float(count) for name, count in found.map.counts.items()}
    for one in (found.boxes, found.pairs):
        if isinstance(one, Dimension):
            ends = {"": one.value, "_low": one.low, "_high": one.high, "_n": float(one.n)}
            numbers |= {f"edge_dimension_{one.method}{end}": value for end, value in ends.items()}
    return numbers
