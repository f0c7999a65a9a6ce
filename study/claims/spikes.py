"""Claims about spikes: what leaves the stabilizer is bounded, near its level before, and soon back at it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from study.claims.baselines import keys_of, lacking, others
from study.claims.finding import Comparison, Finding
from study.claims.gradients import BEYOND, ROUNDING, UNRECORDED, recorded
from study.measures.array_types import Flags, Floats
from study.measures.dynamics import Series, over
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.landscape import Landscape
from study.measures.regions import MAJORITY
from trainers.budget import Budget

LEVEL = 20
"""Recorded steps before a spike; their mean is the level before it."""
CALM = 5
"""Recorded steps whose median must be back at the level, so that passing through it is not enough."""
RECOVERED = 0.1
"""A level has recovered when it is this near to the one before [relative]."""
MEASURE = (
    "largest norm of an outgoing tensor on spike steps, over the bound of Lemma 3.6, over all cells of a seed"
)

SPIKES_NEEDED = (
    "injected spikes (budget: spike_steps or spike_probability; conditions: spike_size), larger than 1"
)


@dataclass(frozen=True)
class AfterSpikes:
    """What leaves the method on the spike steps of S seeds, and how it recovers from each seed's first spike.

    Attributes:
        over_bound_S: largest outgoing norm over its bound; NaN where no cell lived to see a spike.
        norm_S: largest outgoing norm itself; NaN likewise.
        waited: steps until the level was back, of the N cells of all seeds; infinite where it was not.
        steps: spike steps that were looked at.
    """

    over_bound_S: Floats
    norm_S: Floats
    waited: Floats
    steps: int


def constants_of(own: Landscape) -> dict[str, Any]:
    """All constants of the stabilizer: the given ones, and the method's own defaults for the others."""
    # Importing the method loads torch, which reading a study does not need otherwise.
    from trainers.transforms.gradient_stabilizer import gradient_stabilizer

    parameters = inspect.signature(gradient_stabilizer).parameters
    return {key: parameter.default for key, parameter in parameters.items()} | dict(own.constants)


def bound(step: int, constants: Mapping[str, Any]) -> float:
    """Largest norm of an outgoing tensor at a step (counted from 1).

        (1 - γ1) / sqrt(1 - γ2) / sqrt(1 - γ1² / γ2),   times sqrt(1 - γ2^t) / (1 - γ1^t) with bias correction

    Reference: GradientStabilizer, arXiv:2502.17055 v4, Lemma 3.6, whose averages are not corrected for their
        start.
    """
    low, high = constants["gamma1"], constants["gamma2"]
    correction = math.sqrt(1 - high**step) / (1 - low**step) if constants["bias_correction"] else 1.0
    return float((1 - low) / math.sqrt(1 - high) / math.sqrt(1 - low**2 / high) * correction)


def bounded_on_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """The largest outgoing norm on spike steps over its bound, per size; beside it the time to recover."""
    pieces = spiked(evidence, own)
    if not pieces:
        return Finding(MEASURE, "x", missing=SPIKES_NEEDED)
    if trouble := missing_seeds([piece for piece, _ in pieces]):
        return Finding(MEASURE, "x", missing=trouble)
    constants = constants_of(own)
    if constants["gamma1"] ** 2 >= constants["gamma2"]:
        return Finding(MEASURE, "x", missing="constants for which the bound holds, gamma1² < gamma2")
    # The bound is on the norm of what is stabilized: each tensor, or all of them as one.
    name = "tensor_norm" if constants["per_tensor"] else "out_norm"
    comparisons, used = [], []
    for piece, budget in pieces:
        landscape = piece.landscapes[own.transform]
        seen = landscape.series
        if not recorded(seen, name):
            return Finding(MEASURE, "x", missing=UNRECORDED.format("outgoing norm"))
        used.append(landscape)
        found = after_spikes(landscape, seen, budget, constants, name)
        comparison = at_size(found, budget.spike_size, bound(last_spike(budget, own), constants))
        comparisons.append(replace(comparison, breaking=evidence.tolerances.breaking))
    return Finding(MEASURE, "x", tuple(comparisons), ratio=True, keys=keys_of(used))


def spiked(evidence: Evidence, own: Landscape) -> list[tuple[Evidence, Budget]]:
    """The settings that differ in the spikes' size alone and have spikes at every seed, and their budgets."""
    # Importing the drawing of spikes loads torch, see `constants_of`.
    from trainers.spikes import spiked_steps

    found = []
    for piece in along(evidence, "spike_size"):
        budget = piece.budget
        if budget is None or budget.spike_size <= 1:
            continue
        if all(spiked_steps(budget, seed) for seed in own.seeds):
            found.append((piece, budget))
    return found


def after_spikes(
    landscape: Landscape, seen: Series, budget: Budget, constants: Mapping[str, Any], name: str
) -> AfterSpikes:
    """Measure every seed of a landscape on its own spike steps.

    Args:
        name: the recorded norm that the bound is on.
    """
    from trainers.spikes import spiked_steps

    over_bound, norms, waited, steps = [], [], [], 0
    for s, seed in enumerate(landscape.seeds):
        # A spike's step is missing where no cell of the seed lived to see it.
        hits = [step for step in sorted(spiked_steps(budget, seed)) if step in seen.step_J]
        if not hits:
            over_bound.append(math.nan)
            norms.append(math.nan)
            continue
        at = [seen.step_J.index(step) for step in hits]
        # A norm that overflowed in a cell that lived to see the spike exceeds every bound.
        norm_WLH = np.where(seen.broken(name)[s], BEYOND, seen.values[name][s])[..., at]
        steps += int(np.isfinite(norm_WLH).sum())
        limit_H = np.array([bound(step, constants) for step in hits])
        over_bound.append(float(over(norm_WLH / limit_H, np.nanmax, 0, 1, 2)))
        norms.append(float(over(norm_WLH, np.nanmax, 0, 1, 2)))
        waited.append(recovery(seen, s, hits, name))
    return AfterSpikes(np.array(over_bound), np.array(norms), np.concatenate([np.empty(0), *waited]), steps)


def last_spike(budget: Budget, own: Landscape) -> int:
    """The latest step that has a spike at any seed."""
    from trainers.spikes import spiked_steps

    return max(max(spiked_steps(budget, seed)) for seed in own.seeds)


def at_size(found: AfterSpikes, size: float, shown_bound: float) -> Comparison:
    """Whether every seed's largest norm stays within its bound at spikes of this size.

    Args:
        shown_bound: the bound that the note names, of one step; every step was compared with its own.
    """
    if not np.isfinite(found.over_bound_S).all():
        note = "no cell lived to see a spike at some seed"
        return Comparison(f"size {size:g}", None, 0.0, False, note, preposition="at spikes of")
    note = f"largest norm {found.norm_S.max():.3g}, bound {shown_bound:.3g}; {recovered(found.waited)}"
    # The floor keeps the logarithm finite where nothing at all leaves the method.
    estimate = Estimate(tuple(np.log(np.maximum(found.over_bound_S, 1e-12)).tolist()))
    return Comparison(
        f"size {size:g}",
        estimate,
        math.log1p(ROUNDING),
        False,
        note,
        preposition="at spikes of",
        exact=True,
        steps=found.steps,
    )


def damps_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """Outgoing norm on a seed's first spike over its level before, against clipping; ratios per size."""
    return _against_clipping(
        evidence,
        own,
        "outgoing norm on a seed's first spike step over its level before (geometric mean over competitive "
        "cells), as a ratio to that of clip_norm",
        _jump,
    )


def recovers_from_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """Steps after a seed's first spike until the outgoing level is back; ratios to clipping per size."""
    return _against_clipping(
        evidence,
        own,
        f"steps after a seed's first spike until the outgoing norm is back within {RECOVERED:.0%} of its "
        "level before (geometric mean over competitive cells; where it is not back, the steps that were "
        "left), as a ratio to those of clip_norm",
        _wait,
    )


def _against_clipping(
    evidence: Evidence, own: Landscape, measure: str, of: Callable[[Evidence, str, Budget], Jumps | None]
) -> Finding:
    """The method's geometric mean over that of clip_norm at every size, below 1."""
    wanted = {"a clipping method (clip_norm)": ("clip_norm",)}
    missing = lacking(evidence, wanted)
    pieces = spiked(evidence, own)
    if not pieces:
        return Finding(measure, "x", missing=SPIKES_NEEDED)
    if trouble := missing_seeds([piece for piece, _ in pieces]):
        return Finding(measure, "x", missing=trouble)
    comparisons, used = [], []
    for piece, budget in pieces:
        for other in others(piece, wanted):
            mine, theirs = of(piece, own.transform, budget), of(piece, other.transform, budget)
            if mine is None or theirs is None:
                return Finding(measure, "x", missing=UNRECORDED.format("outgoing norm"))
            used += [piece.landscapes[own.transform], other]
            comparisons.append(_sized(budget.spike_size, other.transform, mine, theirs))
    return Finding(
        measure,
        "x",
        tuple(comparisons),
        ratio=True,
        missing=missing,
        partial=bool(missing),
        keys=keys_of(used),
    )


def _sized(size: float, other: str, mine: Jumps, theirs: Jumps) -> Comparison:
    """One method's logarithms against another's at one size of the spikes."""
    place = f"{other} at spikes of size {size:g}"
    if not np.isfinite([*mine.log_S, *theirs.log_S]).all():
        return Comparison(place, None, 0.0, False, "no competitive cell lived to see a spike at some seed")
    found = Estimate(
        tuple((mine.log_S - theirs.log_S).tolist()), lower_bound=mine.cut, upper_bound=theirs.cut
    )
    means = [math.exp(one.log_S.mean()) for one in (mine, theirs)]
    return Comparison(place, found, 0.0, False, f"{means[0]:.3g} and {means[1]:.3g}")


@dataclass(frozen=True)
class Jumps:
    """What a seed's competitive cells did at its first spike.

    Attributes:
        log_S: mean logarithm over the cells; NaN where there are none.
        cut: in at least half of the cells it would have been larger, had training gone on.
    """

    log_S: Floats
    cut: bool = False


def _jump(piece: Evidence, transform: str, budget: Budget) -> Jumps | None:
    """The outgoing norm on the first spike's step over its level before."""
    from trainers.spikes import spiked_steps

    landscape, seen = piece.landscapes[transform], piece.landscapes[transform].series
    if not recorded(seen, "out_norm"):
        return None
    norm = np.minimum(np.where(seen.broken("out_norm"), BEYOND, seen.values["out_norm"]), BEYOND)
    found = []
    for s, seed in enumerate(landscape.seeds):
        hits = sorted(spiked_steps(budget, seed))
        values = norm[s][piece.near(transform)[s]]
        own_J = np.isfinite(values).any(axis=0)
        at = seen.step_J.index(hits[0]) if hits and hits[0] in seen.step_J else -1
        before = values[:, [j for j in range(max(0, at - LEVEL), max(at, 0)) if own_J[j]]]
        level = before.mean(axis=1) if before.size else np.full(len(values), np.nan)
        usable = np.isfinite(level) & (level > 0) & np.isfinite(values[:, at]) & (values[:, at] > 0)
        logs = np.log(values[usable, at] / level[usable])
        found.append(float(logs.mean()) if at > 0 and logs.size else math.nan)
    return Jumps(np.array(found))


def _wait(piece: Evidence, transform: str, budget: Budget) -> Jumps | None:
    """Steps until the outgoing level is back after the first spike."""
    from trainers.spikes import spiked_steps

    landscape, seen = piece.landscapes[transform], piece.landscapes[transform].series
    if not recorded(seen, "out_norm"):
        return None
    found, cut, cells = [], 0, 0
    for s, seed in enumerate(landscape.seeds):
        hits = [step for step in sorted(spiked_steps(budget, seed)) if step in seen.step_J]
        waited = recovery(seen, s, hits, "out_norm", piece.near(transform)[s])
        last = hits[1] if len(hits) > 1 else seen.step_J[-1]
        cut, cells = cut + int(np.isinf(waited).sum()), cells + waited.size
        waited = np.where(np.isinf(waited), last - hits[0] if hits else np.nan, waited)
        found.append(float(np.log(waited).mean()) if waited.size else math.nan)
    return Jumps(np.array(found), cells > 0 and cut / cells >= MAJORITY)


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
