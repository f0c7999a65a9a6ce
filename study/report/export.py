"""A study as files: cells, regions, claims, heatmaps, figures of the dynamics, provenance."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.analysis import Analysis
from study.file_names import file_name
from study.report.claims_page import claims_page
from study.report.heatmaps import draw, save
from study.report.training_figures import draw_figures

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = [
    "key",
    "workload",
    "optimizer",
    "transform",
    "constants",
    "lr",
    "weight_decay",
    "seed",
    "outcome",
    "reason",
    "diverged_step",
    "steps",
    "loss_initial",
    "loss_final",
    "metric_name",
    "metric_initial",
    "metric_final",
    "metric_best",
    "seconds",
]
"""Columns of `cells.*`, one row per cell of the spec."""
PACKAGES = (
    "stability-study",
    "torch",
    "ray",
    "mlflow",
    "optuna",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
)


DYNAMICS: dict[str, Callable[[dict[str, list[float]]], float]] = {
    "grad_std_first": lambda seen: seen["grad_std"][0],
    "grad_std_last": lambda seen: seen["grad_std"][-1],
    "scale_max": lambda seen: max(seen["scale"]),
    "scale_above_one": lambda seen: sum(value > 1 for value in seen["scale"]) / len(seen["scale"]),
    "update_ratio_mean": lambda seen: sum(seen["update_ratio"]) / len(seen["update_ratio"]),
}
"""Further columns where the budget records dynamics, from the series without their missing ends; the share counts recorded steps."""


def dynamics_columns(text: str) -> dict[str, float]:
    """The columns of one cell; none where nothing was recorded."""
    found = json.loads(text)
    known = (
        {
            name: [value for value in found[name] if value is not None]
            for name in ("grad_std", "scale", "update_ratio")
        }
        if found
        else {}
    )
    return {name: rule(known) for name, rule in DYNAMICS.items()} if known and all(known.values()) else {}


def table(analysis: Analysis) -> DataFrame:
    """All cells of the spec, pending ones too, or with an edge-seeking design the trained ones; a column for each varied key of the budget."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    varied = [key for key, _ in analysis.plan.spec.conditions]
    for cell in analysis.plan.cells:
        record, budget = analysis.stored.get(cell.key), analysis.plan.settings[cell.setting].condition.budget
        where = {key: getattr(budget, key) for key in varied}
        if record is not None:
            rows.append(
                where | {name: getattr(record, name) for name in COLUMNS} | dynamics_columns(record.dynamics)
            )
        elif not analysis.searches:
            known = {
                name: getattr(cell, name)
                for name in ("key", "workload", "optimizer", "transform", "lr", "weight_decay", "seed")
            }
            rows.append(where | known | {"constants": json.dumps(dict(cell.constants)), "outcome": "pending"})
    frame = pd.DataFrame(
        rows, columns=[*COLUMNS, *varied, *(DYNAMICS if analysis.plan.spec.budget.dynamics else ())]
    )
    numbers = [
        name for name in COLUMNS if name.startswith(("loss_", "metric_")) and name != "metric_name"
    ] + ["seconds"]
    return frame.astype(
        dict.fromkeys(numbers, "float64") | dict.fromkeys(("diverged_step", "steps"), "Int64")
    )


def export(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every file and return their paths; tables and JSON are written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = table(analysis)
    cells.to_parquet(partial(folder / "cells.parquet"), index=False)
    cells.to_csv(partial(folder / "cells.csv"), index=False)
    write(folder / "regions.json", list(analysis.regions()))
    write(folder / "claims.json", [asdict(claim) for claim in analysis.claims])
    partial(folder / "claims.md").write_text(claims_page(analysis, provenance(analysis)), encoding="utf-8")
    write(folder / "provenance.json", provenance(analysis))
    names = ("cells.parquet", "cells.csv", "regions.json", "claims.json", "claims.md", "provenance.json")
    for name in names:
        os.replace(partial(folder / name), folder / name)
    recorded = any(piece.budget and piece.budget.dynamics for piece in analysis.evidence)
    figures = draw_figures(analysis, folder / "figures")[0] if recorded and analysis.stored else []
    return [folder / name for name in names] + heatmaps(analysis, folder / "heatmaps") + figures


def heatmaps(analysis: Analysis, folder: Path) -> list[Path]:
    """One picture per workload, optimizer and condition."""
    written = []
    for piece in analysis.evidence:
        shown = [landscape for landscape in analysis.landscapes if landscape.setting == piece.key]
        title = f"{analysis.plan.spec.name}: {piece.setting}, {analysis.plan.spec.budget.steps} steps"
        name = "-".join(part for part in (*piece.key, shown[0].metric_name) if part)
        written += save(draw(shown, piece, title), folder, file_name(name))
    return written


def partial(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}.partial")


def write(path: Path, content: object) -> None:
    partial(path).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def provenance(analysis: Analysis) -> dict[str, Any]:
    """What stands behind the numbers: spec, versions, devices, commits, seeds."""
    behind = Counter(record.provenance for record in analysis.stored.values())
    return {
        "spec": json.loads(analysis.plan.spec.canonical()),
        "own_code": {part.name: part.source for part in analysis.plan.spec.methods if part.source},
        "cells": analysis.counts,
        "seeds": list(analysis.plan.spec.seeds),
        "trained_by": [json.loads(text) | {"cells": count} for text, count in behind.most_common()],
        "analysed_with": {name: version(name) for name in PACKAGES},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
