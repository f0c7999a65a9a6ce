"""A study as files: cells, regions, claims, heatmaps, figures of the dynamics, provenance."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from study.analysis import Analysis
from study.file_names import file_name
from study.report.claims_page import claims_page
from study.report.heatmaps import draw, save
from study.report.plain.claims import claims
from study.report.plain.regions import regions
from study.report.training_figures import draw_figures

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
"""Distributions whose versions an export notes."""


def export(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every file and return their paths. Tables and JSON are written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    behind = provenance(analysis)
    cells = analysis.cells
    cells.to_parquet(partial(folder / "cells.parquet"), index=False)
    cells.to_csv(partial(folder / "cells.csv"), index=False)
    write(folder / "regions.json", list(regions(analysis)))
    write(folder / "claims.json", claims(analysis))
    partial(folder / "claims.md").write_text(claims_page(analysis, behind), encoding="utf-8")
    write(folder / "provenance.json", behind)
    names = ("cells.parquet", "cells.csv", "regions.json", "claims.json", "claims.md", "provenance.json")
    # Renamed together, after all are written: a full disk leaves the files of the last export as they were.
    for name in names:
        os.replace(partial(folder / name), folder / name)
    pictures = heatmaps(analysis, folder / "heatmaps")
    # Of a study without dynamics only the scores could be drawn: `study figures` does so when asked.
    if analysis.stored and any(piece.budget and piece.budget.dynamics for piece in analysis.evidence):
        pictures += draw_figures(analysis, folder / "figures")[0]
    return [folder / name for name in names] + pictures


def heatmaps(analysis: Analysis, folder: Path) -> list[Path]:
    """One picture per workload, optimizer and condition."""
    written = []
    for piece in analysis.evidence:
        # Not the evidence's own landscapes, which are at complete seeds: a picture shows pending cells too.
        shown = [landscape for landscape in analysis.landscapes if landscape.setting == piece.key]
        title = f"{analysis.plan.spec.name}: {piece.name}, {analysis.plan.spec.budget.steps} steps"
        name = "-".join(part for part in (*piece.key, shown[0].metric_name) if part)
        written += save(draw(shown, piece, title), folder, file_name(name))
    return written


def partial(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}.partial")


def write(path: Path, content: object) -> None:
    """Write JSON to the partial file of a path; a NaN is an error, because JSON has none."""
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
