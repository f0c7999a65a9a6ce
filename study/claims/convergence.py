"""The convergence claim: measured gradient norms against the bound, on problems whose smoothness and noise are known."""

from __future__ import annotations

import math

import numpy as np

from study.claims.baselines import keys_of
from study.claims.recorded import ROUNDING, UNRECORDED
from study.claims.verdicts import Comparison, Finding
from study.measures.arrays import Floats
from study.measures.dynamics import curve, over
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from trainers.budget import Budget

METRIC = "squared_gradient_norm"
"""The metric of workloads with known constants."""
MOST = 1e12
"""Stands for every larger quotient, such as that of a run which overflowed."""


def converges(evidence: Evidence, own: Landscape) -> Finding:
    """The premise of the bound at every step of cells with lr <= 1/β, and the bound itself wherever the premise holds.

    With w_t = lr · a_t, smoothness β, gradient variance σ² and excess Δ of the start, the bound for stochastic gradient descent is

        Σ w_t |∇f(θ_t)|² / Σ w_t  <=  2 Δ / Σ w_t + β σ² Σ w_t² / Σ w_t,    if w_t <= 1/β at every step.

    Reference: Yun, arXiv:2509.03677, 2025, Lemma 1 and Theorem 2: the bound of stochastic gradient descent with the step lr · a_t, in
        which a_t counts as a constant and the centring is left out.
    """
    measure = "quotients over all cells of a seed: β lr a_t where lr <= 1/β (premise), and mean squared gradient norm over its bound where the premise holds (bound)"
    origin = own.origin
    if own.metric_name != METRIC or origin is None:
        return Finding(
            measure,
            "x",
            missing="a smooth problem with known curvature and gradient noise (workload quadratic or logistic)",
        )
    budget = origin.condition.budget
    if trouble := unlike_the_theorem(own, budget):
        return Finding(measure, "x", missing=trouble)
    seen = own.series
    if seen is None or len(seen.step_J) != budget.steps or budget.points != budget.steps:
        return Finding(
            measure,
            "x",
            missing=UNRECORDED.format("scale factor")
            + ", and the gradient norm at every step (budget: dynamics: 1 and points equal to steps)",
        )
    from study.spec.build import workload_of

    workload = workload_of(origin.workload, origin.model)
    assert workload.smooth is not None
    assert own.record_SWL is not None
    beta, variance = workload.smooth.beta, workload.smooth.variance(budget.batch_size)
    excess_S = np.array([workload.smooth.excess(workload.initial_model(seed)) for seed in own.seeds])
    undecayed = np.array(own.weight_decay) == 0
    weight = (
        seen.values["scale"]
        * np.array(own.lr)[:, None]
        * np.array([budget.lr_factor(t) for t in range(budget.steps)])
    )[:, undecayed]
    norm = curve(own.record_SWL, 2)[1][:, undecayed, :, :-1]
    premise = over(weight * beta, np.nanmax, 3)
    promised = np.isfinite(premise) & (np.array(own.lr) <= (1 + ROUNDING) / beta)
    if not promised.any(axis=(1, 2)).all():
        return Finding(measure, "x", missing=f"a learning rate of at most 1/β = {1 / beta:.3g}")
    broken = promised & (premise > 1 + ROUNDING)
    held = np.isfinite(premise) & (premise <= 1 + ROUNDING)
    quotient = over_bound(norm, weight, excess_S, beta, variance)
    worst_S = over(np.where(promised, premise, np.nan), np.nanmax, 1, 2)
    beyond = f"; of those {int((quotient[broken] > 1).sum())} exceed the bound" if broken.any() else ""
    note = f"β = {beta:.4g}, σ² = {variance:.4g}; the premise fails in {int(broken.sum())} of {int(promised.sum())} cells with lr <= 1/β{beyond}"
    comparisons = [
        Comparison(
            "premise",
            logarithm(worst_S),
            math.log1p(ROUNDING),
            False,
            note,
            preposition="for the",
            exact=True,
        )
    ]
    if held.any(axis=(1, 2)).all():
        worst_S = over(np.where(held, quotient, np.nan), np.nanmax, 1, 2)
        note = f"exceeded in {int((quotient[held] > 1).sum())} of the {int(held.sum())} cells where the premise holds"
        comparisons.append(
            Comparison(
                "bound",
                logarithm(worst_S),
                math.log1p(ROUNDING),
                False,
                note,
                preposition="for the",
                exact=True,
            )
        )
    else:
        comparisons.append(
            Comparison(
                "bound", None, 0.0, False, "the premise holds in no cell of some seed", preposition="for the"
            )
        )
    return Finding(measure, "x", tuple(comparisons), ratio=True, keys=keys_of([own]))


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


def over_bound(norm: Floats, weight: Floats, excess_S: Floats, beta: float, variance: float) -> Floats:
    """Weighted mean squared gradient norm over its bound, per cell; `MOST` for a cell that did not live to the end."""
    total = weight.sum(axis=3)
    limit = 2 * excess_S[:, None, None] / total + beta * variance * (weight**2).sum(axis=3) / total
    found = (norm * weight).sum(axis=3) / total / limit
    return np.where(np.isfinite(found), np.minimum(found, MOST), MOST)


def logarithm(quotient_S: Floats) -> Estimate:
    return Estimate(tuple(np.log(np.maximum(quotient_S, 1 / MOST)).tolist()))
