"""A study as tables of pandas: its cells, its regions, and the best of each transform."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from study.best import Best
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import Evidence
from study.plan.cells import Plan
from study.spec.strict_json import strict_json
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
SKIPPED = {"skipped_steps": "Int64"}
"""A last column of studies with cells in float16, and its type: steps that overflowed."""


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
    `DYNAMICS` where the budget records dynamics, and `SKIPPED` where any of its cells is in float16.
    """
    import pandas as pd

    varied = [key for key, _ in plan.spec.conditions if key not in EXPORTED]
    rows: list[dict[str, Any]] = []
    for cell in plan.cells:
        record, budget = stored.get(cell.key), plan.settings[cell.setting].condition.budget
        # Of the cell and not of the record: older ones hold `Infinity`, which is no JSON.
        where = {key: getattr(budget, key) for key in varied}
        where["constants"] = strict_json(dict(cell.constants))
        if record is not None:
            facts = {name: getattr(record, name) for name in EXPORTED}
            skipped = {name: getattr(record, name) for name in SKIPPED}
            rows.append(facts | where | dynamics_columns(record.dynamics) | skipped)
        elif plan.spec.design == "grid":
            # An edge-seeking design may never train the others, so there they are not pending.
            known = {name: getattr(cell, name) for name in EXPORTED if hasattr(cell, name)}
            rows.append(known | where | {"outcome": "pending"})
    columns = [*EXPORTED, *varied, *(DYNAMICS if plan.spec.budget.dynamics else ())]
    found = pd.DataFrame(rows, columns=[*columns, *SKIPPED]).astype(EXPORT_TYPES | SKIPPED)
    scaled = any(condition.budget.precision == "float16" for condition in plan.spec.all_conditions)
    return found if scaled else found[columns]


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
                "workload": piece.landscapes[transform].workload,
                "optimizer": piece.optimizer,
                "condition": piece.condition,
                "transform": transform,
                "kind": kind,
                "reference": reference,
                "n_seeds": piece.n_seeds,
            }
            for name in SIZES:
                row |= ends(name, getattr(found, name), piece.tolerances.confidence)
            row["label"] = piece.landscapes[transform].title
            row["censored"] = ", ".join(f"{border.end} {border.axis}" for border in found.censored)
            rows.append(row)
    return pd.DataFrame(
        rows, columns=[*WHERE, *(name for size in SIZES for name in columns_of(size)), "censored", "label"]
    )


def best(reached: Sequence[Best], confidence: float) -> DataFrame:
    """What each transform reached, one row per setting and transform.

    `lr` and `weight_decay` are those of the cell with the best mean over seeds. `score` is for each seed that
    of the cell which is best on the others.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for one in reached:
        landscape = one.case.landscape
        rows.append(
            {
                "workload": landscape.workload,
                "optimizer": landscape.optimizer,
                "condition": landscape.condition,
                "transform": landscape.transform,
                "n_seeds": len(landscape.seeds),
                **ends("trained_lr_width", one.trained, confidence),
                **ends("competitive_lr_width", one.competitive, confidence),
                "lr": math.nan if one.lr is None else one.lr,
                "weight_decay": math.nan if one.weight_decay is None else one.weight_decay,
                "metric": landscape.metric_name,
                **ends("score", one.score, confidence),
                "label": landscape.title,
            }
        )
    return pd.DataFrame(rows)


def columns_of(name: str) -> tuple[str, str, str]:
    """A number's column, and those of the ends of its interval."""
    return name, f"{name}_low", f"{name}_high"


def ends(name: str, found: Estimate | Missing, confidence: float) -> dict[str, float]:
    """A number and the ends of its interval, by column."""
    if isinstance(found, Missing):
        return dict.fromkeys(columns_of(name), math.nan)
    # One seed has no interval. NaN keeps the column numeric; None alone would make objects of it.
    low, high = found.interval(confidence) or (math.nan, math.nan)
    return dict(zip(columns_of(name), (found.shown, low, high), strict=True))
