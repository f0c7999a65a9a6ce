"""What cells of a landscape recorded while they trained, as arrays over seeds and cells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.measures.array_types import Flags, Floats, Records
from tracking import CellRecord
from trainers.outcomes import last_living_step

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
PROBES = {
    "attention_logit": "largest attention logit",
    "log_z": "mean of log Z",
    "least_rms": "least RMS of a tensor's gradient",
}
"""What it keeps of networks that show it, with one number per step, and what that is called."""
LAYERS = ("layer_std", "gain")
"""What it keeps with one number per step and layer."""
QUOTIENTS = ("cosine", "least_cosine", "gain")
"""What has no value where a gradient is zero: nothing has overflowed there."""


@dataclass(frozen=True)
class Series:
    """Dynamics of S x W x L cells at J steps: the numbers as recorded, those that are not finite too.

    NaN also where nothing was recorded. `broken` tells the two apart.

    Attributes:
        step_J: all steps at which any cell was looked at (counted from 1). Where spikes are drawn per seed,
            each seed has some of its own.
        layers: names of the N weights.
        values: `grad_std`, `scale`, … of shape [S, W, L, J], and per layer `layer_std`, `gain` of shape
            [S, W, L, J, N]. What an older record lacks is NaN.
        recorded_SWLJ: whether a cell's record has the step, be its numbers finite or not.
        alive_SWLJ: whether it has the step, and the cell lived through it. An older record kept nothing of
            the step after which parameters were seen not to be finite, so its cell counts as ended there.
        not_finite: what `broken` gives, of each of `values`.
    """

    step_J: tuple[int, ...]
    layers: tuple[str, ...]
    values: Mapping[str, Floats]
    recorded_SWLJ: Flags
    alive_SWLJ: Flags
    not_finite: Mapping[str, Flags]

    def has(self, name: str) -> bool:
        """Whether any cell recorded a finite number of this."""
        return name in self.values and bool(np.isfinite(self.values[name]).any())

    def broken(self, name: str) -> Flags:
        """Where a living cell recorded this and the number is not finite, in the shape of `values[name]`.

        A gap is not broken: a gradient of zero has no direction and no gain. What no record has is broken
        nowhere.
        """
        found = self.not_finite.get(name)
        return np.zeros_like(self.alive_SWLJ) if found is None else found


Rows = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Entries:
    """What N cells recorded under one name at J steps, and per layer where there are layers.

    Attributes:
        value: the number, NaN where there is none.
        number: whether the record has a number, be it finite or not.
        null: whether it has null in the place of one. All are false where it has nothing.
    """

    value: Floats
    number: Flags
    null: Flags

    @classmethod
    def empty(cls, *shape: int) -> Entries:
        return cls(np.full(shape, np.nan), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool))

    def put(self, cells: Sequence[int], index: NDArray[np.intp], numbers: Rows, *layer: int) -> None:
        """Put as many numbers of each of these cells at the first of these steps."""
        count = len(numbers[0])
        at: tuple[Any, ...] = (np.array(cells)[:, None], index[:count], *layer)
        self.value[at] = np.array(numbers, dtype=np.float64)
        self.number[at] = True
        for cell, own in zip(cells, numbers, strict=True):
            if None in own:
                null = np.array([number is None for number in own])
                here: tuple[Any, ...] = (cell, index[:count], *layer)
                self.null[here], self.number[here] = null, ~null

    def take(self, cells: NDArray[np.intp]) -> Entries:
        """The same of these cells, in this order."""
        return Entries(self.value[cells], self.number[cells], self.null[cells])

    def not_finite(self, alive_NJ: Flags, nulls: Flags | bool) -> Flags:
        """Where a living cell's number is not finite; a null counts as one where `nulls` is true."""
        whose = alive_NJ.reshape(*alive_NJ.shape, *[1] * (self.value.ndim - 2))
        return whose & ((self.number & ~np.isfinite(self.value)) | (self.null & nulls))


def series(record_SWL: Records) -> Series | None:
    """The dynamics of all cells, each number at the step that its own record says.

    None where no dynamics were recorded.
    """
    record_N: list[CellRecord | None] = list(record_SWL.ravel())
    # Equal texts are read once: cells without dynamics all have the same.
    known_texts = dict.fromkeys(record.dynamics for record in record_N if record is not None)
    texts = {text: t for t, text in enumerate(known_texts)}
    seen_T: list[Mapping[str, Any]] = [*map(json.loads, texts), {}]
    text_N = np.array([texts[record.dynamics] if record is not None else -1 for record in record_N])
    known = [seen for seen in seen_T if seen]
    if not known:
        return None
    layers = tuple(max(known, key=lambda seen: len(seen["step"]))["layer_std"])
    step_lists = {tuple(seen["step"]) for seen in known}  # few: the cells of a seed have the same
    steps = sorted(set().union(*step_lists))
    at = {step: j for j, step in enumerate(steps)}
    indices = {own: np.array([at[step] for step in own], dtype=np.intp) for own in step_lists}
    steps_T = [tuple(seen.get("step", ())) for seen in seen_T]
    recorded_TJ = np.zeros((len(seen_T), len(steps)), dtype=bool)
    for row, own in zip(recorded_TJ, steps_T, strict=True):
        row[indices.get(own, [])] = True
    recorded_NJ = recorded_TJ[text_N]
    last_N = [last_lived(record, seen_T[t]) for record, t in zip(record_N, text_N, strict=True)]
    alive_NJ = recorded_NJ & (np.array(steps) <= np.array(last_N)[:, None])
    layered: dict[str, bool] = {}
    for seen in known:
        layered |= {name: isinstance(value, dict) for name, value in seen.items() if name != "step"}
    found: dict[str, Entries] = {}
    for name, per_layer in layered.items():
        entries = Entries.empty(*recorded_TJ.shape, *([len(layers)] if per_layer else []))
        parts: list[tuple[tuple[int, ...], list[Any]]] = [((), [seen.get(name) for seen in seen_T])]
        if per_layer:
            parts = [
                ((k,), [(seen.get(name) or {}).get(layer) for seen in seen_T])
                for k, layer in enumerate(layers)
            ]
        for layer_index, numbers_T in parts:
            # Cells that were looked at at the same steps are put together. Older lists may be shorter.
            alike: dict[tuple[tuple[int, ...], int], list[int]] = {}
            for t, numbers in enumerate(numbers_T):
                if numbers:
                    alike.setdefault((steps_T[t], len(numbers)), []).append(t)
            for (own, _), members in alike.items():
                entries.put(members, indices[own], [numbers_T[t] for t in members], *layer_index)
        found[name] = entries.take(text_N)
    values, broken = {name: entries.value for name, entries in found.items()}, not_finite(found, alive_NJ)
    grid = record_SWL.shape
    return Series(
        tuple(steps),
        layers,
        {name: value.reshape(*grid, *value.shape[1:]) for name, value in values.items()},
        recorded_NJ.reshape(*grid, -1),
        alive_NJ.reshape(*grid, -1),
        {name: flags.reshape(*grid, *flags.shape[1:]) for name, flags in broken.items()},
    )


def last_lived(record: CellRecord | None, seen: Mapping[str, Any]) -> float:
    """The last step that a cell lived through and of which its record keeps something."""
    if record is None:
        return 0.0
    last = last_living_step(record.reason, record.diverged_step)
    # Older records erased the very step after which parameters were not finite, so nothing is known of it.
    # What was not erased has a number somewhere, if only an infinite one.
    if last == record.diverged_step and last in seen.get("step", ()):
        at = seen["step"].index(last)
        kept = [numbers for name in SERIES if (numbers := seen.get(name))]
        for name in LAYERS:
            kept += (seen.get(name) or {}).values()
        there = [number for numbers in kept for number in numbers[at : at + 1]]
        if all(number is None or math.isnan(number) for number in there):
            return last - 1
    return last


def not_finite(found: Mapping[str, Entries], alive_NJ: Flags) -> dict[str, Flags]:
    """Where each of these numbers of a living cell is not finite, although it is no gap.

    Records wrote null in the place of infinities and NaN until they kept these. So a null of a living cell
    counts as one, but for quotients that may have no value: they are gaps, unless what left the transform was
    not finite.
    """
    nulls: dict[str, Flags | bool] = dict.fromkeys(found, True)
    nulls |= dict.fromkeys(QUOTIENTS, False)
    if "out_norm" in found:
        out_NJ = found["out_norm"].not_finite(alive_NJ, nulls=True)
        nulls |= {"cosine": out_NJ, "least_cosine": out_NJ, "gain": out_NJ[..., None]}
    if "grad_norm" in found:
        nulls["scale"] = found["grad_norm"].value != 0
    return {name: entries.not_finite(alive_NJ, nulls[name]) for name, entries in found.items()}


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
    """A NaN-ignoring rule (`np.nanmax`, …) over the finite numbers along axes, NaN where there is none.

    It is about sizes. Whether a number broke a rule by not being finite is asked of `Series.broken`.
    """
    finite = np.isfinite(values)
    known = finite.any(axis=axes)
    # numpy warns where all values are NaN, so the rule sees zeros there.
    seen = np.where(finite, values, np.where(np.expand_dims(known, axes), np.nan, 0.0))
    return np.where(known, rule(seen, axis=axes), np.nan)


def ranks(values: Floats) -> Floats:
    """Ranks of the numbers along the last axis, from 0.

    Equal numbers share the mean of their ranks, and so do all NaN, which come last.
    """
    # Imported here: it takes longer than everything else that reading a study needs.
    from scipy.stats import rankdata

    # NaN becomes infinity, which ranks last and ties with itself.
    found = rankdata(np.where(np.isnan(values), np.inf, values), axis=-1) - 1
    return np.asarray(found, dtype=values.dtype)
