"""Twins: how often the shipped verdicts err on a study's own cells, where every difference is luck.

A twin study takes disjoint seeds of one transform and calls them by the names of several, in every setting of
the study at once. Whatever a claim then says about a difference between them, the truth is 0. It is an
A/A test.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from study.claims.catalogue import CLAIMS
from study.claims.false_verdicts import judged
from study.claims.twin_seeds import BASELINES, METHODS, Source, seeds_per_name, spanning, twin_study
from study.claims.twin_worth import worth
from study.errors import UserError
from study.measures.array_types import Floats
from study.measures.landscape import Landscape
from study.spec.claim_rule import Rule
from study.spec.tolerances import Tolerances

ANY = ""
"""Stands for all claims together, among their ids."""
MOST_SECONDS = 300.0
"""No further replicate is drawn after this time."""
Tell = Callable[[int, int], None]
"""Told how many replicates are done, and of how many."""


@dataclass(frozen=True)
class Rate:
    """How many twin studies gave a false verdict.

    Attributes:
        false, asked: replicates with a false verdict, and replicates in which there was something to judge.
        independent: how many independent twin studies the replicates are worth.
        confidence: of the interval.
    """

    false: int
    asked: int
    independent: float
    confidence: float

    @property
    def share(self) -> float | None:
        return self.false / self.asked if self.asked else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """For the true share: that of so many independent studies; None where nothing was asked.

        Reference: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
        the binomial", 1934.
        Differs from the reference: the count is a fraction, to which the beta distributions extend.
        """
        if self.share is None:
            return None
        n, tail = self.independent, (1 - self.confidence) / 2
        count = self.share * n
        low = float(betaincinv(count, n - count + 1, tail)) if count > 0 else 0.0
        high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
        return low, high


@dataclass(frozen=True)
class Twins:
    """The false-verdict rate of a study on its own cells.

    Attributes:
        seeds: per name. sources: what twins were made of.
        left_out: what has too few complete seeds, as `transform` or `setting · transform`, and how many.
        replicates, wanted: twin studies that were judged, and that were asked for.
        overall: of twin studies with any false verdict.
        claims: of each claim, by id, in the ledger's order; those that were never asked have no share.
        verdicts: of each claim, how often it had which false verdict.
    """

    seeds: int
    sources: tuple[Source, ...]
    left_out: Mapping[str, int]
    replicates: int
    wanted: int
    overall: Rate
    claims: Mapping[str, Rate]
    verdicts: Mapping[str, Mapping[str, int]]


def measure_twins(
    landscapes: Sequence[Landscape],
    tolerances: Tolerances,
    rules: Mapping[str, Rule],
    *,
    study: str,
    seeds: int | None = None,
    replicates: int = 200,
    draw: int = 0,
    tell: Tell = lambda done, of: None,
) -> Twins:
    """Judge many twin studies with the shipped claims and count the false verdicts.

    Args:
        rules: the user's own claims, by name.
        study: its name, for messages.
        seeds: per name; None takes as many as leave `NAMES` names, at least those that a verdict needs.
        draw: of the random numbers. The same gives the same twin studies.

    Raises:
        UserError: an edge-seeking study, or too few complete seeds.
    """
    if any(one.class_SWL is not None for one in landscapes):
        raise UserError(
            f"{study}: twins need every cell of the grid, and an edge-seeking design trains a part of them; "
            "set design: grid and launch again"
        )
    spans, left_out = spanning(landscapes, 2 * tolerances.least_seeds)
    per_name = seeds_per_name([len(span[0].seeds) for span in spans], tolerances, seeds, study)
    most = 1 + len(BASELINES)
    sources = [Source(span, min(len(span[0].seeds) // per_name, most)) for span in spans]
    left_out |= {one.transform: one.seeds for one in sources if one.names < 2}
    sources = [one for one in sources if one.names >= 2]
    ids = [name for name, rule in {**CLAIMS, **rules}.items() if not rule.absolute]
    methods = tuple(dict.fromkeys((*METHODS, *(rules[name].method for name in rules if name in ids))))

    rng = np.random.default_rng(draw)
    count = Count(ids, len(sources))
    start = time.monotonic()
    # Sources take turns, so that each has its share of the replicates.
    while count.done < replicates and time.monotonic() - start < MOST_SECONDS:
        twins = twin_study(sources[count.turn], per_name, methods, rng)
        count.add(judged(twins, tolerances, rules, set(ids)))
        tell(count.done, replicates)

    def rate(name: str) -> Rate:
        return count.rate(name, sources, per_name, tolerances.confidence)

    return Twins(
        per_name,
        tuple(sources),
        left_out,
        count.done,
        replicates,
        rate(ANY),
        {name: rate(name) for name in ids},
        {name: dict(count.verdicts[name]) for name in ids},
    )


class Count:
    """What claims said of the twin studies so far, which sources take turns in giving.

    Attributes:
        done: twin studies that were judged.
        asked, false: by the id of a claim, or `ANY`: of each source, the twin studies in which there was
            something to judge, and those with a false verdict.
        verdicts: of each claim, how often it had which false verdict.
    """

    def __init__(self, ids: Sequence[str], sources: int) -> None:
        self.done = 0
        self._sources = sources
        self.asked: dict[str, Floats] = {name: np.zeros(sources) for name in (ANY, *ids)}
        self.false: dict[str, Floats] = {name: np.zeros(sources) for name in (ANY, *ids)}
        self.verdicts = {name: Counter[str]() for name in ids}

    @property
    def turn(self) -> int:
        """The source whose turn it is."""
        return self.done % self._sources

    def add(self, found: Mapping[str, str]) -> None:
        """Count a twin study of the source whose turn it is.

        Args:
            found: of the claims that it asked, the verdict where it is false, empty where it is not.
        """
        k = self.turn
        for name, verdict in found.items():
            self.asked[name][k] += 1
            if verdict:
                self.false[name][k] += 1
                self.verdicts[name][verdict] += 1
        self.asked[ANY][k] += bool(found)
        self.false[ANY][k] += any(found.values())
        self.done += 1

    def rate(self, name: str, sources: Sequence[Source], per_name: int, confidence: float) -> Rate:
        """How often a claim, or `ANY`, was false."""
        false, asked = self.false[name], self.asked[name]
        independent = worth(false, asked, sources[: self.done], per_name, confidence)
        return Rate(int(false.sum()), int(asked.sum()), independent, confidence)
