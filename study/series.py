"""What cells of a landscape recorded while they trained, as arrays over seeds and cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracking import CellRecord

Floats = NDArray[np.float64]
Records = NDArray[np.object_]


@dataclass(frozen=True)
class Series:
    """Dynamics of S x W x L cells at J steps, NaN where a cell had ended or recorded nothing.

    Attributes:
        step_J: steps at which the cells were looked at (counted from 1).
        layers: names of the N weights.
        values: `grad_std`, `scale`, … of shape [S, W, L, J], and per layer `layer_std`, `gain` of shape [S, W, L, J, N]; what an
            older record lacks is NaN.
    """

    step_J: tuple[int, ...]
    layers: tuple[str, ...]
    values: Mapping[str, Floats]

    def has(self, name: str) -> bool:
        """Whether any cell recorded this."""
        return name in self.values and bool(np.isfinite(self.values[name]).any())


def series(record_SWL: Records) -> Series | None:
    """The dynamics of all cells, or None where none was recorded."""
    seen_N = [json.loads(record.dynamics) if record is not None else {} for record in record_SWL.ravel()]
    known = [seen for seen in seen_N if seen]
    if not known:
        return None
    longest = max(known, key=lambda seen: len(seen["step"]))
    steps, layers = longest["step"], tuple(longest["layer_std"])
    names = {name: isinstance(value, dict) for seen in known for name, value in seen.items() if name != "step"}
    values = {}
    for name, layered in names.items():
        rows = [_layered(seen.get(name), layers, len(steps)) if layered else _padded(seen.get(name), len(steps)) for seen in seen_N]
        values[name] = np.array(rows).reshape(*record_SWL.shape, *rows[0].shape)
    return Series(tuple(steps), layers, values)


def _padded(values: list[float | None] | None, length: int) -> Floats:
    row = np.full(length, np.nan)
    if values:
        row[: len(values)] = np.array(values, dtype=np.float64)
    return row


def _layered(values: Mapping[str, list[float | None]] | None, layers: tuple[str, ...], length: int) -> Floats:
    return np.stack([_padded((values or {}).get(layer), length) for layer in layers], axis=1)


def curve(record_SWL: Records, column: int) -> tuple[tuple[int, ...], Floats]:
    """Recorded steps, and the loss (column 1) or the metric (column 2) at each of them, shape [S, W, L, K]; NaN where there is none."""
    cells: list[CellRecord | None] = list(record_SWL.ravel())
    longest = max((record.curve for record in cells if record is not None), key=len, default=())
    rows = [_padded([point[column] for point in record.curve] if record is not None else None, len(longest)) for record in cells]
    return tuple(point[0] for point in longest), np.array(rows).reshape(*record_SWL.shape, len(longest))


def over(values: Floats, rule: Callable[..., Floats], *axes: int) -> Floats:
    """A NaN-ignoring rule (`np.nanmax`, …) over axes, NaN where nothing is known, without numpy's warning."""
    known = np.isfinite(values).any(axis=axes)
    return np.where(known, rule(np.where(np.expand_dims(known, axes), values, 0.0), axis=axes), np.nan)


def ranks(values: Floats) -> Floats:
    """Places of the numbers along the last axis, from 0; equal numbers share the mean of their places."""
    order = np.argsort(values, axis=-1, kind="stable")
    places = np.empty_like(values)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(values.shape[-1], dtype=np.float64), values.shape).copy(), axis=-1)
    for index in np.ndindex(values.shape[:-1]):
        row = values[index]
        if len(np.unique(row)) < len(row):
            for value in np.unique(row):
                same = row == value
                places[index][same] = places[index][same].mean()
    return places
