"""Twins: how often the shipped verdicts err on a study's own cells, where every difference is luck.

A twin study takes disjoint seeds of one transform and calls them by the names of several, in every setting of
the study at once. Whatever a claim then says about a difference between them, the truth is 0.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv, stdtrit

from study.claims.baselines import GS
from study.claims.catalogue import CLAIMS, questions_of
from study.claims.finding import Comparison, Finding
from study.claims.verdicts import REFUTED, SUPPORTED, judge
from study.errors import UserError
from study.measures.array_types import Floats
from study.measures.evidence import gather
from study.measures.landscape import Landscape
from study.spec.claim_rule import Rule
from study.spec.tolerances import Tolerances

METHODS = (GS, "autoscale")
"""Methods that the shipped claims are about; the user's own claims add theirs."""
BASELINES = ("none", "clip_norm", "unit_norm", "centralization", "zscore")
"""What they are compared with."""
NAMES = 4
"""Names that a twin study has where seeds allow: the claims about regions then find all that they name."""
CORRELATION = 0.21
"""Largest correlation over seeds between two transforms that was measured on `quickstart`, in size."""
ANY = ""
"""Stands for all claims together, among their ids."""
MOST_SECONDS = 300.0
"""No further replicate is drawn after this time."""

Tell = Callable[[int, int], None]
"""Told how many replicates are done, and of how many."""


@dataclass(frozen=True)
class Source:
    """A transform whose complete seeds make twins.

    Attributes:
        landscapes: one per setting, all with the same seeds.
        names: how many names one twin study gives to its seeds.
    """

    landscapes: tuple[Landscape, ...]
    names: int

    @property
    def seeds(self) -> int:
        return len(self.landscapes[0].seeds)

    @property
    def transform(self) -> str:
        return self.landscapes[0].transform

    @property
    def settings(self) -> list[str]:
        return [setting_of(one) for one in self.landscapes]


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
    compared = {name for name, rule in {**CLAIMS, **rules}.items() if not rule.absolute}
    methods = tuple(dict.fromkeys((*METHODS, *(rules[name].method for name in rules if name in compared))))

    rng = np.random.default_rng(draw)
    count = len(sources)
    asked: dict[str, Floats] = {name: np.zeros(count) for name in (ANY, *compared)}
    false: dict[str, Floats] = {name: np.zeros(count) for name in (ANY, *compared)}
    verdicts = {name: Counter[str]() for name in compared}
    done = 0
    start = time.monotonic()
    # Sources take turns, so that each has its share of the replicates.
    while done < replicates and time.monotonic() - start < MOST_SECONDS:
        k = done % count
        twins = twin_study(sources[k], per_name, methods, rng)
        wrong = judged(twins, tolerances, rules, compared)
        for name, verdict in wrong.items():
            asked[name][k] += 1
            if verdict:
                false[name][k] += 1
                verdicts[name][verdict] += 1
        asked[ANY][k] += bool(wrong)
        false[ANY][k] += any(wrong.values())
        done += 1
        tell(done, replicates)

    reached = sources[:done]

    def rate(name: str) -> Rate:
        independent = worth(false[name], asked[name], reached, per_name, tolerances.confidence)
        return Rate(int(false[name].sum()), int(asked[name].sum()), independent, tolerances.confidence)

    ids = [name for name in {**CLAIMS, **rules} if name in compared]
    return Twins(
        per_name,
        tuple(sources),
        left_out,
        done,
        replicates,
        rate(ANY),
        {name: rate(name) for name in ids},
        {name: dict(verdicts[name]) for name in ids},
    )


def setting_of(landscape: Landscape) -> str:
    """What a message calls its setting."""
    return " · ".join(part for part in landscape.setting if part)


def spanning(
    landscapes: Sequence[Landscape], least: int
) -> tuple[list[tuple[Landscape, ...]], dict[str, int]]:
    """Each transform in all of its settings, at the seeds that are complete in all of them.

    Args:
        least: complete seeds that twins need.

    Returns:
        the transforms, and what was left out, with its number of complete seeds.
    """
    groups: dict[str, list[Landscape]] = {}
    for one in landscapes:
        groups.setdefault(one.transform, []).append(one)
    found: list[tuple[Landscape, ...]] = []
    left_out: dict[str, int] = {}
    for transform, members in groups.items():
        # A setting that is still being trained must not keep the others from making twins.
        ready = [one for one in members if one.complete_S.sum() >= least]
        if ready:
            for one in members:
                if one.complete_S.sum() < least:
                    left_out[f"{setting_of(one)} · {transform}"] = int(one.complete_S.sum())
        else:
            ready = members
        common = set.intersection(*(set(np.asarray(one.seeds)[one.complete_S].tolist()) for one in ready))
        found.append(tuple(one.at_seeds(np.isin(one.seeds, list(common))) for one in ready))
    return found, left_out


def seeds_per_name(counts: Sequence[int], tolerances: Tolerances, wanted: int | None, study: str) -> int:
    """How many seeds each name of a twin study has.

    Args:
        counts: complete seeds of every transform.

    Raises:
        UserError: a verdict needs more, or two names need more than there are.
    """
    least = tolerances.least_seeds
    most = max(counts, default=0)
    if most < 2 * least:
        raise UserError(
            f"{study}: the transform with the most complete seeds has {most}; twins need at least "
            f"{2 * least}, for two names of {least} seeds each (region: least_seeds); set seeds: {2 * least} "
            "or more in the spec and launch it again, which trains the new seeds alone"
        )
    if wanted is None:
        fewest = min(count for count in counts if count >= 2 * least)
        return max(least, fewest // NAMES)
    if not least <= wanted <= most // 2:
        raise UserError(
            f"--seeds {wanted}: a verdict needs {least} seeds or more, and {most} complete seeds are enough "
            f"for two names of {most // 2}; give {least} to {most // 2}, or add seeds to {study}"
        )
    return wanted


def twin_study(
    source: Source, seeds: int, methods: Sequence[str], rng: np.random.Generator
) -> list[Landscape]:
    """Landscapes of one transform's disjoint seeds under the names of a method and of some baselines.

    A name has the same seeds in every setting.
    """
    method = methods[int(rng.integers(len(methods)))]
    others = [name for name in BASELINES if name != method]
    # Which baselines a study has decides which claims it can support, so they vary too.
    names = [method, *rng.choice(others, size=min(source.names - 1, len(others)), replace=False).tolist()]
    order = rng.permutation(source.seeds)
    found = []
    for landscape in source.landscapes:
        for k, name in enumerate(names):
            chosen_S = np.zeros(source.seeds, dtype=bool)
            chosen_S[order[k * seeds : (k + 1) * seeds]] = True
            part = landscape.at_seeds(chosen_S)
            renamed = replace(part, seeds=tuple(range(seeds)), method=name, transform=name, constants=())
            found.append(renamed)
    return found


def judged(
    twins: Sequence[Landscape], tolerances: Tolerances, rules: Mapping[str, Rule], compared: set[str]
) -> dict[str, str]:
    """The claims that a twin study asks: the verdict where it is false, empty where it is not.

    Args:
        compared: ids of claims that compare methods. Only they can be wrong about twins.
    """
    questions = questions_of(gather(twins, tolerances), rules)
    claims = judge(questions, tolerances.confidence, tolerances.least_seeds)
    found: dict[str, str] = {}
    for question, claim in zip(questions, claims, strict=True):
        if claim.id in compared and question.finding.comparisons:
            wrong = is_false(claim.verdict, question.finding)
            found[claim.id] = found.get(claim.id, "") or (claim.verdict if wrong else "")
    return found


def is_false(verdict: str, finding: Finding) -> bool:
    """Whether a verdict is wrong where every difference is 0, by the claim's own thresholds.

    A claim to lie above -0.005 holds at 0, so only *refuted* is false. At a claim to lie above 0 the truth is
    on the threshold itself, and either verdict is false.
    """
    # A rule about every single step is about the method itself: of it twins know no truth.
    differences = [one for one in finding.comparisons if not one.exact]
    if verdict == SUPPORTED:
        return not all(lies(one, on_the_side=True) for one in differences)
    if verdict == REFUTED:
        broken = any(one.exact and one.p_refute < 1 for one in finding.comparisons)
        return not broken and not any(lies(one, on_the_side=False) for one in differences)
    return False


def lies(comparison: Comparison, *, on_the_side: bool) -> bool:
    """Whether a difference of 0 (of a ratio: its logarithm) lies on the claim's side, or on the other."""
    if comparison.alternatives:
        answers = [lies(one, on_the_side=on_the_side) for one in comparison.alternatives]
        # One of the alternatives is enough for the claim, and all of them must contradict it.
        return any(answers) if on_the_side else all(answers)
    lead = -comparison.threshold if comparison.above else comparison.threshold
    return lead > 0 if on_the_side else lead < 0


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
