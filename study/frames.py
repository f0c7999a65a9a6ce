"""A study as tables of pandas: its cells, and its regions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from study.measures.estimate import Estimate
from study.measures.evidence import Evidence
from study.plan.cells import Plan
from tracking import EXPORT_TYPES, EXPORTED, CellRecord

if TYPE_CHECKING:
    from pandas import DataFrame

SIZES = ("area", "lr_width", "wd_width")
WHERE = ("workload", "optimizer", "condition", "transform", "kind", "reference", "n_seeds")
SERIES = ("grad_std", "scale", "update_ratio")
"""Recorded series that further columns are made of."""
DYNAMICS: dict[str, Callable[[Mapping[str, list[float]]], float]] = {
    "grad_std_first": lambda seen: seen["grad_std"][0],
    "grad_std_last": lambda seen: seen["grad_std"][-1],
    "scale_max": lambda seen: max(seen["scale"]),
    "scale_above_one": lambda seen: sum(value > 1 for value in seen["scale"]) / len(seen["scale"]),
    "update_ratio_mean": lambda seen: sum(seen["update_ratio"]) / len(seen["update_ratio"]),
}
"""Further columns where the budget records dynamics, each from the series' known values.

An infinite value is known, and makes maxima and means infinite. `scale_above_one` is the share of the
recorded steps.
"""


def dynamics_columns(text: str) -> dict[str, float]:
    """The columns of one cell, from what it recorded; none where it recorded nothing."""
    found = json.loads(text)
    if not found:
        return {}
    known: dict[str, list[float]] = {}
    for name in SERIES:
        # A cell that ended has null from then on. NaN says that there is no number either.
        known[name] = [value for value in found[name] if value is not None and not math.isnan(value)]
    if not all(known.values()):
        return {}
    return {name: rule(known) for name, rule in DYNAMICS.items()}


def cells(plan: Plan, stored: Mapping[str, CellRecord]) -> DataFrame:
    """All cells of the spec, pending ones too; with an edge-seeking design the trained ones.

    One row per cell: the columns of `tracking.EXPORTED`, one for each varied key of the budget, and those of
    `DYNAMICS` where the budget records dynamics.
    """
    import pandas as pd

    varied = [key for key, _ in plan.spec.conditions]
    rows: list[dict[str, Any]] = []
    for cell in plan.cells:
        record, budget = stored.get(cell.key), plan.settings[cell.setting].condition.budget
        where = {key: getattr(budget, key) for key in varied}
        if record is not None:
            facts = {name: getattr(record, name) for name in EXPORTED}
            rows.append(where | facts | dynamics_columns(record.dynamics))
        elif plan.spec.design == "grid":
            # An edge-seeking design may never train the others, so there they are not pending.
            known = {name: getattr(cell, name) for name in EXPORTED if hasattr(cell, name)}
            rows.append(where | known | {"constants": json.dumps(dict(cell.constants)), "outcome": "pending"})
    columns = [*EXPORTED, *varied, *(DYNAMICS if plan.spec.budget.dynamics else ())]
    return pd.DataFrame(rows, columns=columns).astype(EXPORT_TYPES)


def regions(evidence: Sequence[Evidence]) -> DataFrame:
    """The regions of every transform, one row per setting, transform, kind and reference.

    Sizes are means over seeds, in decades (area: decades²), with the ends of their intervals as `…_low` and
    `…_high`. `censored` says which borders of the grid the region touches: its size is then a lower bound.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for piece in evidence:
        for (transform, kind, reference), found in piece.regions.items():
            row: dict[str, Any] = {
                "workload": piece.workload,
                "optimizer": piece.optimizer,
                "condition": piece.condition,
                "transform": transform,
                "kind": kind,
                "reference": reference,
                "n_seeds": piece.n_seeds,
            }
            for name in SIZES:
                size: Estimate = getattr(found, name)
                # One seed has no interval. NaN keeps the column numeric; None alone would make objects of it.
                low, high = size.interval(piece.tolerances.confidence) or (math.nan, math.nan)
                row |= {name: size.mean, f"{name}_low": low, f"{name}_high": high}
            row["censored"] = ", ".join(f"{border.end} {border.axis}" for border in found.censored)
            rows.append(row)
    ends = [f"{name}{end}" for name in SIZES for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*WHERE, *ends, "censored"])
