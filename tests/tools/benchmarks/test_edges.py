"""The benchmark of edge-seeking designs works from training to table, and does not train twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tools.benchmarks.edges import HEAD, Bench, beyond_one_run, difference, run


def test_a_tiny_grid_from_training_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first run trains the grid and says so; the second only replays the designs, to the same rows."""
    bench = Bench("mlp", 7, ("none", "unit_norm"), 2, 1.0, steps=5)
    first = run("tiny", bench, tmp_path, 0)
    assert "196/196 cells trained" in capsys.readouterr().out
    assert run("tiny", bench, tmp_path, 0) == first
    assert "trained" not in capsys.readouterr().out
    assert len(first) == 2 * 2 + 2
    assert all(row.count("|") == HEAD.count("|") + 2 for row in first[:4])
    assert "alike met" in first[-1] or "alike NOT met" in first[-1]


def test_differences_of_areas_in_words() -> None:
    """A relative difference, or words where the grid has no region to compare with."""
    assert difference(1.02, 1.0) == "+2.0%"
    assert difference(0.0, 0.0) == "none in both"
    assert difference(0.5, 0.0) == "0.5 instead of none"


def test_cells_off_the_best_run_of_their_row() -> None:
    """One island and one hole are two cells; whole rows and single runs have none."""
    rows = ["0111100100", "0011011111", "0000000000", "1111111111"]
    truth_SWL = np.array([[list(map(int, row)) for row in rows]], dtype=bool)
    assert beyond_one_run(truth_SWL) == 2 / 40
