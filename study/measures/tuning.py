"""What tuning is worth: the best of k random cells, shared defaults, and how many hyperparameters matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from study.measures.array_types import Floats
from study.measures.estimate import Estimate
from study.measures.grid_error import EXACT, GridError
from study.measures.landscape import Landscape
from study.measures.minimum import least
from study.measures.reference import held_out, pseudo_values

ENOUGH = 0.95
"""Share of the fully tuned score that counts as tuned."""
AXES = ("weight_decay", "lr")
"""The hyperparameters of a grid, in the order of a landscape's axes."""


def best_of(score_N: Floats, most: int) -> Floats:
    """Expected best of k cells drawn with replacement, for k = 1 … most: Σ_v v (F(v)^k - F(v-)^k).

    Reference: Dodge et al., "Show your work: improved reporting of experimental results", 2019, equation 3.
    Differs from the reference: the cells are those of a grid, not random draws from a space.
    """
    ordered = np.sort(score_N)
    share = np.arange(len(ordered) + 1) / len(ordered)
    k = np.arange(1, most + 1)[:, None]
    return np.asarray(((share[1:] ** k - share[:-1] ** k) * ordered).sum(axis=1))


def tuning_curve(landscape: Landscape, most: int) -> list[Estimate]:
    """Expected best score after k = 1 … most random cells of the grid [metric units, higher is better].

    There is one estimate per k. Where one seed in twenty loses much of its grid, few seeds seldom show it:
    95 % intervals then held in 83 to 95 %, and those of `expected_performance` in 88 to 90 %, at 3 to 10
    seeds. On grids without such seeds both held in 94 to 96 %.
    """
    score_SN = landscape.score_SWL.reshape(len(landscape.seeds), -1)
    curve_SK = np.array([best_of(score_N, most) for score_N in score_SN])
    return [Estimate(tuple(column.tolist())) for column in curve_SK.T]


def expected_performance(landscape: Landscape) -> Estimate:
    """CPE, the tuning curve's mean with weights K, K - 1, …, 1 [metric units, higher is better].

    K is the number of cells of the grid. What a small budget finds counts most.

    Reference: Sivaprasad et al., "Optimizer benchmarking needs to account for hyperparameter tuning", 2020,
    section 3.
    Differs from the reference: K is the number of cells where it has 100 random configurations, and the curve
        is computed in closed form where it resamples. One score both chooses the best cell and is reported,
        where it chooses on validation and reports the test.
    """
    score_SN = landscape.score_SWL.reshape(len(landscape.seeds), -1)
    return Estimate(tuple(float(_weighted(np.sort(score_N))) for score_N in score_SN))


def _weighted(score_N: Floats) -> Floats:
    """The mean of `best_of` k = 1 … N of rising scores with weights N, N - 1, …, 1.

    With x the share of cells at or below a score,

        Σ_k (N + 1 - k) x^k = x (N - (N + 1) x + x^(N + 1)) / (1 - x)², and N (N + 1) / 2 at x = 1,

    so that nothing of the size N² is made.
    """
    count = len(score_N)
    share = np.arange(count) / count
    summed = share * (count - (count + 1) * share + share ** (count + 1)) / (1 - share) ** 2
    return np.asarray((np.diff(summed / (count * (count + 1) / 2), append=1.0) * score_N).sum())


def wins(own: Landscape, others: Sequence[Landscape], draws: int) -> Estimate:
    """Probability that the best of k random cells beats every other transform's best of k [fraction].

    Ties are shared.

    In closed form: the best of k lies at or below v with probability F(v)^k. The probability of being best is
    the sum over v of

        P(own best of k is v) · ∫_0^1 Π_others (F(v-)^k + u (F(v)^k - F(v-)^k)) du

    in which the integral breaks ties at random.

    Which transform's best cells are best decides most of a seed's value, and three seeds often agree in that
    by luck: intervals from their spread alone held in 85 %. So values have a resolution, the chance that k
    draws find the best cell, by which they move when one best cell passes another.

    Args:
        draws: k, the same for all: equal budget.
    """
    values = []
    for s in range(len(own.seeds)):
        scores = [np.sort(one.score_SWL[s].ravel()) for one in (own, *others)]
        at = np.unique(np.concatenate(scores))
        below = [(np.searchsorted(score, at, side="left") / len(score)) ** draws for score in scores]
        upto = [(np.searchsorted(score, at, side="right") / len(score)) ** draws for score in scores]
        mass = [b - a for a, b in zip(below, upto, strict=True)]
        values.append(float((mass[0] * _shared(below[1:], mass[1:])).sum()))
    finds_best = 1 - (1 - 1 / own.score_SWL[0].size) ** draws if values else 0.0
    return Estimate(tuple(values), least=0.0, most=1.0, resolution=finds_best)


def _shared(below: Sequence[Floats], mass: Sequence[Floats]) -> Floats:
    """∫_0^1 Π (below + u · mass) du: opponents below a value, or tying with it and losing the draw."""
    # The integrand is a polynomial in u with one degree per opponent, for which so many nodes are exact.
    node, weight = np.polynomial.legendre.leggauss(len(below) // 2 + 1)
    total = np.zeros(1)
    for u, w in zip((node + 1) / 2, weight / 2, strict=True):
        total = total + w * np.prod([b + u * m for b, m in zip(below, mass, strict=True)], axis=0)
    return np.asarray(total)


def normalised(landscapes: Sequence[Landscape], floor_ES: Floats, ceiling_ES: Floats) -> Floats:
    """Scores of a transform on each of E workloads, shape [S, E, W, L].

    Args:
        landscapes: of the transform, one per workload.
        floor_ES: the untrained score, which becomes 0.
        ceiling_ES: the reference score of all transforms, which becomes 1.
    """
    # Where no transform beats the untrained network, every score is 0: there is nothing to tune for.
    span_ES = np.where(ceiling_ES > floor_ES, ceiling_ES - floor_ES, np.inf)
    floor_ES11, span_ES11 = floor_ES[..., None, None], span_ES[..., None, None]
    scores = [(one.score_SWL - floor_ES11[e]) / span_ES11[e] for e, one in enumerate(landscapes)]
    return np.stack(scores, axis=1)


def shared_default_regret(score_SEWL: Floats) -> Estimate:
    """What one default for all workloads costs against tuning on each [normalised score].

        Φ = mean over workloads of the best score - best over points of the mean score over workloads

    A point is a pair of lr and weight decay. Both best points are chosen on the other seeds
    (`study.measures.minimum`): the best of a seed's own noisy scores is too good, and the more so the more
    points there are to choose from.

    Reference: Adkins, Bowling and White, "A method for evaluating hyperparameter sensitivity in reinforcement
    learning", 2024.
    Differs from the reference: scores are 0 for the untrained network and 1 for the best of all transforms,
        where it scales by percentiles of all runs of an environment. Best points are chosen on the other
        seeds. A diverged cell counts as untrained, where it is dropped.
    """
    score_SEP = score_SEWL.reshape(*score_SEWL.shape[:2], -1)
    best_SE = -least(-score_SEP)
    shared_S = -least(-score_SEP.mean(axis=1))
    return Estimate(tuple((best_SE.mean(axis=1) - shared_S).tolist()), least=0.0, most=1.0)


def effective_dimension(score_SEWL: Floats) -> Estimate:
    """Fewest hyperparameters to tune per workload to reach 95 % of the fully tuned score [count].

    The others stay at the shared default. Default and tuned values are chosen on the other seeds, and what
    they reach is read at the seed itself. Seeds disagree where a score lies near the 95 %. The dimension is
    then one of the counts beside their mean, so that half a count is in doubt however many seeds there are.

    Reference: Adkins, Bowling and White 2024, section 5.
    Differs from the reference: it is computed for each seed, with default and tuned values from the other
        seeds, and averaged. lr and weight decay are the only hyperparameters. Scores are those of
        `shared_default_regret`.
    """
    seeds = range(len(score_SEWL))
    chosen = []
    for s in seeds:
        others = [b for b in seeds if b != s] or [s]
        chosen.append(float(_dimension(score_SEWL[others].mean(axis=0), score_SEWL[s])))
    doubt = GridError(1 / math.sqrt(12), 0.5) if len(set(chosen)) > 1 else EXACT
    return Estimate(tuple(chosen), doubt, least=0.0, most=float(len(AXES)), resolution=1.0)


def _dimension(choose_EWL: Floats, read_EWL: Floats) -> int:
    """The dimension where one array of scores chooses and another is read."""
    default = np.unravel_index(int(choose_EWL.mean(axis=0).argmax()), choose_EWL.shape[1:])

    def reached(index: tuple[slice | int, ...]) -> float:
        choose_EP, read_EP = (
            score_EWL[(slice(None), *index)].reshape(len(score_EWL), -1)
            for score_EWL in (choose_EWL, read_EWL)
        )
        return float(np.take_along_axis(read_EP, choose_EP.argmax(axis=1)[:, None], 1).mean())

    everything = slice(None)
    full = reached((everything, everything))
    for count in range(len(AXES)):
        for tuned in combinations(range(len(AXES)), count):
            index = tuple(everything if axis in tuned else int(default[axis]) for axis in range(len(AXES)))
            if reached(index) >= ENOUGH * full:
                return count
    return len(AXES)


def tuned_score(landscape: Landscape) -> Estimate:
    """Score of the best cell, chosen for each seed on the other seeds [metric units, higher is better].

    Seeds that choose for each other are not independent. The spread of their scores is too small (95 %
    intervals that held in 85 % with ten seeds), and that of Tukey's pseudo-values too large (98 %). The
    values are halfway between. All agree where the choice does.

    Where a few seeds in a hundred lose their best cell, most samples show no such seed and lie above the
    expected score: 95 % intervals then held in 58 to 66 %.
    """
    score_SN = landscape.score_SN
    pseudo_S = pseudo_values(score_SN, lambda value_SN: float(held_out(value_SN).mean()))
    value_S = (held_out(score_SN) + pseudo_S) / 2
    low, high = (0.0, 1.0) if landscape.metric_name == "accuracy" else (-math.inf, math.inf)
    return Estimate(tuple(value_S.tolist()), least=low, most=high, resolution=landscape.resolution)
