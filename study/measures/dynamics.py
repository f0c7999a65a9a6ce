"""What cells of a landscape recorded while they trained, as arrays over seeds and cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.measures.array_types import Flags, Floats, Records
from tracking import CellRecord

SERIES = (
    "grad_std",
    "grad_norm",
    "scale",
    "update_ratio",
    "out_norm",
    "tensor_norm",
    "cosine",
    "least_cosine",
)
"""What a record keeps of the dynamics with one number per step. An older record may lack some."""
LAYERS = ("layer_std", "gain")
"""What it keeps with one number per step and layer."""


@dataclass(frozen=True)
class Series:
    """Dynamics of S x W x L cells at J steps, NaN where a cell had ended or recorded nothing.

    Attributes:
        step_J: all steps at which any cell was looked at (counted from 1). Where spikes are drawn per seed,
            each seed has some of its own.
        layers: names of the N weights.
        values: `grad_std`, `scale`, … of shape [S, W, L, J], and per layer `layer_std`, `gain` of shape
            [S, W, L, J, N]. What an older record lacks is NaN.
        recorded_SWLJ: whether a cell's record has the step, be its numbers finite or not.
    """

    step_J: tuple[int, ...]
    layers: tuple[str, ...]
    values: Mapping[str, Floats]
    recorded_SWLJ: Flags

    def has(self, name: str) -> bool:
        """Whether any cell recorded this."""
        return name in self.values and bool(np.isfinite(self.values[name]).any())


def series(record_SWL: Records) -> Series | None:
    """The dynamics of all cells, each number at the step that its own record says.

    None where no dynamics were recorded.
    """
    seen_N = [json.loads(record.dynamics) if record is not None else {} for record in record_SWL.ravel()]
    known = [seen for seen in seen_N if seen]
    if not known:
        return None
    layers = tuple(max(known, key=lambda seen: len(seen["step"]))["layer_std"])
    step_lists = {tuple(seen["step"]) for seen in known}  # few: the cells of a seed have the same
    steps = sorted(set().union(*step_lists))
    at = {step: j for j, step in enumerate(steps)}
    indices = {own: np.array([at[step] for step in own], dtype=np.intp) for own in step_lists}
    index_N = [indices[tuple(seen["step"])] if seen else np.empty(0, dtype=np.intp) for seen in seen_N]
    recorded_NJ = np.zeros((len(seen_N), len(steps)), dtype=bool)
    for row, index in zip(recorded_NJ, index_N, strict=True):
        row[index] = True
    layered: dict[str, bool] = {}
    for seen in known:
        layered |= {name: isinstance(value, dict) for name, value in seen.items() if name != "step"}
    values = {}
    for name, per_layer in layered.items():
        found = np.full((len(seen_N), len(steps), *([len(layers)] if per_layer else [])), np.nan)
        for row, seen, index in zip(found, seen_N, index_N, strict=True):
            if not per_layer:
                _fill(row, index, seen.get(name))
                continue
            numbers = seen.get(name) or {}
            for n, layer in enumerate(layers):
                _fill(row[:, n], index, numbers.get(layer))
        values[name] = found.reshape(*record_SWL.shape, *found.shape[1:])
    return Series(tuple(steps), layers, values, recorded_NJ.reshape(*record_SWL.shape, -1))


def _fill(row_J: Floats, index: NDArray[np.intp], numbers: list[float | None] | None) -> None:
    """Put a cell's numbers at the steps that it recorded.

    A list that is shorter than its steps fills the first of them.
    """
    if numbers:
        row_J[index[: len(numbers)]] = np.array(numbers, dtype=np.float64)


def curve(record_SWL: Records, column: int) -> tuple[tuple[int, ...], Floats]:
    """Recorded steps, and the numbers at each of them, shape [S, W, L, K]; NaN where there is none.

    Args:
        column: 1 for the loss, 2 for the metric.
    """
    cells: list[CellRecord | None] = list(record_SWL.ravel())
    # Cells that diverged have shorter curves, whose steps are the first of the others'.
    longest = max((record.curve for record in cells if record is not None), key=len, default=())
    value_NK = np.full((len(cells), len(longest)), np.nan)
    for row, record in zip(value_NK, cells, strict=True):
        if record is not None and record.curve:
            row[: len(record.curve)] = np.array([point[column] for point in record.curve], dtype=np.float64)
    return tuple(point[0] for point in longest), value_NK.reshape(*record_SWL.shape, len(longest))


def over(values: Floats, rule: Callable[..., Floats], *axes: int) -> Floats:
    """A NaN-ignoring rule (`np.nanmax`, …) over axes, NaN where nothing is known."""
    # numpy warns where all values are NaN, so the rule sees zeros there.
    known = np.isfinite(values).any(axis=axes)
    return np.where(known, rule(np.where(np.expand_dims(known, axes), values, 0.0), axis=axes), np.nan)


def ranks(values: Floats) -> Floats:
    """Ranks of the numbers along the last axis, from 0.

    Equal numbers share the mean of their ranks, and so do all NaN, which come last.
    """
    rank = np.empty_like(values)
    for index in np.ndindex(values.shape[:-1]):
        _, which, counts = np.unique(values[index], return_inverse=True, return_counts=True)
        rank[index] = (np.cumsum(counts) - (counts + 1) / 2)[which]
    return rank
