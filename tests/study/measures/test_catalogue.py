"""Every measure has a number or a reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from search_spaces import Cell
from study.measures.catalogue import MEASURES, cases, measured
from study.measures.estimate import Missing
from study.measures.evidence import gather
from study.measures.landscape import Landscape
from study.spec.tolerances import Tolerances
from tests.fabricated import record_of
from tests.planting import planted
from tracking import CellRecord


def several_workloads() -> list[Landscape]:
    return [
        dataclasses.replace(planted(-3.1, high, method=method), workload=name)
        for name, high in (("w", -0.9), ("v", -1.9))
        for method in ("none", "a")
    ]


@pytest.mark.parametrize(
    "landscapes", [[planted(-3.1, -0.9)], several_workloads()], ids=["one workload", "two workloads"]
)
def test_every_measure_has_a_number_or_a_reason(landscapes: list[Landscape]) -> None:
    """Each row of the table gives a finite value per seed, or words.

    Regret and dimension need several workloads.
    """
    pieces = gather(landscapes, Tolerances())
    keys = {str(key): record_of_key(str(key)) for one in landscapes for key in one.key_SWL.ravel()}
    for case in cases(pieces, keys):
        for name in MEASURES:
            found = measured(case, name)
            if isinstance(found, Missing):
                assert found.reason, name
            else:
                assert len(found.values_S) == 3, name
                assert np.isfinite(found.values_S).all(), name
        for name in ("shared-default regret", "effective dimension"):
            assert isinstance(measured(case, name), Missing) == (len(pieces) == 1)


def test_one_cell_has_no_hyperparameters() -> None:
    """A grid of one learning rate and one weight decay tells nothing of tuning over workloads."""
    alone = []
    for one in several_workloads():
        best = int(one.score_SWL[:, 0].mean(axis=0).argmax())
        arrays = {
            name: getattr(one, name)[:, :1, best : best + 1]
            for name in ("outcome_SWL", "metric_SWL", "loss_SWL", "key_SWL")
        }
        alone.append(
            dataclasses.replace(
                one, lr=one.lr[best : best + 1], weight_decay=one.weight_decay[:1], record_SWL=None, **arrays
            )
        )
    for case in cases(gather(alone, Tolerances()), {}):
        for name in ("shared-default regret", "effective dimension"):
            assert measured(case, name) == Missing("needs a grid with at least two cells")


def record_of_key(key: str) -> CellRecord:
    return record_of(Cell("w", "adamw", "none", (), 0.1, 0.1, 0, key), 0.9)


@pytest.mark.parametrize("higher", [True, False])
def test_an_accuracy_stays_possible(higher: bool) -> None:
    """Three seeds that differ much leave the interval of an accuracy in [0, 1], that of a loss is free."""
    one = planted(-3.1, -0.9)
    metric_SWL = one.metric_SWL * np.array([1.0, 0.2, 0.9])[:, None, None]
    name = "accuracy" if higher else "nats_per_token"
    noisy = dataclasses.replace(one, metric_SWL=metric_SWL, metric_name=name, higher_is_better=higher)
    (case,) = cases(gather([noisy], Tolerances()), {})
    found = measured(case, "tuned score")
    assert not isinstance(found, Missing)
    low, high = found.interval(0.95) or (np.nan, np.nan)
    assert found.mean > 0
    assert (low == 0 and high == 1) if higher else (low < 0 and high > found.mean)
