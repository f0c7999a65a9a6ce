"""How many independent twin studies so many replicates from the same seeds are worth."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import stdtrit

from study.claims.twin_seeds import Source
from study.measures.array_types import Floats

CORRELATION = 0.21
"""Largest correlation over seeds between two transforms that was measured on `quickstart`, in size."""


def worth(
    false_K: Floats, asked_K: Floats, sources: Sequence[Source], seeds: int, confidence: float
) -> float:
    """How many independent twin studies would give a share of the same variance.

    Replicates draw the same seeds again and again, so their number alone says nothing. What the share is
    worth shows in how the K sources differ. They are nearly independent, because seeds hardly correlate
    between transforms.

        variance = K / (K - 1) · Σ_k (false_k - share · asked_k)² / asked²
        n = min(asked, share · (1 - share) / variance) · (t(asked - 1) / t(K - 1))²

    with t the quantiles of Student's distribution at the confidence. Where no source erred, or every one, n
    begins with the replicates. At least, n is the number of disjoint twin studies. Two transforms with the
    same seeds are not quite independent. A verdict looks at how far a mean lies from 0 on either side, and
    squares of two normal numbers with correlation r have the correlation r².

        least = Σ_k max(1, S_k // (names_k · seeds)) / (1 + (K - 1) · r²)

    At most, n is the number of seeds of all sources, Σ_k S_k. An outlier seed in every transform makes all
    sources err, or keeps all of them from it, which no difference between them shows.

    In 300 simulated studies of each design (7 sources, 200 replicates, three claims of a level of 5 %), the
    95 % interval covered the true rate as often as this. The rate was found from all studies of a design, and
    widths are means.

    | seeds of 7 transforms, correlated by 0.2 | 6 seeds | 9 seeds | 13 seeds |
    |---|---|---|---|
    | normal | 100 %, 20 points wide | 100 %, 13 | 100 %, 10 |
    | heavy tails (Student, 2 degrees of freedom) | 100 %, 18 | 100 %, 11 | 99.7 %, 9 |
    | one outlier of 6 sd in all transforms | 99.7 %, 9 | 100 %, 9 | 100 %, 8 |
    | each seed an outlier with chance 1/13 | 98.7 %, 16 | 99.3 %, 11 | 99.0 %, 9 |

    Without the most, the last design had 67 % at 6 seeds. `tests/tools/test_twins.py` has them in short.

    Args:
        false_K, asked_K: replicates of each source with a false verdict, and with something to judge.
        sources: those that were reached. seeds: per name.

    Reference: Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology, 1998. A source is a cluster.
    Differs from the reference: the least and the most.
    """
    asked = float(asked_K.sum())
    shared = 1 + (len(sources) - 1) * CORRELATION**2
    least = max(1.0, sum(max(1, one.seeds // (one.names * seeds)) for one in sources) / shared)
    most = min(float(sum(one.seeds for one in sources)), asked)
    heard_K = asked_K > 0
    clusters = int(heard_K.sum())
    n = 0.0
    if clusters > 1:
        share = false_K.sum() / asked
        gaps = (false_K - share * asked_K)[heard_K]
        variance = clusters / (clusters - 1) * float((gaps**2).sum()) / asked**2
        n = min(asked, share * (1 - share) / variance) if variance > 0 else asked
        tail = (1 + confidence) / 2
        n *= float(stdtrit(asked - 1, tail) / stdtrit(clusters - 1, tail)) ** 2
    # A claim that few replicates asked cannot rest on more twin studies than those.
    return max(1.0, min(max(n, least), most))
