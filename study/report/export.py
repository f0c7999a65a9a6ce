"""A study as files: cells, regions, claims, a page, heatmaps, figures of the dynamics, provenance."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from study.analysis import Analysis
from study.errors import UserError
from study.file_names import EXPORTS, partial
from study.measures.clipping import CLIPPING
from study.report.cells_file import write_cells
from study.report.claims_page import claims_page
from study.report.latex_tables import claims_latex, measures_latex
from study.report.page.report_page import report_page
from study.report.pictures.heatmaps import draw_heatmaps
from study.report.pictures.on_demand import EXPORTED, draw_panels
from study.report.pictures.training_figures import draw_figures
from study.report.plain.claims import claims
from study.report.plain.regions import regions
from study.report.schema import FILES, FOLDER, schema_values, text_of
from study.spec.strict_json import strict_json

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


BEHIND = ("python", "torch", "device", "commit", "framework", CLIPPING)
"""What an export counts cells by."""


def export(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every file and return their paths. Tables and JSON are written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    behind = provenance(analysis)
    cells = analysis.cells
    write_cells(cells, partial(folder / "cells.parquet"), behind)
    cells.to_csv(partial(folder / "cells.csv"), index=False)
    measured = list(regions(analysis))
    write(folder / "regions.json", measured)
    write(folder / "claims.json", claims(analysis))
    partial(folder / "claims.md").write_text(claims_page(analysis, behind), encoding="utf-8")
    partial(folder / "claims.tex").write_text(claims_latex(analysis, behind), encoding="utf-8")
    partial(folder / "measures.tex").write_text(measures_latex(analysis, behind), encoding="utf-8")
    (folder / FOLDER).mkdir(exist_ok=True)
    for name in set(FILES.values()):
        path = partial(folder / FOLDER / f"{name}.schema.json")
        path.write_text(text_of(name), encoding="utf-8")
    page = report_page(analysis, measured, behind)
    partial(folder / "report.html").write_text(page, encoding="utf-8")
    # A constant of the spec may be infinite, where a result must not.
    partial(folder / "provenance.json").write_text(strict_json(behind, indent=1) + "\n", encoding="utf-8")
    # Renamed together, after all are written: a full disk leaves the files of the last export as they were.
    for name in EXPORTS:
        os.replace(partial(folder / name), folder / name)
    pictures = draw_heatmaps(analysis, folder / "heatmaps")[0]
    if analysis.stored:
        pictures += draw_panels(analysis, folder / "figures", EXPORTED)[0]
    # Of a study without dynamics only the scores could be drawn: `study figures` does so when asked.
    if analysis.stored and any(piece.budget and piece.budget.dynamics for piece in analysis.evidence):
        pictures += draw_figures(analysis, folder / "figures")[0]
    return [folder / name for name in EXPORTS] + pictures


def refuse_other_study(folder: Path, study: str) -> None:
    """Refuse a folder whose export is another study's, or of which that cannot be told.

    Raises:
        UserError: it would be written over.
    """
    there = [name for name in EXPORTS if (folder / name).exists()]
    if not there:
        return
    try:
        owner = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["spec"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        owner = None
    if owner != study:
        of = f"the export of the study {owner!r}" if owner else f"{', '.join(there)} of an unknown study"
        raise UserError(
            f"--out {folder}: holds {of}, which that of {study!r} would replace; choose another folder, "
            "or give --force"
        )


def write(path: Path, content: object) -> None:
    """Write JSON to the partial file of a path; a NaN is an error, because JSON has none."""
    partial(path).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def common(provenance: str) -> str:
    """What a cell has in common with others. A note of its own stays in its record."""
    return json.dumps({key: value for key, value in json.loads(provenance).items() if key in BEHIND})


def provenance(analysis: Analysis) -> dict[str, Any]:
    """What stands behind the numbers: spec, versions, devices, commits, seeds."""
    behind = Counter(common(record.provenance) for record in analysis.stored.values())
    metrics = {one.metric_name for one in analysis.landscapes if one.trained_SWL.any()}
    return {
        "spec": json.loads(analysis.plan.spec.canonical()),
        "own_code": analysis.plan.spec.own_code,
        "cells": analysis.counts,
        "seeds": list(dict.fromkeys(cell.seed for cell in analysis.asked.cells)),
        "verdicts": {
            "looks": [look.seeds for look in analysis.schedule.looks],
            "confidence": analysis.confidence,
            "rules": analysis.registration.lines,
        },
        "trained_by": [json.loads(text) | {"cells": count} for text, count in behind.most_common()],
        "analysed_with": {name: version(name) for name in PACKAGES},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "schema": schema_values(list(analysis.cells.columns), sorted(metrics)),
    }
