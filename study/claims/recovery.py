"""Recovery from a spike: how long the outgoing level takes to be back."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from study.measures.array_types import Flags, Floats
from study.measures.dynamics import Series

LEVEL = 20
"""Recorded steps before a spike; their mean is the level before it."""
CALM = 5
"""Recorded steps whose median must be back at the level, so that passing through it is not enough."""
RECOVERED = 0.1
"""A level has recovered when it is this near to the one before [relative]."""


def recovered(waited: Floats) -> str:
    """How long cells took to be back at their level, in words."""
    back = waited[np.isfinite(waited)]
    if not back.size:
        return f"back in none of {waited.size} cells before training or the calm ended"
    return (
        f"back within {RECOVERED:.0%} of the level before after {np.median(back):.0f} steps "
        f"(median of {back.size} of {waited.size} cells; "
        f"{waited.size - back.size} were not back when training or the calm ended)"
    )


def recovery(seen: Series, s: int, hits: list[int], name: str, cells_WL: Flags | None = None) -> Floats:
    """Steps from the first spike until the outgoing level is back, per cell that was alive before it.

    The level before is the mean over the `LEVEL` recorded steps of the seed before the spike. It is back at
    the first step that is within `RECOVERED` of it, as is the median of that step and the next `CALM` - 1.
    The next spike, or the end, ends the search.

    Returns:
        one number per cell; infinite where the level is not back.
    """
    # Spikes may be drawn per seed: the other seeds' steps are no moments of this one.
    own_J = seen.recorded_SWLJ[s].any(axis=(0, 1))
    step_J = np.array(seen.step_J)[own_J].tolist()
    if not hits or hits[0] not in step_J:
        return np.empty(0)
    at = step_J.index(hits[0])
    end = step_J.index(hits[1]) if len(hits) > 1 and hits[1] in step_J else len(step_J)
    values = seen.values[name][s].reshape(-1, len(seen.step_J))[:, own_J]
    if cells_WL is not None:
        values = values[cells_WL.ravel()]
    values = values[np.isfinite(values[:, max(0, at - LEVEL) : at]).all(axis=1)]
    before = values[:, max(0, at - LEVEL) : at]
    if before.shape[1] == 0:
        return np.full(len(values), np.inf)
    level, waited = before.mean(axis=1), np.full(len(values), np.inf)
    if end - CALM <= at or not len(values):
        return waited
    after_NKC = sliding_window_view(values[:, at + 1 : end], CALM, axis=1)
    whole_NK = np.isfinite(after_NKC).all(axis=2) & (level > 0)[:, None]
    after_NKC = np.where(whole_NK[..., None], after_NKC, 0.0)
    level_N1 = level[:, None]
    away_NK = np.maximum(
        np.abs(after_NKC[..., 0] - level_N1), np.abs(np.median(after_NKC, axis=2) - level_N1)
    )
    near_NK = whole_NK & (away_NK <= RECOVERED * level_N1)
    back = near_NK.any(axis=1)
    waited[back] = np.array(step_J)[at + 1 + near_NK[back].argmax(axis=1)] - hits[0]
    return waited
