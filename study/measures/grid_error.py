"""The grid's error, or discretisation error: how far a measure is off because edges lie between two cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, ndtri

from study.measures.array_types import Floats

SLIGHT = 0.2
"""A neighbouring change of at most this share does not make a jump a slope."""
HARMONICS = np.arange(1, 60)
# A jitter of one gap already leaves a share of 4e-18 in common, so a longer table would add nothing.
JITTERS = np.concatenate([[0.0], np.geomspace(0.005, 4.0, 160)])
"""Standard deviations of an edge between seeds for which the table of `shared` is made [gaps]."""


def _shared_at(sd: float) -> float:
    """The sum of `SHARED` at one standard deviation."""
    if not sd:
        return 1.0  # the sum's limit, which 59 harmonics miss by 1 %
    return float(6 / math.pi**2 * np.sum(np.exp(-((2 * math.pi * HARMONICS * sd) ** 2)) / HARMONICS**2))


SHARED = np.array([_shared_at(sd) for sd in JITTERS])
"""Share of the grid's error that two jittered edges have in common: Σ_k 6/(π k)² exp(-(2π k sd)²)."""


@dataclass(frozen=True)
class GridError:
    """Error of a measure because its edges were looked for on a grid.

    Attributes:
        sd: standard deviation of the part that all seeds have in common [unit of the measure].
        reach: the largest that this part can be; infinite where nothing bounds it.
        own: standard deviation of the part that differs between seeds, of their mean.
    """

    sd: float = 0.0
    reach: float = math.inf
    own: float = 0.0

    @property
    def bound(self) -> float:
        """The reach; 0 where there is no error that it could bound."""
        return self.reach if self.sd else 0.0

    def __add__(self, other: GridError) -> GridError:
        """Of the sum of two measures whose errors are independent."""
        return GridError(
            math.hypot(self.sd, other.sd), self.bound + other.bound, math.hypot(self.own, other.own)
        )

    def __mul__(self, factor: float) -> GridError:
        return GridError(self.sd * abs(factor), self.bound * abs(factor), self.own * abs(factor))

    def relative(self, size: float) -> GridError:
        """Of the logarithm of a measure of that size."""
        return GridError(self.sd / size, self.bound / size, self.own / size)

    def quantile(self, tail: float) -> float:
        """Quantile of the common part: symmetric beta on ± reach, or normal where nothing bounds it."""
        if not self.sd:
            return 0.0
        if not math.isfinite(self.reach):
            return float(ndtri(tail)) * self.sd
        # Shape 1 is the uniform distribution of a single edge. Below it the density would pile up at ± reach.
        shape = max(((self.reach / self.sd) ** 2 - 1) / 2, 1.0)
        return self.reach * (2 * float(betaincinv(shape, shape, tail)) - 1)


EXACT = GridError()
"""No error at all."""


def profile_grid_error(value_SX: Floats, at_X: Floats) -> GridError:
    """The grid's error of the integral of a function along an axis, averaged over seeds.

    The function may jump between two cells, and upward and downward jumps are independent. A change is a jump
    as far as its neighbours do not share in it. Where they make up half of it the function is smooth on the
    grid's scale, and its sum over cells is as good as exact.

    Args:
        value_SX: the function of each seed at X places.
        at_X: the places [decades].
    """
    gap_G = np.diff(at_X)
    if not len(gap_G) or not len(value_SX):
        return EXACT
    change_SG = np.diff(value_SX)
    slope = np.abs(change_SG) / gap_G
    # An outermost gap has one neighbour, which counts twice. A single gap has none to reflect.
    beside = np.pad(slope, ((0, 0), (1, 1)), mode="reflect" if slope.shape[1] > 1 else "constant")
    like = np.zeros(slope.shape)
    for other in (beside[:, :-2], beside[:, 2:]):
        like += np.divide(other, slope, out=np.ones(slope.shape), where=slope > 0)
    doubt = 1 - np.clip((like - SLIGHT) / (0.5 - SLIGHT), 0.0, 1.0)
    peak_S = np.abs(value_SX).max(axis=1)
    height_S = np.divide(
        (value_SX * np.gradient(at_X)).sum(axis=1), peak_S, out=np.zeros(len(peak_S)), where=peak_S > 0
    )
    common = shared(float(np.var(height_S / gap_G.mean(), ddof=1)) if len(height_S) > 1 else 0.0, 1.0)
    total = EXACT
    for sign in (1, -1):
        jump = float((np.maximum(sign * change_SG, 0.0) * doubt * gap_G).mean(axis=0).sum())
        size = jump * math.sqrt(common)
        total = total + GridError(size / math.sqrt(12), size / 2)
    return total


def mean_grid_error(value_SX: Floats, at_X: Floats) -> GridError:
    """The grid's error of a mean along an axis."""
    if len(at_X) < 2:
        return EXACT
    return profile_grid_error(value_SX, at_X) * (1 / (len(at_X) * float(np.diff(at_X).mean())))


def shared(variance: float, doubt: float) -> float:
    """Share of the grid's error that edges have in common whose places vary this much [gaps²].

    Places known up to doubt x gap that jitter by sd have variance sd² + doubt² (1 - shared(sd)) / 12, which
    is inverted here.
    """
    # Rounded: there are at most 101 tables then, and the cache holds all of them.
    return float(np.interp(variance, _variances(round(doubt, 2)), SHARED))


@lru_cache(maxsize=128)
def _variances(doubt: float) -> Floats:
    return np.asarray(JITTERS**2 + doubt**2 * (1 - SHARED) / 12)
