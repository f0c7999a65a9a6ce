"""Claims that a part of the usual recipe can be left out: the warm-up, or the schedule of the learning rate.

That a method loses nothing without it is half of such a sentence. Where the baseline loses nothing either,
there was no need that the method could have removed, so what the baseline loses is compared, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from study.claims.ablation import Apart, Pair, kept, merit, needed, smallest
from study.claims.baselines import keys_of, lacking, others
from study.claims.finding import Comparison, Finding
from study.claims.settings import regime
from study.measures.evidence import Evidence, missing_seeds
from study.measures.landscape import Landscape
from study.spec.claim_rule import Decide
from study.spec.conditions import differing
from trainers.budget import Budget

BASE = {"the baseline none": ("none",)}
MEASURE = (
    "what leaving out {} costs: loss of tuned score (best cell chosen on the other seeds) and of the trained "
    "region's lr width, and both beside the cost to the baseline"
)
NO_SIZE = "a workload that is measured by an accuracy or a loss; this one has {}"
NO_SCHEDULES = "training at a constant lr and by a schedule (conditions: schedule, constant among its values)"
Couple = tuple[Evidence, Evidence, str]
"""What lacks a part of the recipe, what has it, and that part in words."""


def needs_no_warmup(evidence: Evidence, own: Landscape) -> Finding:
    """Without warm-up nothing is lost against any warm-up of the study, and less than the baseline loses."""
    measure = MEASURE.format("the warm-up")
    pieces = apart_in(evidence, "warmup")
    without = [piece for piece in pieces if budget_of(piece).warmup == 0]
    whole = sorted(
        (piece for piece in pieces if budget_of(piece).warmup), key=lambda one: budget_of(one).warmup
    )
    if not without or not whole:
        lack = "training with and without warm-up (conditions: warmup, 0 among its values)"
        return Finding(measure, own.metric_name, missing=lack)
    couples = [(without[0], piece, f"{budget_of(piece).warmup} steps of warm-up") for piece in whole]
    return _transform_spares(measure, evidence, own, couples)


def needs_no_schedule(evidence: Evidence, own: Landscape) -> Finding:
    """At a constant lr nothing is lost against any schedule of the study, however long training is."""
    measure = MEASURE.format("the schedule")
    couples = list(scheduled(apart_in(evidence, "schedule", "steps")))
    if not couples:
        return Finding(measure, own.metric_name, missing=NO_SCHEDULES)
    return _one_length(_transform_spares(measure, evidence, own, couples), couples)


def scheduled(pieces: Sequence[Evidence]) -> Iterator[Couple]:
    """At each length of training the constant lr beside every schedule."""
    lengths = sorted({budget_of(piece).steps for piece in pieces})
    for steps in lengths:
        here = [piece for piece in pieces if budget_of(piece).steps == steps]
        constant = [piece for piece in here if budget_of(piece).schedule == "constant"]
        for piece in here:
            if constant and budget_of(piece).schedule != "constant":
                length = f" over {steps} steps" if len(lengths) > 1 else ""
                yield constant[0], piece, f"the schedule {budget_of(piece).schedule}{length}"


def _one_length(finding: Finding, couples: Sequence[Couple]) -> Finding:
    """A schedule is made for one length, so what holds at a single one does not support the sentence."""
    if finding.missing or len({budget_of(piece).steps for piece, _, _ in couples}) > 1:
        return finding
    lack = "several lengths of training (conditions: steps), since a schedule is made for one"
    return replace(finding, missing=lack, partial=True)


def _transform_spares(measure: str, evidence: Evidence, own: Landscape, couples: Sequence[Couple]) -> Finding:
    """What a transform spares: against its own training with it, and against what the baseline loses."""
    slight = smallest(evidence.indifference, own)
    if slight is None:
        return Finding(measure, own.metric_name, missing=NO_SIZE.format(own.metric_name))
    if trouble := missing_seeds([piece for couple in couples for piece in couple[:2]]):
        return Finding(measure, own.metric_name, missing=trouble)
    ratio = evidence.indifference.ratio
    comparisons: list[Comparison] = []
    used: list[Landscape] = []
    for without, whole, part in couples:
        pairs = {name: Pair(without, whole, name) for name in without.landscapes}
        mine = pairs[own.transform]
        apart = Apart.of(mine, [pair for name, pair in pairs.items() if name != own.transform])
        comparisons += kept(mine, part, ratio, slight)
        for other in others(evidence, BASE):
            theirs = pairs[other.transform]
            place = f"{other.transform}, both without {part}"
            comparisons.append(merit(apart, theirs, place, ratio, slight))
            comparisons.append(needed(theirs, part, ratio, slight))
            used += theirs.landscapes
        used += mine.landscapes
    missing = lacking(evidence, BASE)
    return Finding(
        measure,
        own.metric_name,
        tuple(comparisons),
        missing=missing,
        partial=bool(missing),
        keys=keys_of(used),
    )


def schedule_free(optimizer: str, reference: str) -> Decide:
    """That an optimizer at a constant lr loses nothing against another one with any schedule of the study.

    Args:
        reference: the optimizer that has a schedule. What it loses at a constant lr is the merit.
    """

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        measure = MEASURE.format(f"the schedule of {reference}")
        here = [
            piece
            for piece in evidence.study or [evidence]
            if (piece.workload, regime(piece)) == (evidence.workload, regime(evidence))
            and own.transform in piece.landscapes
            and piece.budget
        ]
        named = {
            name: [piece for piece in here if piece.landscapes[own.transform].optimizer_method == name]
            for name in (optimizer, reference)
        }
        absent = [name for name, pieces in named.items() if not pieces]
        if absent:
            return Finding(measure, own.metric_name, missing=f"the optimizer {' and '.join(absent)}")
        slight = smallest(evidence.indifference, own)
        if slight is None:
            return Finding(measure, own.metric_name, missing=NO_SIZE.format(own.metric_name))
        # One budget for both, or a warm-up or a stress that is varied too would set unlike cells beside each
        # other.
        of_both = {name: apart_among(evidence, found, "schedule", "steps") for name, found in named.items()}
        couples = list(scheduled(of_both[reference]))
        free = {
            budget_of(piece).steps: piece
            for piece in of_both[optimizer]
            if budget_of(piece).schedule == "constant"
        }
        couples = [couple for couple in couples if budget_of(couple[0]).steps in free]
        if not couples:
            return Finding(measure, own.metric_name, missing=NO_SCHEDULES)
        pieces = [one for couple in couples for one in (*couple[:2], free[budget_of(couple[0]).steps])]
        if trouble := missing_seeds(pieces):
            return Finding(measure, own.metric_name, missing=trouble)
        comparisons: list[Comparison] = []
        for constant, whole, part in couples:
            mine = Pair(free[budget_of(constant).steps], whole, own.transform)
            theirs = Pair(constant, whole, own.transform)
            ratio = evidence.indifference.ratio
            comparisons += kept(mine, f"{reference} with {part}", ratio, slight)
            place = f"{reference} without {part}"
            found = merit(Apart.of(mine, [theirs]), theirs, place, ratio, slight)
            comparisons.append(replace(found, itself=True))
            comparisons.append(needed(theirs, part, ratio, slight))
        used = [piece.landscapes[own.transform] for piece in pieces]
        finding = Finding(measure, own.metric_name, tuple(comparisons), keys=keys_of(used))
        return _one_length(finding, couples)

    return decide


def apart_in(evidence: Evidence, *keys: str) -> list[Evidence]:
    """The settings of the same optimizer that differ in these keys of the budget alone."""
    here = [piece for piece in evidence.study or [evidence] if piece.optimizer == evidence.optimizer]
    return apart_among(evidence, here, *keys)


def apart_among(evidence: Evidence, pieces: Sequence[Evidence], *keys: str) -> list[Evidence]:
    """Those of the same workload whose budgets differ in these keys alone."""
    own = evidence.budget
    return [
        piece
        for piece in pieces
        if piece.workload == evidence.workload
        and piece.budget
        and own
        and differing(piece.budget, own) <= set(keys)
    ]


def budget_of(piece: Evidence) -> Budget:
    """The budget of a piece that a study planned."""
    assert piece.budget is not None
    return piece.budget
