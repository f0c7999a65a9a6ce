"""The curve of a cell of the user's own training, out of its reports."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import Any

import pytest

from study.run.own_training.outcome import curve_of
from study.run.own_training.reports import Report


def reported(seed: int) -> list[Report]:
    """Reports of rising steps, several or none at a step, some without loss or score, some not finite."""
    draw = random.Random(seed)
    steps = sorted(draw.choices(range(101), k=draw.choice([0, 3, 40, 200])))
    values = (None, math.nan, math.inf, 0.5, 2.0)
    return [Report(step, draw.choice(values[::3]), draw.choice((*values, draw.random()))) for step in steps]


@pytest.mark.parametrize("until", [None, 1, 2, 34, 100])
@pytest.mark.parametrize("seed", range(6))
def test_a_point_is_what_was_reported_since_the_one_before(seed: int, until: int | None) -> None:
    """The mean of the losses and the last finite score, of the steps before a cell diverged."""
    own: Any = SimpleNamespace(untrained_loss=2.5, untrained=0.1)
    budget: Any = SimpleNamespace(recorded_steps=(0, 1, 10, 34, 35, 90, 100), steps=100)
    reports = reported(seed)
    first, *points = curve_of(own, budget, reports, until)
    assert first[0] == 0
    assert [step for step, _, _ in points] == [1, 10, 34, 35, 90, 100]
    for before, (step, loss, score) in zip((0, 1, 10, 34, 35, 90), points, strict=True):
        inside = [one for one in reports if before < one.step <= step and (until is None or one.step < until)]
        losses = [one.loss for one in inside if one.loss is not None]
        scores = [one.metric for one in inside if one.metric is not None and math.isfinite(one.metric)]
        assert loss == (sum(losses) / len(losses) if losses else None)
        assert score == (scores[-1] if scores else None)


def test_no_point_looks_at_all_reports() -> None:
    """A training may report at every step, and record many points: work grows with their sum."""
    looked = 0

    class Counted(Report):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looked
            looked += name == "step"
            return super().__getattribute__(name)

    own: Any = SimpleNamespace(untrained_loss=2.5, untrained=0.1)
    budget: Any = SimpleNamespace(recorded_steps=tuple(range(0, 1001, 2)), steps=1000)
    reports: list[Report] = [Counted(step, 0.5, 0.5) for step in range(1, 1001)]
    assert len(curve_of(own, budget, reports, None)) == 501
    assert looked < 20 * len(reports)
