"""The settings of a study in which a claim is asked, and the evidence that each of them rests on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from study.measures.evidence import Evidence
from study.spec.claim_rule import Rule
from study.spec.conditions import STRESS, Condition, named
from trainers.budget import Budget

REGIMES = ("precision", "quantization")
"""Conditions in each of which a claim is asked apart: papers have a table for each of them."""
ORDINARY = {field.name: field.default for field in dataclasses.fields(Budget) if field.name in STRESS}
"""The condition without stress. Of warm-ups, lengths and schedules the first that a spec lists is meant."""


def asked(evidence: Sequence[Evidence], rule: Rule) -> dict[str, list[Evidence]]:
    """The settings that a claim is asked of, by name, and the evidence that each rests on.

    The first piece stands for the setting. A claim is asked in every regime of the arithmetic. Within one, of
    a study's conditions the one nearest to the ordinary stands for all, and of equally ordinary ones the
    first of the spec. Only a claim that compares conditions rests on the others.
    """
    groups: dict[tuple[str, ...], list[Evidence]] = {}
    for piece in evidence:
        optimizer = () if "optimizer" in rule.across else (piece.optimizer,)
        groups.setdefault((piece.workload_title, *optimizer, regime(piece)), []).append(piece)
    found = {}
    for (*key, here), pieces in groups.items():
        ordered = sorted(pieces, key=stress)
        condition = ordered[0].condition
        if "condition" not in rule.across:
            # One question, not one per condition: each further one makes the level of all stricter.
            ordered = [piece for piece in ordered if piece.condition == condition]
            here = condition
        found[" · ".join([*key, here] if here else key)] = ordered
    return found


def regime(piece: Evidence) -> str:
    """What of the arithmetic the study varies, as it is here: `quantization=fp4_stable_spam`, or nothing."""
    origin = next(iter(piece.landscapes.values())).origin
    return regime_of(origin.condition) if origin else ""


def regime_of(condition: Condition) -> str:
    """The same of a condition."""
    return named({key: value for key, value in condition.varied if key in REGIMES})


def stress(piece: Evidence) -> int:
    """How many keys of a condition are not the ordinary ones."""
    if piece.budget is None:
        return 0
    return sum(getattr(piece.budget, key) != value for key, value in ORDINARY.items())
