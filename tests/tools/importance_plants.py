"""Landscapes whose importances are known, and how often the intervals of shares hold them.

The scores of the seeds are drawn around a population landscape that has a closed form. The truth of fANOVA's
intervals is the two-way analysis of variance of that landscape, computed here with plain means: its grid is
even, so all cells weigh the same. The truth of PED-ANOVA's is Optuna's evaluator on that landscape. Intervals
are measured before they are widened to hold the forest's share, so those that are shown cover no less.

    python -m tests.tools.importance_plants --draws 300

Measured shares of 95 % intervals that hold the truth, with 3 / 5 / 10 seeds:

| plant | fANOVA lr (n = 300) | interaction (n = 300) | PED-ANOVA lr (n = 100) |
|---|---|---|---|
| sums | 93.0 / 95.7 / 96.0 % | 92.3 / 96.3 / 94.7 % | 100 / 100 / 100 % |
| flat | 93.3 / 94.7 / 97.7 % | 96.3 / 97.3 / 96.7 % | 97 / 98 / 93 % |
| edge | 94.3 / 95.0 / 96.0 % | 94.7 / 93.0 / 91.3 % | 97 / 83 / 82 % |
| noise | 95.0 / 94.3 / 94.7 % | 96.7 / 98.0 / 96.7 % | 99 / 100 / 99 % |

PED-ANOVA's were measured with a draft of these plants and the same formulas. Its intervals are too narrow at
a sharp edge, where seeds decide which cells are the best tenth, and wide where the best tenth is stable.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from study.measures.importance import fanova_intervals, pedanova_interval
from study.measures.landscape import FINISHED, Landscape

Array = NDArray[np.float64]
CONFIDENCE, SEEDS = 0.95, (3, 5, 10)
ROWS, COLUMNS = 6, 14
X = np.linspace(-1, 1, COLUMNS)[None, :]
Y = np.linspace(-1, 1, ROWS)[:, None]
EDGE, JITTER, ROW_JITTER = 0.3 - 0.5 * Y, 0.12, 0.05
SLOPE, SHIFT = 0.1, 0.08
RISE = 0.1 + 0.8 * ndtr((X + 0.5) / 0.3)


@dataclass(frozen=True)
class Plant:
    """A population landscape, and how seeds scatter around it.

    Attributes:
        mean_WL: the expected score.
        draw: the scores of so many seeds, of (seeds, rng).
    """

    mean_WL: Array
    draw: Callable[[int, np.random.Generator], Array]


SUM_WL = 0.5 + 0.4 * np.sin(2 * X) + 0.2 * Y + 0.15 * X * Y
NOISE_WL = 0.5 + 0.01 * (X + 0.6 * Y)


def sums(seeds: int, rng: np.random.Generator) -> Array:
    """Main effects and an interaction; each seed has its own level and slopes."""
    level, along_lr, along_wd = rng.normal(0, 1, (3, seeds, 1, 1))
    cell = rng.normal(0, 0.03, (seeds, ROWS, COLUMNS))
    return SUM_WL + 0.05 * level + 0.1 * along_lr * X + 0.05 * along_wd * Y + cell


def plateau(rise: Array | float, fall: Array | float, width: float) -> Array:
    """Flat between two smooth edges, with a slight slope along weight decay."""
    inside = ndtr((X + 0.4 - rise) / width) * ndtr((0.5 - X + fall) / width)
    return 0.1 + 0.8 * inside * (1 - 0.03 * Y)


def flat(seeds: int, rng: np.random.Generator) -> Array:
    """A flat optimum whose two edges move from seed to seed."""
    rise, fall = rng.normal(0, SHIFT, (2, seeds, 1, 1))
    level = rng.normal(0, 0.01, (seeds, 1, 1))
    return plateau(rise, fall, SLOPE) + level + rng.normal(0, 0.01, (seeds, ROWS, COLUMNS))


def edge(seeds: int, rng: np.random.Generator) -> Array:
    """A rise up to a sharp edge into divergence, which depends on weight decay and moves with the seed."""
    at = EDGE + rng.normal(0, JITTER, (seeds, 1, 1)) + rng.normal(0, ROW_JITTER, (seeds, ROWS, 1))
    level = rng.normal(0, 0.02, (seeds, 1, 1))
    return np.where(at >= X, RISE + level + rng.normal(0, 0.01, (seeds, ROWS, COLUMNS)), 0.1)


def noise(seeds: int, rng: np.random.Generator) -> Array:
    """Weak main effects and no interaction in cell noise of their size, as differences have them."""
    along_lr = rng.normal(0, 0.006, (seeds, 1, 1))
    return NOISE_WL + along_lr * X + rng.normal(0, 0.01, (seeds, ROWS, COLUMNS))


PLANTS = {
    "sums": Plant(SUM_WL, sums),
    # A normal edge that moves normally is a wider normal edge, in expectation.
    "flat": Plant(plateau(0.0, 0.0, float(np.hypot(SLOPE, SHIFT))), flat),
    "edge": Plant(0.1 + (RISE - 0.1) * ndtr((EDGE - X) / np.hypot(JITTER, ROW_JITTER)), edge),
    "noise": Plant(NOISE_WL, noise),
}


def landscape_of(score_SWL: Array) -> Landscape:
    """Finished cells with these scores; a score at the untrained one stands for a cell that diverged."""
    seeds = len(score_SWL)
    return Landscape(
        workload="w",
        optimizer="adamw",
        method="a",
        transform="a",
        lr=tuple((10 ** (3 * X[0])).tolist()),
        weight_decay=tuple((10 ** (3 * Y[:, 0])).tolist()),
        seeds=tuple(range(seeds)),
        metric_name="accuracy",
        higher_is_better=True,
        outcome_SWL=np.full(score_SWL.shape, FINISHED),
        metric_SWL=score_SWL,
        # No floor: noise below the untrained score would be cut, and the truth would move.
        untrained_S=np.full(seeds, -100.0),
        loss_SWL=np.zeros(score_SWL.shape),
        loss_initial_S=np.ones(seeds),
        key_SWL=np.full(score_SWL.shape, "k"),
    )


def truth_of(mean_WL: Array) -> tuple[float, float]:
    """lr's share of the main effects, and the interaction's share of the variance."""
    of_lr, of_wd = float(mean_WL.mean(axis=0).var()), float(mean_WL.mean(axis=1).var())
    return of_lr / (of_lr + of_wd), 1 - (of_lr + of_wd) / float(mean_WL.var())


def pedanova_truth(mean_WL: Array) -> float:
    """lr's share by PED-ANOVA; seeds that are all the population have one interval, a point."""
    same = landscape_of(np.broadcast_to(mean_WL, (3, ROWS, COLUMNS)))
    low, high = pedanova_interval(same, None, CONFIDENCE)
    assert high - low < 1e-6
    return (low + high) / 2


def coverage(
    draws: int, seeds: int, rng: np.random.Generator, plants: Mapping[str, Plant] = PLANTS
) -> dict[str, tuple[int, int]]:
    """By plant and share, how many intervals hold the truth, and of how many."""
    found = {}
    for name, plant in plants.items():
        of_lr, between = truth_of(plant.mean_WL)
        truths = {"lr": of_lr, "interaction": between, "pedanova lr": pedanova_truth(plant.mean_WL)}
        hits = dict.fromkeys(truths, 0)
        for _ in range(draws):
            landscape = landscape_of(plant.draw(seeds, rng))
            spans = dict(zip(truths, fanova_intervals(landscape, None, CONFIDENCE), strict=False))
            spans["pedanova lr"] = pedanova_interval(landscape, None, CONFIDENCE)
            for share, (low, high) in spans.items():
                hits[share] += low - 1e-9 <= truths[share] <= high + 1e-9
        found |= {f"{name}: {share}": (count, draws) for share, count in hits.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How often intervals of importances cover planted truths")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    chosen = parser.parse_args()
    for seeds, name in product(chosen.seeds, PLANTS):
        found = coverage(chosen.draws, seeds, np.random.default_rng(seeds), {name: PLANTS[name]})
        for what, (hits, of) in found.items():
            print(f"{seeds:>3} seeds  {what:<20} {hits / of:6.1%}  n = {of}", flush=True)


if __name__ == "__main__":
    main()
