"""What other transforms tell about the spread of a difference over seeds: a moderated t.

A handful of seeds says little about how much a difference varies. In one setting all transforms are trained
alike, and their values mostly vary about alike. So the spread of the others is a prior for that of a pair,
which counts as so many seeds more.

Reference: Smyth, "Linear models and empirical Bayes methods for assessing differential expression in
microarray experiments", 2004, section 6.2.
Differs from the reference: the prior of a pair comes from the other transforms alone, so that it is
independent of the pair's own spread. It is raised by half. It counts for at most as many degrees of freedom
as the pair's own, and for fewer, down to none, the more the pair's own spread exceeds it. There are too few
transforms to tell how much their spreads differ, and where the pair is what varies most, an ordinary prior
gives it away.

Whatever the spreads are, an interval with a prior errs at most twice as often as it says, since it is never
shorter than Student's own at twice the error (`study.measures.estimate.INFLATION`). Simulated with 4 and 7
transforms (400,000 draws each), as multiples of the level at 0.2 / 0.05 / 0.01 %: 0.0 to 0.2 where all vary
alike (4 seeds); 1.5 / 1.7 / 1.5 where one of the pair has eight times the standard deviation of all others (4
seeds), 1.5 / 1.6 / 1.4 with five times (5 seeds), 1.3 / 1.5 / 1.7 with three times (12 seeds). Without that
floor it was up to 8.5. With three seeds nothing would be gained, so there the pair stands alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from study.measures.array_types import Floats

CAUTION = 1.5
"""By how much the variance of the prior is raised."""
FEWEST = 4
"""Seeds from which on a prior helps."""
POOLED = 4
"""Transforms of a setting that a prior takes: a pair and two others."""
TRUSTED, DOUBTED = 0.5, 1.5
"""Up to this share of the prior's variance a pair's own trusts it fully, and from that on not at all."""


@dataclass(frozen=True)
class Prior:
    """A variance over seeds before they are looked at, and how many degrees of freedom it counts for.

    Attributes:
        variance: of the value of one seed [unit of the measure, squared].
    """

    variance: float = 0.0
    df: float = 0.0


NO_PRIOR = Prior()
"""The seeds alone."""


def prior_of(others_MS: Floats, own_variance: float) -> Prior:
    """The prior of a pair's difference, from those of one of the pair to M others.

    What is the same in all of these differences is the transform that they share, so it is taken out. What
    remains is each other transform's own spread, twice of which a difference between two has:

        r_ms = d_ms - mean over m - mean over s + mean of all
        σ² = Σ r² / ((M - 1)(S - 1))
        variance = CAUTION · 2 σ²

    There is none with fewer than two others or four seeds, or where the others do not vary at all: seeds that
    tie there say nothing of those that do not elsewhere.

    Args:
        others_MS: differences to the others, by seed.
        own_variance: of the pair's own difference at one seed.
    """
    count, seeds = others_MS.shape
    if count + 2 < POOLED or seeds < FEWEST:
        return NO_PRIOR
    rest = others_MS - others_MS.mean(axis=0)
    rest = rest - rest.mean(axis=1, keepdims=True)
    df = (count - 1) * (seeds - 1)
    return weighed(CAUTION * 2 * float((rest**2).sum()) / df, own_variance, min(df, seeds - 1))


def weighed(variance: float, own_variance: float, df: float) -> Prior:
    """A prior with as many of its degrees of freedom as the pair's own variance leaves it."""
    if not 0 < variance < np.inf:
        return NO_PRIOR
    trust = (DOUBTED - own_variance / variance) / (DOUBTED - TRUSTED)
    return Prior(variance, df * min(max(trust, 0.0), 1.0))
