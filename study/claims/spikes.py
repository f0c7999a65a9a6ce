"""Claims about spikes: what leaves the stabilizer on one is bounded."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from study.claims.baselines import keys_of
from study.claims.finding import Comparison, Finding
from study.claims.gradients import BEYOND, ROUNDING, UNRECORDED, recorded
from study.claims.recovery import recovered, recovery
from study.measures.array_types import Floats
from study.measures.dynamics import Series, over
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.landscape import Landscape
from trainers.budget import Budget

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
    Differs from the reference: with `bias_correction`, as the official code has it, the bound has the second
        factor.
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
    found = []
    for piece in along(evidence, "spike_size"):
        budget = piece.budget
        if budget is None or budget.spike_size <= 1 or not (budget.spike_steps or budget.spike_probability):
            continue
        # Not before there are some: drawing spikes loads torch, see `constants_of`.
        from trainers.spikes import spiked_steps

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
