"""From findings to verdicts: supported, refuted or inconclusive, each with its number and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.claims.finding import Comparison, Finding
from study.measures.estimate import worded

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"


@dataclass(frozen=True)
class Claim:
    """A sentence from a paper, a number with an interval, a verdict, and the cells behind it.

    Estimate, interval and threshold are those of the comparison that is hardest for the claim.

    Attributes:
        against: the hardest comparison, in words.
        above: the claim says that the number lies above the threshold; False: below it.
        lower_bound: the true number may be larger. upper_bound: it may be smaller.
        cells: keys of the cells behind it. runs: ids of the MLflow runs that show them.
        missing: what the study lacks, where nothing could be compared.
    """

    id: str
    claim: str
    source: str
    setting: str
    measure: str
    against: str
    above: bool | None
    unit: str
    estimate: float | None
    interval: tuple[float, float] | None
    lower_bound: bool
    upper_bound: bool
    confidence: float
    n_seeds: int
    threshold: float | None
    verdict: str
    reason: str
    cells: tuple[str, ...]
    runs: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Question:
    """A claim in one setting with its finding, before it is judged together with the others.

    Attributes:
        n_seeds: complete seeds. seeds_asked: seeds in the spec.
    """

    id: str
    claim: str
    source: str
    setting: str
    n_seeds: int
    seeds_asked: int
    finding: Finding

    def p(self, least_seeds: int) -> tuple[float, str]:
        """The smaller of the p-values of support and refutation, and the verdict that it speaks for."""
        comparisons = self.finding.comparisons
        if not comparisons or self.n_seeds < least_seeds:
            return 1.0, INCONCLUSIVE
        # Support needs every comparison, so the largest p counts. One is enough to refute, so the smallest p
        # counts, times their number (Bonferroni).
        support = 1.0 if self.finding.partial else max(c.p_support for c in comparisons)
        refute = min(1.0, len(comparisons) * min(c.p_refute for c in comparisons))
        return (support, SUPPORTED) if support <= refute else (refute, REFUTED)


def judge(questions: Sequence[Question], confidence: float, least_seeds: int) -> list[Claim]:
    """Give the verdicts of all questions of a study, corrected together (Holm, over the questions' p-values).

    Args:
        confidence: of the intervals; a verdict needs an adjusted p of at most 1 - confidence.
        least_seeds: complete seeds that a verdict needs.
    """
    found = [question.p(least_seeds) for question in questions]
    # A question without a comparison cannot be answered wrongly: it must not weaken the others.
    askable = [k for k, question in enumerate(questions) if question.finding.comparisons]
    adjusted = dict(zip(askable, holm([found[k][0] for k in askable]), strict=True))
    claims = []
    for k, question in enumerate(questions):
        decided = adjusted.get(k, 1.0) <= 1 - confidence
        verdict = found[k][1] if decided else INCONCLUSIVE
        claims.append(_claim(question, verdict, confidence, least_seeds))
    return claims


def _claim(question: Question, verdict: str, confidence: float, least_seeds: int) -> Claim:
    finding = question.finding
    shown = finding.hardest
    estimate = shown.estimate if shown else None
    interval = estimate.interval(confidence) if estimate else None
    turn = finding.turn(shown) if shown else float
    return Claim(
        id=question.id,
        claim=question.claim,
        source=question.source,
        setting=question.setting,
        measure=finding.measure,
        against=shown.place if shown else "",
        above=shown.above if shown else None,
        unit=(shown.unit if shown else "") or finding.unit,
        estimate=turn(estimate.mean) if estimate else None,
        interval=(turn(interval[0]), turn(interval[1])) if interval else None,
        lower_bound=bool(estimate and estimate.lower_bound),
        upper_bound=bool(estimate and estimate.upper_bound),
        confidence=confidence,
        n_seeds=question.n_seeds,
        threshold=turn(shown.threshold) if shown else None,
        verdict=verdict,
        reason=_reason(question, verdict, confidence, least_seeds),
        cells=finding.keys,
        missing="" if finding.comparisons else finding.missing,
    )


def _reason(question: Question, verdict: str, confidence: float, least_seeds: int) -> str:
    """Why this verdict: every comparison in words, then what keeps it open or settles it."""
    finding, parts = question.finding, []
    if finding.comparisons and question.n_seeds < least_seeds:
        parts.append(
            f"{question.n_seeds} of {question.seeds_asked} seeds are complete "
            f"and a verdict needs at least {least_seeds}"
        )
    if finding.comparisons:
        parts.append("; ".join(_said(c, finding, confidence) for c in finding.comparisons))
    if verdict != INCONCLUSIVE and any(c.exact for c in finding.comparisons):
        parts.append(_counted(finding, verdict, question.n_seeds))
    if any(c.estimate and (c.estimate.lower_bound or c.estimate.upper_bound) for c in finding.comparisons):
        parts.append(
            "a region touches the border of the grid, so that a size is only a bound (marked ≥ or ≤); "
            "widen the axis to decide"
        )
    if finding.missing:
        start = "not decided here in full: " if finding.partial else "not decidable by this study: "
        parts.append(start + finding.missing)
    elif verdict == INCONCLUSIVE and question.n_seeds >= least_seeds:
        parts.append(_why_open(finding.comparisons, confidence))
    return ". ".join(part[0].upper() + part[1:] if k else part for k, part in enumerate(parts)) + "."


def _counted(finding: Finding, verdict: str, n_seeds: int) -> str:
    """Why no interval decides about every single step."""
    start = "this is counted, not inferred: "
    if verdict == SUPPORTED:
        return f"{start}the worst step of each of the {n_seeds} seeds is on the claim's side"
    broken = [c for c in finding.comparisons if c.exact and c.p_refute == 0]
    if not broken or broken[0].estimate is None:
        return "another comparison refutes it"
    worst = broken[0]
    sign = 1 if worst.above else -1
    count = sum((value - worst.threshold) * sign < 0 for value in broken[0].estimate.values_S)
    return f"{start}the sentence is about every step, and in {count} of {n_seeds} seeds a step contradicts it"


def _why_open(comparisons: Sequence[Comparison], confidence: float) -> str:
    """The first reason that applies."""
    if any(c.estimate is None for c in comparisons):
        return "a comparison could not be computed"
    comparisons = [c for c in comparisons if not c.exact]
    if any(c.estimate and c.estimate.half_width(confidence) == 0 for c in comparisons):
        return "all seeds agree to the last digit, so that the measure is too coarse to say how certain it is"
    if max((c.estimate.p(c.threshold) for c in comparisons if c.estimate), default=1.0) <= 1 - confidence:
        return (
            "a size that is only a bound, or the correction for asking several claims together (Holm), "
            "leaves it open"
        )
    return "the interval does not lie on one side of the threshold"


def _said(comparison: Comparison, finding: Finding, confidence: float) -> str:
    """One comparison in words."""
    if comparison.estimate is None:
        place = comparison.against if comparison.preposition == "against" else comparison.place
        return f"{place}: {comparison.note}"
    number = worded(comparison.estimate, confidence, finding.turn(comparison))
    unit = f" {comparison.unit}" if comparison.unit else ""
    note = f" ({comparison.note})" if comparison.note else ""
    return f"{comparison.place} {number}{unit}{note}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that they hold together.

    Reference: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, k in enumerate(order):
        # The running maximum keeps the order: a larger p never gets a smaller adjusted one.
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = running
    return adjusted
