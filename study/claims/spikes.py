"""The claim about spikes: what leaves the stabilizer on a spike's step is bounded, whatever the spike's size."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from study.claims.baselines import keys_of
from study.claims.recorded import ROUNDING, UNRECORDED
from study.claims.verdicts import Comparison, Finding
from study.measures.arrays import Floats
from study.measures.dynamics import Series, over
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.landscape import Landscape

LEVEL, CALM = 20, 5
"""Recorded steps before a spike whose mean is the level before it; and as many whose median must be back, so that passing through it is not enough."""
RECOVERED = 0.1
"""A level has recovered when it is this near to the one before [relative]."""


def constants_of(own: Landscape) -> dict[str, Any]:
    """All constants of the stabilizer, those that are not given from the method's own defaults."""
    from trainers.transforms.gradient_stabilizer import gradient_stabilizer

    return {
        key: parameter.default for key, parameter in inspect.signature(gradient_stabilizer).parameters.items()
    } | dict(own.constants)


def bound(step: int, constants: Mapping[str, Any]) -> float:
    """Largest norm of an outgoing tensor at a step (counted from 1).

        (1 - γ1) / sqrt(1 - γ2) / sqrt(1 - γ1² / γ2),   times sqrt(1 - γ2^t) / (1 - γ1^t) with bias correction

    Reference: GradientStabilizer, arXiv:2502.17055 v4, Lemma 3.6, whose averages are not corrected for their start.
    """
    low, high = constants["gamma1"], constants["gamma2"]
    correction = math.sqrt(1 - high**step) / (1 - low**step) if constants["bias_correction"] else 1.0
    return float((1 - low) / math.sqrt(1 - high) / math.sqrt(1 - low**2 / high) * correction)


def bounded_on_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """The largest outgoing norm on spike steps over its bound, per size of the spike; beside it the time to recover."""
    measure = "largest norm of an outgoing tensor on spike steps, over the bound of Lemma 3.6, over all cells of a seed"
    from trainers.spikes import spiked_steps

    pieces = [
        piece
        for piece in along(evidence, "spike_size")
        if piece.budget
        and piece.budget.spike_size > 1
        and all(spiked_steps(piece.budget, seed) for seed in own.seeds)
    ]
    if not pieces:
        return Finding(
            measure,
            "x",
            missing="injected spikes (budget: spike_steps or spike_probability; conditions: spike_size), larger than 1",
        )
    if trouble := missing_seeds(pieces):
        return Finding(measure, "x", missing=trouble)
    constants = constants_of(own)
    if constants["gamma1"] ** 2 >= constants["gamma2"]:
        return Finding(measure, "x", missing="constants for which the bound holds, gamma1² < gamma2")
    comparisons, used = [], []
    for piece in pieces:
        landscape, budget = piece.landscapes[own.transform], piece.budget
        seen, name = landscape.series, "tensor_norm" if constants["per_tensor"] else "out_norm"
        if seen is None or not seen.has(name):
            return Finding(measure, "x", missing=UNRECORDED.format("outgoing norm"))
        assert budget is not None
        used.append(landscape)
        worst, norms, cells = [], [], 0
        waits: list[float] = []
        for s, seed in enumerate(landscape.seeds):
            hits = [
                step for step in sorted(spiked_steps(budget, seed)) if step in seen.step_J
            ]  # no cell may have lived to see a step
            if not hits:
                worst.append(math.nan)
                continue
            norm_WLH = seen.values[name][s][..., [seen.step_J.index(step) for step in hits]]
            limit_H = np.array([bound(step, constants) for step in hits])
            worst.append(float(over(norm_WLH / limit_H, np.nanmax, 0, 1, 2)))
            norms.append(float(over(norm_WLH, np.nanmax, 0, 1, 2)))
            waited = recovery(seen, s, hits, name)
            cells += waited.size
            waits += waited[np.isfinite(waited)].tolist()
        if not np.isfinite(worst).all():
            comparisons.append(
                Comparison(
                    f"size {budget.spike_size:g}",
                    None,
                    0.0,
                    False,
                    "no cell lived to see a spike at some seed",
                    preposition="at spikes of",
                )
            )
            continue
        back = (
            f"back within {RECOVERED:.0%} of the level before after {np.median(waits):.0f} steps (median of {len(waits)} of {cells} cells"
            if waits
            else f"back in none of {cells} cells"
        )
        rest = (
            f"; {cells - len(waits)} were not back when training or the calm ended)"
            if waits
            else " before training or the calm ended"
        )
        note = f"largest norm {max(norms):.3g}, bound {bound(max(max(spiked_steps(budget, seed)) for seed in own.seeds), constants):.3g}; {back}{rest}"
        found = Estimate(tuple(np.log(np.maximum(worst, 1e-12)).tolist()))
        comparisons.append(
            Comparison(
                f"size {budget.spike_size:g}",
                found,
                math.log1p(ROUNDING),
                False,
                note,
                preposition="at spikes of",
                exact=True,
            )
        )
    return Finding(measure, "x", tuple(comparisons), ratio=True, keys=keys_of(used))


def recovery(seen: Series, s: int, hits: list[int], name: str) -> Floats:
    """Steps from the first spike until the outgoing level is back, per cell that was alive before it; infinite where it is not.

    The level before is the mean over the `LEVEL` steps before the spike that the seed recorded. It is back at the first step that is within
    `RECOVERED` of it, as is the median of that step and the next `CALM` - 1; the next spike, or the end, ends the search.
    """
    own_J = seen.recorded_SWLJ[s].any(axis=(0, 1))  # other seeds may have recorded other steps
    step_J = np.array(seen.step_J)[own_J].tolist()
    if not hits or hits[0] not in step_J:
        return np.empty(0)
    at = step_J.index(hits[0])
    end = step_J.index(hits[1]) if len(hits) > 1 and hits[1] in step_J else len(step_J)
    values = seen.values[name][s].reshape(-1, len(seen.step_J))[:, own_J]
    values = values[np.isfinite(values[:, max(0, at - LEVEL) : at + 1]).all(axis=1)]
    before = values[:, max(0, at - LEVEL) : at]
    if before.shape[1] == 0:
        return np.full(len(values), np.inf)
    level, waited = before.mean(axis=1), np.full(len(values), np.inf)
    for j in range(end - CALM, at, -1):  # backwards, so that the earliest one stays
        window = values[:, j : j + CALM]
        whole = np.isfinite(window).all(axis=1) & (level > 0)
        window = np.where(whole[:, None], window, 0.0)
        away = np.maximum(np.abs(window[:, 0] - level), np.abs(np.median(window, axis=1) - level))
        near = whole & (away <= RECOVERED * level)
        waited[near] = step_J[j] - hits[0]
    return waited
