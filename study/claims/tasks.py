"""Where several studies asked their claims: settings, each counted once, and the task of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from study.claims.catalogue import CLAIMS
from study.claims.finding import Finding
from study.claims.verdicts import Claim, Question
from study.measures.landscape import Landscape
from study.spec.claim_rule import Rule
from study.spec.tolerances import Tolerances

Task = str
"""The technical name of a workload, whatever its model and optimizer: a data set or an environment.

What a method does with one optimizer or network says much of what it does with another on the same data. Were
they counted apart, three optimizers on digits would tell of workloads that nobody tried.
"""


@dataclass(frozen=True)
class Asked:
    """A claim in one setting, with the verdict that its study's own ledger gives it.

    Attributes:
        study: name of the study. source: number of the study and home that it was read from.
        task: settings with an equal one have the same data, and often cells in common. They are other models
            and optimizers, variants of a method's constants, other budgets, the same again with more seeds.
        own: keys of the method's own cells among those that the finding names.
        untrained_loss: of the task, in whose units losses can be compared with other tasks'.
        region: the thresholds by which its numbers were measured.
        enough: it has the complete seeds that a verdict needs.
    """

    study: str
    source: int
    task: Task
    claim: Claim
    finding: Finding
    own: frozenset[str]
    untrained_loss: float
    region: Tolerances = field(default_factory=Tolerances)
    enough: bool = True

    @property
    def place(self) -> str:
        """`quickstart: digits/mlp · adamw`."""
        return f"{self.study}: {self.claim.setting}"


@dataclass(frozen=True)
class Repeated:
    """A setting that is not counted, because another study has cells of it."""

    left_out: Asked
    counted: Asked


def asked_in(
    study: str,
    source: int,
    landscapes: Sequence[Landscape],
    rules: Mapping[str, Rule],
    answers: Sequence[tuple[Claim, Question]],
    region: Tolerances,
) -> list[Asked]:
    """The claims that a study measured, setting by setting.

    Args:
        rules: the user's own, by name.
        answers: the claims of the study's own ledger, each with the question that it answers.
        region: the study's thresholds.
    """
    methods = {name: rule.method for name, rule in {**CLAIMS, **rules}.items()}
    at: dict[str, Landscape] = {}
    for landscape in landscapes:
        at.update(dict.fromkeys(landscape.key_SWL.ravel().tolist(), landscape))
    found = []
    for claim, question in answers:
        finding = question.finding
        if not finding.comparisons:
            continue
        own = [key for key in finding.keys if key in at and at[key].method == methods[claim.id]]
        judged = list({id(at[key]): at[key] for key in own}.values())
        task, loss = task_of(judged, claim.setting, question.n_seeds)
        enough = question.n_seeds >= region.least_seeds
        found.append(Asked(study, source, task, claim, finding, frozenset(own), loss, region, enough))
    return found


def task_of(landscapes: Sequence[Landscape], setting: str, seeds: int) -> tuple[Task, float]:
    """The task of a claim about these landscapes, and its untrained loss over the first seeds.

    A claim of the user's own may name no cells. Then its setting stands for the task.

    Args:
        seeds: by how many it was judged. Thresholds are shares of the mean over the same seeds, so that equal
            shares stay equal at different looks.
    """
    if not landscapes:
        return setting, math.nan
    first = landscapes[0]
    task = first.origin.workload.technical_name if first.origin else first.workload
    start_S = first.loss_initial_S[:seeds]
    known_S = start_S[np.isfinite(start_S)]  # of seeds that have a cell
    return task, float(known_S.mean()) if known_S.size else math.nan


def distinct(found: Sequence[Asked]) -> tuple[list[Asked], list[Repeated]]:
    """The settings, each counted once, and those that repeat another.

    A setting repeats another study's if both are about cells of the method with the same key. The one with
    more cells is counted, of equal ones the first. Variants of one study share the baselines' cells alone.
    """
    kept: list[Asked] = []
    repeated: list[Repeated] = []
    owner: dict[tuple[str, str], Asked] = {}
    for one in sorted(found, key=lambda one: -len(one.claim.cells)):
        others = (owner.get((one.claim.id, key)) for key in sorted(one.own))
        other = next((other for other in others if other and other.source != one.source), None)
        if other:
            repeated.append(Repeated(one, other))
            continue
        kept.append(one)
        owner.update({(one.claim.id, key): one for key in one.own})
    order = {id(one): k for k, one in enumerate(found)}
    return sorted(kept, key=lambda one: order[id(one)]), repeated
