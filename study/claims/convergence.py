"""The convergence claim: gradient norms against the bound, on problems of known smoothness and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from study.claims.baselines import keys_of
from study.claims.finding import Comparison, Finding
from study.claims.gradients import ROUNDING, UNRECORDED
from study.measures.array_types import Flags, Floats
from study.measures.dynamics import Series, curve, over
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from trainers.budget import Budget

METRIC = "squared_gradient_norm"
"""The metric of workloads with known constants."""
METRIC_COLUMN = 2
"""Column of a recorded point that holds the metric."""
MOST = 1e12
"""Stands for every larger quotient, such as that of a run which overflowed."""
MEASURE = (
    "quotients over all cells of a seed: β lr a_t where lr <= 1/β (premise), "
    "and mean squared gradient norm over its bound where the premise holds (bound)"
)


@dataclass(frozen=True)
class Quotients:
    """Premise and bound of the theorem in S x W x L cells, W the rows without weight decay.

    Attributes:
        premise: largest β lr a_t of a cell; NaN where no step was recorded.
        promised: cells with lr <= 1/β, for which the premise is promised.
        bound: mean squared gradient norm of a cell over its bound.
    """

    premise: Floats
    promised: Flags
    bound: Floats

    @property
    def broken(self) -> Flags:
        """Cells that have the promised learning rate, and break the premise."""
        return self.promised & (self.premise > 1 + ROUNDING)

    @property
    def held(self) -> Flags:
        """Cells in which the premise holds, whatever their learning rate."""
        return np.isfinite(self.premise) & (self.premise <= 1 + ROUNDING)


def converges(evidence: Evidence, own: Landscape) -> Finding:
    """The premise of the bound in cells with lr <= 1/β, and the bound itself wherever the premise holds.

    With w_t = lr · a_t, smoothness β, gradient variance σ² and excess Δ of the start, the bound for
    stochastic gradient descent is

        Σ w_t |∇f(θ_t)|² / Σ w_t  <=  2 Δ / Σ w_t + β σ² Σ w_t² / Σ w_t,    if w_t <= 1/β at every step.

    Reference: Yun, arXiv:2509.03677, 2025, Lemma 1 and Theorem 2: the bound of stochastic gradient descent
        with the step lr · a_t, in which a_t counts as a constant and the centring is left out.
    """
    origin = own.origin
    if own.metric_name != METRIC or origin is None:
        lack = "a smooth problem with known curvature and gradient noise (workload quadratic or logistic)"
        return Finding(MEASURE, "x", missing=lack)
    budget = origin.condition.budget
    if trouble := unlike_the_theorem(own, budget):
        return Finding(MEASURE, "x", missing=trouble)
    seen = own.series
    if seen is None or len(seen.step_J) != budget.steps or budget.points != budget.steps:
        lack = UNRECORDED.format("scale factor") + (
            ", and the gradient norm at every step (budget: dynamics: 1 and points equal to steps)"
        )
        return Finding(MEASURE, "x", missing=lack)
    # Building the workload loads torch, which reading a study does not need otherwise.
    from study.spec.build import workload_of

    workload = workload_of(origin.workload, origin.model)
    smooth = workload.smooth
    assert smooth is not None
    undecayed = np.array(own.weight_decay) == 0
    weight = weights(own, seen, budget)[:, undecayed]
    premise = over(weight * smooth.beta, np.nanmax, 3)
    promised = np.isfinite(premise) & (np.array(own.lr) <= (1 + ROUNDING) / smooth.beta)
    if not promised.any(axis=(1, 2)).all():
        return Finding(MEASURE, "x", missing=f"a learning rate of at most 1/β = {1 / smooth.beta:.3g}")
    variance = smooth.variance(budget.batch_size)
    excess_S = np.array([smooth.excess(workload.initial_model(seed)) for seed in own.seeds])
    bound = over_bound(squared_norms(own)[:, undecayed], weight, excess_S, smooth.beta, variance)
    found = Quotients(premise, promised, bound)
    comparisons = (of_premise(found, smooth.beta, variance), of_bound(found))
    return Finding(MEASURE, "x", comparisons, ratio=True, keys=keys_of([own]))


def unlike_the_theorem(own: Landscape, budget: Budget) -> str:
    """What of a study is not what the theorem is about, or nothing."""
    if own.optimizer != "sgd":
        return "optimizer sgd without momentum, which the theorem is about"
    if 0.0 not in own.weight_decay:
        return "a weight decay of 0, which the theorem is about"
    if budget.loss_scale != 1 or (
        budget.spike_size != 1 and (budget.spike_steps or budget.spike_probability)
    ):
        return "gradients without spikes and loss scale, which the theorem is about"
    return ""


def weights(own: Landscape, seen: Series, budget: Budget) -> Floats:
    """lr · a_t of every cell at every step, the schedule included: [S, W, L, J]."""
    factor_J = np.array([budget.lr_factor(t) for t in range(budget.steps)])
    found: Floats = seen.values["scale"] * np.array(own.lr)[:, None] * factor_J
    return found


def squared_norms(own: Landscape) -> Floats:
    """|∇f|² of every cell before each of its steps: [S, W, L, J]."""
    assert own.record_SWL is not None
    # Points are recorded before the first step and after every step; from the last one no step is taken.
    return curve(own.record_SWL, METRIC_COLUMN)[1][..., :-1]


def of_premise(found: Quotients, beta: float, variance: float) -> Comparison:
    """Whether β lr a_t stays at or below 1 in all cells with lr <= 1/β."""
    broken = found.broken
    beyond = f"; of those {int((found.bound[broken] > 1).sum())} exceed the bound" if broken.any() else ""
    note = (
        f"β = {beta:.4g}, σ² = {variance:.4g}; the premise fails in {int(broken.sum())} "
        f"of {int(found.promised.sum())} cells with lr <= 1/β{beyond}"
    )
    return _at_most_one("premise", worst(found.premise, found.promised), note)


def of_bound(found: Quotients) -> Comparison:
    """Whether the mean squared gradient norm stays within the bound wherever the premise holds."""
    held = found.held
    if not held.any(axis=(1, 2)).all():
        note = "the premise holds in no cell of some seed"
        return Comparison("bound", None, 0.0, False, note, preposition="for the")
    note = (
        f"exceeded in {int((found.bound[held] > 1).sum())} "
        f"of the {int(held.sum())} cells where the premise holds"
    )
    return _at_most_one("bound", worst(found.bound, held), note)


def _at_most_one(name: str, quotient_S: Floats, note: str) -> Comparison:
    """A comparison that no seed's worst quotient may exceed 1 in, up to rounding."""
    limit = math.log1p(ROUNDING)
    return Comparison(name, logarithm(quotient_S), limit, False, note, preposition="for the", exact=True)


def worst(value_SWL: Floats, cells_SWL: Flags) -> Floats:
    """The largest value of each seed among these cells."""
    return over(np.where(cells_SWL, value_SWL, np.nan), np.nanmax, 1, 2)


def over_bound(norm: Floats, weight: Floats, excess_S: Floats, beta: float, variance: float) -> Floats:
    """Weighted mean squared gradient norm over its bound, per cell.

    Args:
        norm: squared gradient norms, [S, W, L, J]. weight: lr · a_t, of the same shape.

    Returns:
        [S, W, L]; `MOST` for a cell that did not live to the end.
    """
    total = weight.sum(axis=3)
    limit = 2 * excess_S[:, None, None] / total + beta * variance * (weight**2).sum(axis=3) / total
    found = (norm * weight).sum(axis=3) / total / limit
    # Plain sums carry the NaN of a cell that ended early, so that it counts as beyond the bound.
    return np.where(np.isfinite(found), np.minimum(found, MOST), MOST)


def logarithm(quotient_S: Floats) -> Estimate:
    """Quotients as an estimate of logarithms; a quotient of 0 counts as 1/`MOST`."""
    return Estimate(tuple(np.log(np.maximum(quotient_S, 1 / MOST)).tolist()))
