"""What is stored of a study at one moment, as JSON has it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from study.live_map import SHOWN, LiveMap, LiveStudy


def look_values(look: LiveStudy) -> dict[str, Any]:
    """The counts, and a map per setting and transform."""
    return {
        "study": look.study,
        "cells": look.cells,
        **look.counts,
        "complete": look.complete,
        "launched_by_process": look.process,
        "damaged": look.damaged,
        "maps": [map_values(one) for one in look.maps],
    }


def map_values(one: LiveMap) -> dict[str, Any]:
    """One map; its rows are weight decays and its columns learning rates."""
    landscape = one.landscape
    return {
        "workload": landscape.workload,
        "optimizer": landscape.optimizer,
        "condition": landscape.condition,
        "transform": landscape.transform,
        "lr": list(landscape.lr),
        "weight_decay": list(landscape.weight_decay),
        "seeds": list(landscape.seeds),
        "cells": one.cells,
        "stored": one.stored,
        "metric": landscape.metric_name,
        "place": [[SHOWN[place] for place in row] for row in one.place_WL.tolist()],
        "n_seeds": one.n_WL.tolist(),
        "mean": finite(one.mean_WL),
        "fraction": finite(one.fraction_WL),
    }


def finite(values_WL: np.ndarray) -> list[list[float | None]]:
    """Rows of numbers, with None for what JSON cannot hold."""
    return [[value if math.isfinite(value) else None for value in row] for row in values_WL.tolist()]
