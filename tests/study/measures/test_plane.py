"""The performance-sensitivity plane against the paper's formulas, written out."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Cell
from study.analysis import Analysis
from study.home import Home
from study.measures.estimate import Missing
from study.measures.plane import plane
from study.report.pictures.plane import draw_planes
from study.spec.read import read_spec
from study.stored import read
from tests.fabricated import WIDE, fabricate

BEST = {
    ("digits/mlp", "none"): -2,
    ("synthetic/mlp", "none"): -4,
    ("digits/mlp", "unit_norm"): -3,
    ("synthetic/mlp", "unit_norm"): -3,
}
"""log10 of the best learning rate: one that fits both tasks with unit_norm alone."""


def peaks(cell: Cell) -> float:
    """0.9 at the best learning rate, 0.2 lower with each decade, the same for every seed."""
    best = BEST.get((cell.workload, cell.transform), -5)
    return max(0.9 - 0.2 * abs(np.log10(cell.lr) - best), 0.1)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Two tasks, three transforms, three seeds."""
    folder = tmp_path_factory.mktemp("plane")
    spec = folder / "s.yaml"
    spec.write_text(WIDE.replace("workload: digits", "workload: [digits, synthetic]"))
    fabricate(spec, folder / "home", peaks)
    return read(read_spec(str(spec)), Home(folder / "home"))


def test_spots_are_those_of_the_formulas(analysis: Analysis) -> None:
    """Performance and Φ equal the plain formulas with percentiles over all runs of a task."""
    found = plane(analysis.evidence)
    assert not isinstance(found, Missing)
    lr = np.array(analysis.plan.spec.lr)
    tasks, methods = ("digits/mlp", "synthetic/mlp"), ("none", "unit_norm", "autoscale")
    raw = {
        (task, method): np.maximum(0.9 - 0.2 * np.abs(np.log10(lr) - BEST.get((task, method), -5)), 0.1)
        for task, method in product(tasks, methods)
    }
    gamma = {}
    for task in tasks:
        low, high = np.percentile(np.concatenate([raw[task, method] for method in methods]), [5, 95])
        for method in methods:
            gamma[task, method] = (raw[task, method] - low) / (high - low)
    for spot in found:
        both = np.array([gamma[task, spot.transform] for task in tasks])
        assert spot.performance.mean == pytest.approx(both.max(axis=1).mean())
        wanted = both.max(axis=1).mean() - both.mean(axis=0).max()
        assert spot.sensitivity.mean == pytest.approx(wanted, abs=1e-12)
    dimension = {spot.transform: spot.dimension.mean for spot in found}
    assert dimension == {"none": 1.0, "unit_norm": 0.0, "autoscale": 0.0}


def test_one_task_has_no_plane(analysis: Analysis) -> None:
    """The answer is what is missing."""
    found = plane(analysis.evidence[:1])
    assert isinstance(found, Missing)
    assert "at least two" in found.reason


def test_the_picture_has_its_numbers_beside_it(analysis: Analysis, tmp_path: Path) -> None:
    """One picture, and a table with a row per transform and measure."""
    written, missing = draw_planes(analysis, tmp_path)
    assert missing == {}
    assert {"plane-adamw.png", "plane-adamw.csv"} <= {path.name for path in written}
    assert len((tmp_path / "plane-adamw.csv").read_text().splitlines()) == 1 + 3 * 3
