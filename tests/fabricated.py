"""Studies whose cells were never trained: made-up records in a real ledger, read by the real commands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from search_spaces import Cell
from study.home import Home
from study.plan.cells import make_plan, settings
from study.spec.read import read_spec
from tests.conftest import TINY
from tracking import CellRecord

Score = Callable[[Cell], float | None]
"""The final accuracy of a cell; None where it diverged."""
UNTRAINED, LOSS = 0.1, 2.3


def hill(cell: Cell) -> float | None:
    """Trained from 10^-4 on, best at 10^-2, diverged from 10^-1 on, or with unit_norm from 1 on.

    Seeds differ a little.
    """
    at = np.log10(cell.lr)
    if at > -1.2 + 1.0 * (cell.transform == "unit_norm"):
        return None
    return float(UNTRAINED + 0.8 * np.exp(-(((at + 2) / 1.5) ** 2)) + 0.003 * np.sin(7 * cell.seed + 3 * at))


def fabricate(
    spec_path: Path, home: Path, score: Score, *, skip: Callable[[Cell], bool] = lambda cell: False
) -> None:
    """Store a record for every cell of a spec, except those to be skipped."""
    spec, place = read_spec(str(spec_path)), Home(home)
    place.prepare()
    with closing(place.open_ledger()) as ledger:
        prints = {setting.name: "made up" for setting in settings(spec)}
        ledger.note_fingerprints(spec.name, prints)
        ledger.add(record_of(cell, score(cell)) for cell in make_plan(spec, prints).cells if not skip(cell))


def record_of(cell: Cell, accuracy: float | None) -> CellRecord:
    """A cell that ended with this accuracy, or diverged."""
    finished = accuracy is not None
    loss = LOSS * (1 - accuracy) if accuracy is not None else None
    # A diverged cell keeps the metric that it had before, as the trainers measure it.
    start = UNTRAINED if accuracy is None else accuracy
    curve = []
    for k in range(11):
        seen = LOSS if loss is None else LOSS + (loss - LOSS) * k / 10
        curve.append((10 * k, seen, accuracy if k else start))
    return CellRecord(
        key=cell.key,
        workload=cell.workload,
        optimizer=cell.optimizer,
        transform=cell.transform,
        constants="{}",
        lr=cell.lr,
        weight_decay=cell.weight_decay,
        seed=cell.seed,
        setting=cell.setting,
        outcome="finished" if finished else "diverged",
        reason=None if finished else "nonfinite_loss",
        diverged_step=None if finished else 5,
        steps=100,
        loss_initial=LOSS,
        loss_final=loss,
        metric_name="accuracy",
        metric_direction="max",
        metric_initial=UNTRAINED,
        metric_final=accuracy,
        metric_best=accuracy,
        seconds=0.01,
        curve=tuple(curve),
        dynamics="{}",
        provenance="{}",
    )


WIDE = (
    TINY.replace("[1e-3, 1e-2, 30]", "[1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]")
    .replace("[1e-2, 10]", "[1e-3, 1e-2, 1e-1]")
    .replace("[none, unit_norm]", "[none, unit_norm, autoscale]")
)
