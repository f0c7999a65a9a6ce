"""The interval of `study twins` covers in studies whose true rate of false verdicts is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from study.claims.twin_seeds import Source
from study.claims.twin_worth import worth
from study.claims.twins import Rate
from study.measures.array_types import Floats
from tests.planting import planted

SOURCES, QUESTIONS, LEAST = 7, 3, 3
STUDIES, REPLICATES, ALPHA = 100, 200, 0.05
ONCE_IN = 13
"""Of so many seeds one is an outlier, where outliers are luck."""
CORRELATION = 0.2
"""Between two transforms, over seeds."""
DESIGNS = ("normal", "heavy tails", "one outlier in all transforms", "outliers at random in all transforms")


def drawn(design: str, seeds: int, rng: np.random.Generator) -> Floats:
    """What seeds measure in a study, shape [S, K, Q]."""
    shared, alone = (seeds, 1, QUESTIONS), (seeds, SOURCES, QUESTIONS)
    heavy = design == "heavy tails"
    parts = [rng.standard_t(2, shape) if heavy else rng.standard_normal(shape) for shape in (shared, alone)]
    found = np.sqrt(CORRELATION) * parts[0] + np.sqrt(1 - CORRELATION) * parts[1]
    if design == DESIGNS[2]:
        found[0] += 6
    if design == DESIGNS[3]:
        found += 6 * (rng.random((seeds, 1, 1)) < 1 / ONCE_IN)
    return np.asarray(found)


def false_verdicts(design: str, seeds: int, rng: np.random.Generator) -> Floats:
    """Replicates of each source with a false verdict, by the tests of the ledger, shape [K]."""
    names = min(seeds // LEAST, 4)
    value_SKQ = drawn(design, seeds, rng)
    order = np.argsort(rng.random((REPLICATES, seeds)), axis=1)[:, : names * LEAST]
    source_R = np.arange(REPLICATES) % SOURCES
    value = value_SKQ[order, source_R[:, None]].reshape(REPLICATES, names, LEAST, QUESTIONS)
    difference = value[:, :1] - value[:, 1:]
    t = difference.mean(2) / (difference.std(2, ddof=1) / np.sqrt(LEAST))
    support = student.sf(t, LEAST - 1)
    refute = np.minimum(1, (names - 1) * (1 - support).min(1))
    wrong_R = QUESTIONS * np.minimum(support.max(1), refute).min(1) <= ALPHA
    return np.bincount(source_R, wrong_R, SOURCES)


@pytest.mark.parametrize("seeds", [6, 9, 13])
@pytest.mark.parametrize("design", DESIGNS)
def test_the_interval_covers(design: str, seeds: int) -> None:
    """In 100 studies of each design the 95 % interval covers the true rate in 93 % or more."""
    rng = np.random.default_rng([DESIGNS.index(design), seeds])
    landscape = planted(-3, -1, seeds=seeds, lr=(1e-3, 1e-2))
    sources = [Source((landscape,), min(seeds // LEAST, 4))] * SOURCES
    asked_K = np.bincount(np.arange(REPLICATES) % SOURCES).astype(float)
    false_NK = [false_verdicts(design, seeds, rng) for _ in range(STUDIES)]
    # The mean over all studies is the truth, to a tenth of the interval's width.
    truth = float(np.sum(false_NK)) / (STUDIES * REPLICATES)
    covered = 0
    for false_K in false_NK:
        n = worth(false_K, asked_K, sources, LEAST, 0.95)
        interval = Rate(int(false_K.sum()), REPLICATES, n, 0.95).interval
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert covered >= 0.93 * STUDIES
