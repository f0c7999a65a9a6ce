"""The tables of the pages are what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.benchmarks import figures, phases, steps
from tests.tools.benchmarks.peers import __main__ as peers

ABOUT = {"machine": "a processor", "cores": 2, "python": "3.11", "versions": {"torch": "2"}}


@pytest.mark.parametrize("path", sorted(figures.MEASURED.glob("*.json")), ids=lambda path: path.stem)
def test_a_page_shows_what_its_file_has(path: Any) -> None:
    """Nobody mends a figure by hand."""
    page, text = figures.block(path.stem)
    shown = page.read_text()
    assert figures.written(shown, path.stem, text) == shown, "run python -m tests.tools.benchmarks.figures"


def test_no_ratio_is_shown_where_results_differ() -> None:
    """Neither of tools, nor of steps."""
    tools = [
        {"title": "ours", "seconds": [2.0, 1.0, 4.0], "scaled": None, "apart": None},
        {"title": "same", "seconds": [8.0, 6.0, 7.0], "scaled": 24, "apart": 1e-6},
        {"title": "other", "seconds": [3.0, 3.0, 3.0], "scaled": None, "apart": 0.5},
        {"title": "rounds", "seconds": [2.0, 2.0, 2.0], "scaled": None, "apart": 0.5, "apart_exact": 1e-15},
        {"title": "errs", "seconds": [2.0, 2.0, 2.0], "scaled": None, "apart": 1e-6, "apart_exact": 1e-5},
    ]
    found = peers.figures({**ABOUT, "cells": 1764, "tools": tools})
    assert [row[3] for row in found.rows] == ["1.00", "3.50", "–", "1.00", "–"]
    assert found.rows[1][:2] == ["same (from 24 cells)", "7.0 (6.0–8.0)"]
    assert ["DIFFERENT" in row[4] for row in found.rows] == [False, False, True, False, True]
    row = {
        "network": "MLP",
        "width": 16,
        "ours": [50.0, 60.0],
        "jax": [100.0, 80.0],
        "products": [100.0, 100.0],
    }
    both = [{**row, "apart": 1e-4}, {**row, "apart": 0.5}]
    first, second = steps.figures({**ABOUT, "rows": both}).rows
    assert first[4:] == ["0.62 (0.50–0.75)", "0.55 (0.50–0.60)"]
    assert second[4] == "losses differ by 5e-01"


def test_shares_are_of_the_whole() -> None:
    """Phases of a launch, with the median of their sum below."""
    rows = [dict.fromkeys(phases.WORDS, one) for one in (1.0, 2.0, 3.0)]
    found = phases.figures({**ABOUT, "spec": "quickstart", "cells": 7, "launches": rows})
    assert [row[2] for row in found.rows] == ["20%"] * 5 + [""]
    assert found.rows[-1][1] == "10.0 (5.0–15.0)"


def test_a_page_without_the_block_is_said() -> None:
    """A block is written between its marks, and nowhere else."""
    page = "a\n<!-- steps: begin -->\nold\n<!-- steps: end -->\nb\n"
    assert figures.written(page, "steps", "new") == page.replace("old", "new")
    with pytest.raises(ValueError, match="no block"):
        figures.written("a\n", "steps", "new")
