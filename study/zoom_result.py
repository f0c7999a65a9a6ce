"""What a zoom found: its window, its cells, and the dimension of the edge in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from study.measures.edge_dimension import Dimension, by_boxes, by_pairs
from study.measures.estimate import Missing
from study.measures.fine_map import FineMap, stretched
from study.measures.landscape import DIVERGED, FINISHED
from study.plan.cells import Plan
from study.plan.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

STATES = ("pending", "finished", "diverged")
"""What tables call a cell of each state of a `FineMap`."""


@dataclass(frozen=True)
class ZoomResult:
    """A window and what is known of its cells.

    Attributes:
        trained: cells that this command trained.
        failures: why tiles failed.
        files: what was written.
        trouble: what was wrong with MLflow; None where nothing was.
    """

    study: str
    window: Window
    plan: Plan
    map: FineMap
    confidence: float
    trained: int = 0
    seconds: float = 0.0
    failures: tuple[str, ...] = ()
    interrupted: bool = False
    files: Sequence[Path] = field(default_factory=tuple)
    trouble: str | None = None

    @property
    def complete(self) -> bool:
        return self.map.complete

    @cached_property
    def boxes(self) -> Dimension | Missing:
        """The box-counting dimension of the edge."""
        return by_boxes(self.map.diverged_WL, self.confidence) if self.complete else self._incomplete

    @cached_property
    def pairs(self) -> Dimension | Missing:
        """The dimension of the edge by pairs of cells."""
        return by_pairs(self.map.diverged_WL, self.confidence) if self.complete else self._incomplete

    @property
    def _incomplete(self) -> Missing:
        return Missing(f"{self.map.counts['pending']:,} cells are pending")

    @property
    def cells(self) -> DataFrame:
        """One row per cell, by rising weight decay and then by rising learning rate.

        `shade` is the rank of `loss_size` among the cells that ended likewise: what the picture shows.
        """
        import pandas as pd

        found = self.map
        shade = np.where(
            found.diverged_WL, *(stretched(found.size_WL, found.state_WL == k) for k in (DIVERGED, FINISHED))
        )
        steps = pd.array(found.diverged_step_WL.ravel(), dtype="Float64").astype("Int64")
        return pd.DataFrame(
            {
                "key": self.plan.keys,
                "lr": [cell.lr for cell in self.plan.cells],
                "weight_decay": [cell.weight_decay for cell in self.plan.cells],
                "seed": self.window.seed,
                "outcome": np.array(STATES)[found.state_WL.ravel()],
                "diverged_step": steps,
                "loss_final": found.loss_WL.ravel(),
                "metric_final": found.metric_WL.ravel(),
                "loss_size": found.size_WL.ravel(),
                "shade": shade.ravel(),
            }
        )
