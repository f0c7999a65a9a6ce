"""What cells of a landscape recorded while they trained, as arrays over seeds and cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from study.measures.arrays import Flags, Floats, Records
from tracking import CellRecord


@dataclass(frozen=True)
class Series:
    """Dynamics of S x W x L cells at J steps, NaN where a cell had ended or recorded nothing.

    Attributes:
        step_J: all steps at which any cell was looked at (counted from 1); where spikes are drawn per seed, each seed has some of its own.
        layers: names of the N weights.
        values: `grad_std`, `scale`, … of shape [S, W, L, J], and per layer `layer_std`, `gain` of shape [S, W, L, J, N]; what an
            older record lacks is NaN.
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
    """The dynamics of all cells, each number at the step that its own record says, or None where none was recorded."""
    seen_N = [json.loads(record.dynamics) if record is not None else {} for record in record_SWL.ravel()]
    known = [seen for seen in seen_N if seen]
    if not known:
        return None
    layers = tuple(max(known, key=lambda seen: len(seen["step"]))["layer_std"])
    lists = {tuple(seen["step"]) for seen in known}  # few: the cells of a seed have the same
    steps = sorted(set().union(*lists))
    at = {step: j for j, step in enumerate(steps)}
    places = {own: np.array([at[step] for step in own], dtype=np.intp) for own in lists}
    place_N = [places[tuple(seen["step"])] if seen else np.empty(0, dtype=np.intp) for seen in seen_N]
    recorded_NJ = np.zeros((len(seen_N), len(steps)), dtype=bool)
    for row, place in zip(recorded_NJ, place_N, strict=True):
        row[place] = True
    names = {
        name: isinstance(value, dict) for seen in known for name, value in seen.items() if name != "step"
    }
    values = {}
    for name, layered in names.items():
        found = np.full((len(seen_N), len(steps), *([len(layers)] if layered else [])), np.nan)
        for row, seen, place in zip(found, seen_N, place_N, strict=True):
            lists_of = seen.get(name) or {}
            for column, numbers in (
                [(row[:, n], lists_of.get(layer)) for n, layer in enumerate(layers)]
                if layered
                else [(row, lists_of)]
            ):
                if numbers:
                    column[place[: len(numbers)]] = np.array(numbers, dtype=np.float64)
        values[name] = found.reshape(*record_SWL.shape, *found.shape[1:])
    return Series(tuple(steps), layers, values, recorded_NJ.reshape(*record_SWL.shape, -1))


def _padded(values: list[float | None] | None, length: int) -> Floats:
    row = np.full(length, np.nan)
    if values:
        row[: len(values)] = np.array(values, dtype=np.float64)
    return row


def curve(record_SWL: Records, column: int) -> tuple[tuple[int, ...], Floats]:
    """Recorded steps, and the loss (column 1) or the metric (column 2) at each of them, shape [S, W, L, K]; NaN where there is none."""
    cells: list[CellRecord | None] = list(record_SWL.ravel())
    longest = max((record.curve for record in cells if record is not None), key=len, default=())
    rows = [
        _padded([point[column] for point in record.curve] if record is not None else None, len(longest))
        for record in cells
    ]
    return tuple(point[0] for point in longest), np.array(rows).reshape(*record_SWL.shape, len(longest))


def over(values: Floats, rule: Callable[..., Floats], *axes: int) -> Floats:
    """A NaN-ignoring rule (`np.nanmax`, …) over axes, NaN where nothing is known, without numpy's warning."""
    known = np.isfinite(values).any(axis=axes)
    return np.where(known, rule(np.where(np.expand_dims(known, axes), values, 0.0), axis=axes), np.nan)


def ranks(values: Floats) -> Floats:
    """Places of the numbers along the last axis, from 0; equal numbers share the mean of their places, and so do all NaN, which come last."""
    places = np.empty_like(values)
    for index in np.ndindex(values.shape[:-1]):
        _, which, counts = np.unique(values[index], return_inverse=True, return_counts=True)
        places[index] = (np.cumsum(counts) - (counts + 1) / 2)[which]
    return places


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


LAYERS = ("layer_std", "gain")
"""What a record keeps of the dynamics: one number per step, and one per step and layer. A record of before may lack some."""
