"""Planted scores, losses and spikes for measures of tuning, whose truth is known numerically.

Tuning curves, CPE, the chance of being best and spikes are expectations of what one seed shows. Their truth
is the mean over thousands of further seeds, of cells that are really drawn at random or of spikes that are
really planted. The truth of regret, dimension and sensitivity to constants is that of landscapes without
noise.

    python -m tests.tools.calibration --only "workloads apart along lr" "tuning, smooth"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from search_spaces import Cell
from study.measures.array_types import Flags, Floats
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import gather
from study.measures.landscape import DIVERGED, FINISHED, Landscape
from study.measures.late_spikes import late_spikes
from study.measures.reference import reference_scores
from study.measures.sensitivity import constant_sensitivity
from study.measures.tuning import (
    effective_dimension,
    expected_performance,
    normalised,
    shared_default_regret,
    tuning_curve,
    wins,
)
from study.spec.tolerances import Tolerances
from tests.fabricated import record_of
from tracking import CellRecord

CONFIDENCE = 0.95
START, TOP, LOSS = 0.1, 0.9, 2.3
"""Untrained score, best score, initial loss."""
X, Y = np.arange(-4.0, 0.6, 0.5), np.arange(-2.0, 2.0)
"""log10 of the learning rates and weight decays."""
MANY, PATHS = 4000, 32
"""Further seeds, and random orders of the cells of each."""
BUDGETS, EQUAL = (1, 5, 20), 5
"""Numbers of random cells: of the tuning curve, and of the chance of being best."""

Drawn = dict[str, tuple[Estimate | Missing | None, float]]
"""By measure, the estimate of one draw beside the truth."""
Plant = Callable[[int, np.random.Generator], Drawn]


def landscape_of(
    score_SWL: Floats, name: str = "none", diverged_SWL: Flags | None = None, loss_SWL: Floats | None = None
) -> Landscape:
    """A landscape with these scores; losses fall with the score where they are not given."""
    seeds = len(score_SWL)
    gone = np.zeros(score_SWL.shape, dtype=bool) if diverged_SWL is None else diverged_SWL
    loss = LOSS * (1 - 0.9 * np.clip(score_SWL, 0.0, 1.0)) if loss_SWL is None else loss_SWL
    keys = np.array([f"{name}{k}" for k in range(score_SWL.size)]).reshape(score_SWL.shape)
    return Landscape(
        workload="planted",
        optimizer="adamw",
        method="none",
        transform=name,
        lr=tuple((10.0**X).tolist()),
        weight_decay=tuple((10.0**Y).tolist()),
        seeds=tuple(range(seeds)),
        metric_name="accuracy",
        higher_is_better=True,
        outcome_SWL=np.where(gone, DIVERGED, FINISHED),
        metric_SWL=np.where(gone, np.nan, score_SWL),
        untrained_S=np.full(seeds, START),
        loss_SWL=np.where(gone, np.nan, loss),
        loss_initial_S=np.full(seeds, LOSS),
        key_SWL=keys,
    )


# Tuning curves and the chance of being best.

METHODS = {"none": (-2.0, 0.8), "clip_norm": (-1.8, 0.7), "zclip": (-2.2, 1.0)}
"""Place and width of each method's optimum [decades]."""


def hills(jitter: float, seeds: int, rng: np.random.Generator, name: str) -> tuple[Floats, Flags]:
    """Scores of one method, and which cells diverge, beyond an edge that moves with seed and row."""
    centre, width = METHODS[name]
    shape = (seeds, len(Y), len(X))
    moved = centre + rng.normal(0, 0.1, (seeds, 1, 1))
    edge = centre + 0.9 + rng.normal(0, jitter, (seeds, 1, 1)) + rng.normal(0, jitter / 2, (*shape[:2], 1))
    level = rng.normal(0, 0.006, (seeds, 1, 1))
    way = np.exp(-(((X - moved) / width) ** 2) / 2)
    score = START + (TOP - START) * way + level + rng.normal(0, 0.004, shape)
    return score, np.broadcast_to(edge < X, shape)


def clamped(score_SWL: Floats, diverged_SWL: Flags) -> Floats:
    """Scores by cell, [S, N]; nothing counts as worse than untrained."""
    return np.where(diverged_SWL, START, np.maximum(score_SWL, START)).reshape(len(score_SWL), -1)


@lru_cache
def tuning_truths(jitter: float) -> dict[str, float]:
    """Means over many seeds of the best of cells drawn at random, and of which method's is best."""
    rng = np.random.default_rng(17)
    score_SN = {name: clamped(*hills(jitter, MANY, rng, name)) for name in METHODS}
    cells = score_SN["none"].shape[1]
    curve_K = np.zeros(cells)
    won = 0.0
    for _ in range(PATHS):
        order_SK = rng.integers(0, cells, (MANY, cells))
        drawn = np.take_along_axis(score_SN["none"], order_SK, 1)
        curve_K += np.maximum.accumulate(drawn, axis=1).mean(axis=0) / PATHS
        best_MS = np.array(
            [
                np.take_along_axis(score, rng.integers(0, cells, (MANY, EQUAL)), 1).max(axis=1)
                for score in score_SN.values()
            ]
        )
        leads_MS = best_MS == best_MS.max(axis=0)
        won += float((leads_MS[0] / leads_MS.sum(axis=0)).mean()) / PATHS
    weight_K = np.arange(cells, 0, -1.0)
    found = {f"expected best of {k}": float(curve_K[k - 1]) for k in BUDGETS}
    # The best of one has no need of chance, and a small spread over seeds that chance would hide.
    found["expected best of 1"] = float(score_SN["none"].mean())
    found["expected performance (CPE)"] = float((curve_K * weight_K).sum() / weight_K.sum())
    found[f"best after {EQUAL} cells"] = won
    return found


def tuning(jitter: float) -> Plant:
    """Three methods of which the first is measured."""

    def draw(seeds: int, rng: np.random.Generator) -> Drawn:
        own, *others = (
            landscape_of(score, name, gone)
            for name, (score, gone) in ((name, hills(jitter, seeds, rng, name)) for name in METHODS)
        )
        curve = tuning_curve(own, max(BUDGETS))
        estimates: dict[str, Estimate] = {f"expected best of {k}": curve[k - 1] for k in BUDGETS}
        estimates["expected performance (CPE)"] = expected_performance(own)
        estimates[f"best after {EQUAL} cells"] = wins(own, others, EQUAL)
        return {name: (estimate, tuning_truths(jitter)[name]) for name, estimate in estimates.items()}

    return draw


# Several workloads.


def workloads(centres: Sequence[tuple[float, float]], width: tuple[float, float]) -> Plant:
    """Workloads with optima at these places along lr and weight decay [decades]."""
    way_EWL = np.array(
        [
            np.exp(-(((X[None] - x) / width[0]) ** 2) / 2 - ((Y[:, None] - y) / width[1]) ** 2 / 2)
            for x, y in centres
        ]
    )
    way_EWL = way_EWL / way_EWL.max(axis=(1, 2), keepdims=True)
    truth = {
        "shared-default regret": 1 - float(way_EWL.mean(axis=0).max()),
        "effective dimension": float(dimension(way_EWL)),
    }

    def draw(seeds: int, rng: np.random.Generator) -> Drawn:
        made = []
        for way_WL in way_EWL:
            level = rng.normal(0, 0.01, (seeds, 1, 1))
            slope = rng.normal(0, 0.01, (seeds, 1, 1)) * (X - X.mean())
            noise = rng.normal(0, 0.008, (seeds, *way_WL.shape))
            made.append(landscape_of(START + (TOP - START) * way_WL * (1 + level + slope) + noise))
        floor = np.array([one.untrained_S for one in made])
        ceiling = np.array([reference_scores([one.plateau_SN]) for one in made])
        score_SEWL = normalised(made, floor, ceiling)
        return {
            "shared-default regret": (shared_default_regret(score_SEWL), truth["shared-default regret"]),
            "effective dimension": (effective_dimension(score_SEWL), truth["effective dimension"]),
        }

    return draw


def dimension(way_EWL: Floats) -> int:
    """How many of the two must be tuned on each workload to reach 95 % of the best, without noise."""
    row, column = np.unravel_index(int(way_EWL.mean(axis=0).argmax()), way_EWL.shape[1:])
    if way_EWL[:, row, column].mean() >= 0.95:
        return 0
    one = max(way_EWL[:, row].max(axis=1).mean(), way_EWL[:, :, column].max(axis=1).mean())
    return 1 if one >= 0.95 else 2


# A method's constant.


def constants(cost_V: Sequence[float]) -> Plant:
    """A constant whose values cost so much loss each [share of the initial loss]; the first is the plain one.

    Scores and losses share the luck of a cell, since both are read from one network.
    """
    truth = LOSS * float(np.mean(cost_V) - min(cost_V))
    way_WL = np.broadcast_to(np.exp(-(((X + 2.0) / 1.5) ** 2) / 2), (len(Y), len(X)))

    def draw(seeds: int, rng: np.random.Generator) -> Drawn:
        members = []
        seed_luck = rng.normal(0, 1, (seeds, 1, 1))
        for k, cost in enumerate(cost_V):
            luck = rng.normal(0, 1, (seeds, *way_WL.shape)) + seed_luck
            score = START + (TOP - START) * way_WL + 0.004 * luck
            loss = LOSS * (1 - 0.9 * way_WL + cost - 0.01 * luck)
            given = () if k == 0 else (("threshold", float(k)),)
            members.append(replace(landscape_of(score, f"none{k}", loss_SWL=loss), constants=given))
        (evidence,) = gather(members, Tolerances())
        near_SWL = evidence.near("none0")
        return {"constant sensitivity": (constant_sensitivity(members, near_SWL), truth)}

    return draw


# Spikes.

POINTS, SLOTS, ROWS_COLUMNS = 60, (25, 50), (2, 4)


def spikes(rate: float, spread: float) -> Plant:
    """Curves that spike at known points with a chance that differs between seeds.

    The rest is a bounded noise. The points lie further apart than the window that a spike is compared with,
    so each of them counts.
    """

    def draw(seeds: int, rng: np.random.Generator) -> Drawn:
        rows, columns = ROWS_COLUMNS
        score = np.full((seeds, rows, columns), 0.8)
        keys = np.array([f"s{k}" for k in range(score.size)]).reshape(score.shape)
        whole = landscape_of(np.full((seeds, len(Y), len(X)), 0.8))
        landscape = replace(whole, key_SWL=keys)
        stored: dict[str, CellRecord] = {}
        base = record_of(Cell("w", "adamw", "none", (), 0.1, 0.1, 0, "s"), 0.9)
        for s in range(seeds):
            chance = rng.beta(rate / spread, (1 - rate) / spread)
            for key in keys[s].ravel():
                loss = 1 + rng.uniform(-0.01, 0.01, POINTS)
                loss[list(SLOTS)] += 3.0 * (rng.random(len(SLOTS)) < chance)
                curve = tuple((k, float(value), None) for k, value in enumerate(loss))
                stored[str(key)] = replace(base, curve=curve)
        return {"late spikes": (late_spikes(landscape, stored), rate * len(SLOTS))}

    return draw


PLANTS: Mapping[str, Plant] = {
    "tuning, smooth": tuning(0.05),
    "tuning, edges that move": tuning(0.35),
    "workloads alike": workloads([(-2.0, 0.0)] * 3, (4.0, 9.0)),
    "workloads apart along lr": workloads([(-2.6, 0.0), (-2.0, 0.0), (-1.0, 0.0)], (0.8, 3.0)),
    "workloads apart along both": workloads([(-2.7, -1.6), (-2.0, 0.0), (-1.0, 1.0)], (0.8, 1.2)),
    "workloads at the threshold": workloads([(-2.0, 0.0), (-2.0, 0.0), (-1.585, 0.0)], (0.75, 3.0)),
    "a constant that costs": constants((0.02, 0.0, 0.03, 0.10)),
    "a constant that costs nothing": constants((0.0,) * 4),
    "rare spikes": spikes(0.02, 0.02),
    "many spikes": spikes(0.3, 0.05),
}


def coverage(name: str, seeds: int, draws: int, rng: np.random.Generator) -> dict[str, tuple[int, int]]:
    """By measure, how many intervals hold the truth, and of how many."""
    found: dict[str, tuple[int, int]] = {}
    for _ in range(draws):
        for what, (estimate, truth) in PLANTS[name](seeds, rng).items():
            span = estimate.interval(CONFIDENCE) if isinstance(estimate, Estimate) else None
            hit, of = found.get(what, (0, 0))
            if span is None:
                found[what] = hit, of
            else:
                found[what] = hit + int(span[0] - 1e-9 <= truth <= span[1] + 1e-9), of + 1
    return found
