"""Spikes of recorded losses."""

from __future__ import annotations

import dataclasses

import numpy as np

from search_spaces import Cell
from study.measures.late_spikes import counts_of
from tests.fabricated import record_of


def test_late_spikes_are_counted() -> None:
    """A loss far above the window before it is a spike; noise, a slow rise and too few points are none."""
    record = record_of(Cell("w", "adamw", "none", (), 0.1, 0.1, 0, "s"), 0.9)

    def with_curve(values: list[float]) -> int | None:
        curve = tuple((k, value, None) for k, value in enumerate(values))
        found = counts_of([dataclasses.replace(record, curve=curve)])
        return None if found is None else int(found[0])

    noise = list(1 + 0.01 * np.random.default_rng(0).normal(size=30))
    assert with_curve(noise) == 0
    assert with_curve([*noise, 2.0, *noise]) == 1
    assert with_curve([loss - 9.0 for loss in (*noise, 2.0, *noise)]) == 1
    assert with_curve(list(np.linspace(1, 2, 30))) == 0
    assert with_curve([1.0, 2.0]) is None
