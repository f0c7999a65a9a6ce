"""The convergence claims: gradient norms against the bound, on problems of known smoothness and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from study.claims.baselines import keys_of
from study.claims.finding import Comparison, Finding
from study.claims.gradients import BEYOND, ROUNDING, UNRECORDED
from study.measures.array_types import Flags, Floats
from study.measures.dynamics import Series, curve, over
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.plan.cells import Setting
from trainers.budget import Budget

METRIC = "squared_gradient_norm"
"""The metric of workloads with known constants."""
SMOOTH = ("quadratic", "logistic")
"""The shipped workloads with known constants. No other is built: reading a study must run nobody's code."""
LEAST_EXAMPLES = 1024
"""Examples of a problem that does not say how many."""
MOST_NUMBERS = 100_000_000
"""Examples times parameters. A larger problem is not built: a home from somebody else may name any size."""
METRIC_COLUMN = 2
"""Column of a recorded point that holds the metric."""
PREMISE = "β lr a_t, the largest over all steps of a seed's cells with lr <= 1/β"
BOUND = "mean squared gradient norm over its bound, mean over seeds, at each lr where the premise holds"


@dataclass(frozen=True)
class Quotients:
    """Premise and bound of the theorem in S x W x L cells, W the rows without weight decay.

    Attributes:
        premise: largest β lr a_t of a cell; NaN where no step was recorded.
        promised: cells with lr <= 1/β, for which the premise is promised.
        bound: mean squared gradient norm of a cell over its bound.
        beta, variance: of the problem. steps: of the training.
    """

    premise: Floats
    promised: Flags
    bound: Floats
    beta: float
    variance: float
    steps: int

    @property
    def broken(self) -> Flags:
        """Cells that have the promised learning rate, and break the premise."""
        return self.promised & (self.premise > 1 + ROUNDING)

    @property
    def held(self) -> Flags:
        """Cells in which the premise holds, whatever their learning rate."""
        return np.isfinite(self.premise) & (self.premise <= 1 + ROUNDING)


def premise_holds(evidence: Evidence, own: Landscape) -> Finding:
    """The premise of the bound in cells with lr <= 1/β: β lr a_t stays at or below 1 at every step."""
    found = quotients(own)
    if isinstance(found, Missing):
        return Finding(PREMISE, "x", missing=found.reason)
    broken = found.broken
    beyond = f"; of those {int((found.bound[broken] > 1).sum())} exceed the bound" if broken.any() else ""
    note = (
        f"β = {found.beta:.4g}, σ² = {found.variance:.4g}; the premise fails in {int(broken.sum())} "
        f"of {int(found.promised.sum())} cells with lr <= 1/β{beyond}"
    )
    comparison = Comparison(
        "premise",
        logarithm(worst(found.premise, found.promised)),
        math.log1p(ROUNDING),
        False,
        note,
        preposition="for the",
        exact=True,
        breaking=evidence.tolerances.breaking,
        steps=int(found.promised.sum()) * found.steps,
    )
    return Finding(PREMISE, "x", (comparison,), ratio=True, keys=keys_of([own]))


def bound_holds(evidence: Evidence, own: Landscape) -> Finding:
    """The bound at every learning rate where the premise holds at all seeds.

    With w_t = lr · a_t, smoothness β, gradient variance σ² and excess Δ of the start, the bound for
    stochastic gradient descent is

        E[Σ w_t |∇f(θ_t)|² / Σ w_t]  <=  2 Δ / Σ w_t + β σ² Σ w_t² / Σ w_t,    if w_t <= 1/β at every step.

    It is about an expectation, so the mean over seeds is compared with it and a single seed may lie above. A
    failing premise does not refute it: then nothing is promised.

    Reference: Yun, arXiv:2509.03677, 2025, Lemma 1 and Theorem 2: the bound of stochastic gradient descent
        with the step lr · a_t, in which a_t counts as a constant and the centring is left out.
    Differs from the reference: the expectation is a mean over seeds, and a_t and the gradients are those of
        the method as it runs, with its centring.
    """
    found = quotients(own)
    if isinstance(found, Missing):
        return Finding(BOUND, "x", missing=found.reason)
    # All weight decays left are 0: one row.
    held_L = found.held[:, 0].all(axis=0)
    if not held_L.any():
        return Finding(BOUND, "x", missing="a learning rate at which the premise holds at every seed")
    comparisons = tuple(
        Comparison(
            f"{own.lr[column]:.3g}",
            Estimate(tuple(found.bound[:, 0, column].tolist()), least=0.0),
            1.0,
            False,
            f"above it at {int((found.bound[:, 0, column] > 1).sum())} seeds",
            preposition="at lr",
        )
        for column in np.flatnonzero(held_L)
    )
    return Finding(BOUND, "x", comparisons, keys=keys_of([own]))


def quotients(own: Landscape) -> Quotients | Missing:
    """Premise and bound of every cell without weight decay, or what a study lacks for them."""
    origin = own.origin
    if own.metric_name != METRIC or origin is None or not shipped(origin):
        return Missing(
            "a smooth problem with known curvature and gradient noise (workload quadratic or logistic)"
        )
    budget = origin.condition.budget
    if trouble := unlike_the_theorem(own, budget):
        return Missing(trouble)
    seen = own.series
    if seen is None or len(seen.step_J) != budget.steps or budget.points != budget.steps:
        return Missing(
            UNRECORDED.format("scale factor")
            + ", and the gradient norm at every step (budget: dynamics: 1 and points equal to steps)"
        )
    # Building the workload loads torch, which reading a study does not need otherwise.
    from study.spec.build import workload_of

    try:
        if numbers(origin) > MOST_NUMBERS:
            return Missing(f"a problem of at most {MOST_NUMBERS:,} numbers (examples times parameters)")
        workload = workload_of(origin.workload, origin.model)
    # What a home remembers of a spec need not be what a launch had.
    except (ValueError, TypeError, RuntimeError) as error:
        return Missing(f"a problem that can be built here; this one cannot be built: {error}")
    smooth = workload.smooth
    assert smooth is not None
    undecayed = np.array(own.weight_decay) == 0
    weight = weights(own, seen, budget)[:, undecayed]
    premise = over(weight * smooth.beta, np.nanmax, 3)
    promised = np.isfinite(premise) & (np.array(own.lr) <= (1 + ROUNDING) / smooth.beta)
    if not promised.any(axis=(1, 2)).all():
        return Missing(f"a learning rate of at most 1/β = {1 / smooth.beta:.3g}")
    variance = smooth.variance(budget.batch_size)
    excess_S = np.array([smooth.excess(workload.initial_model(seed)) for seed in own.seeds])
    bound = over_bound(squared_norms(own)[:, undecayed], weight, excess_S, smooth.beta, variance)
    return Quotients(premise, promised, bound, smooth.beta, variance, budget.steps)


def shipped(setting: Setting) -> bool:
    """Whether nothing of a user's own is in a smooth problem."""
    return setting.workload.name in SMOOTH and not (setting.workload.source or setting.model.source)


def numbers(setting: Setting) -> int:
    """Examples times parameters of a smooth problem, told without building either.

    Raises:
        ValueError, TypeError, RuntimeError: there can be no such network.
    """
    import torch

    from study.spec.build import model_of

    examples = max(int(setting.workload.keywords().get("examples", 0)), LEAST_EXAMPLES)
    # Tensors of this device have shapes alone.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = model_of(setting.model)((1, 8, 8), 10)
    return examples * sum(p.numel() for p in network.parameters())


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
    # A scale that is not finite in a living cell is no gap: it breaks the premise.
    scale = np.where(seen.broken("scale"), BEYOND, seen.values["scale"])
    found: Floats = scale * np.array(own.lr)[:, None] * factor_J
    return found


def squared_norms(own: Landscape) -> Floats:
    """|∇f|² of every cell before each of its steps: [S, W, L, J]."""
    assert own.record_SWL is not None
    # Points are recorded before the first step and after every step; from the last one no step is taken.
    return curve(own.record_SWL, METRIC_COLUMN)[1][..., :-1]


def worst(value_SWL: Floats, cells_SWL: Flags) -> Floats:
    """The largest value of each seed among these cells."""
    return over(np.where(cells_SWL, value_SWL, np.nan), np.nanmax, 1, 2)


def over_bound(norm: Floats, weight: Floats, excess_S: Floats, beta: float, variance: float) -> Floats:
    """Weighted mean squared gradient norm over its bound, per cell.

    Args:
        norm: squared gradient norms, [S, W, L, J]. weight: lr · a_t, of the same shape.

    Returns:
        [S, W, L]; `BEYOND` for a cell that did not live to the end.
    """
    total = weight.sum(axis=3)
    # A cell that overflowed has infinities in both sums, whose quotient is NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        limit = 2 * excess_S[:, None, None] / total + beta * variance * (weight**2).sum(axis=3) / total
        found = (norm * weight).sum(axis=3) / total / limit
    # Plain sums carry the NaN of a cell that ended early, so that it counts as beyond the bound.
    return np.where(np.isfinite(found), np.minimum(found, BEYOND), BEYOND)


def logarithm(quotient_S: Floats) -> Estimate:
    """Quotients as an estimate of logarithms; a quotient of 0 counts as 1/`BEYOND`."""
    return Estimate(tuple(np.log(np.maximum(quotient_S, 1 / BEYOND)).tolist()))
