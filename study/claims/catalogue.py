"""The claims ledger: one row per sentence, one function per measurement. Add a claim by adding both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from study.claims.baselines import GS, MAINTAINED
from study.claims.convergence import converges
from study.claims.freedom import hyperparameter_free
from study.claims.recorded import keeps_direction, never_amplifies, std_decreases, zscore_amplifies
from study.claims.robustness import accuracy, fewer_divergences, wd_insensitive, widens_lr, works_with
from study.claims.spikes import bounded_on_spikes
from study.claims.verdicts import Claim, Finding, Question, judge
from study.measures.evidence import ONLY_EDGES, Evidence
from study.spec.conditions import VARIABLE
from study.spec.rule import Rule
from trainers.budget import Budget

YUN_2025 = "Yun 2025, arXiv:2509.03677"
STABILIZER_2026 = "GradientStabilizer 2026, arXiv:2502.17055v4"
CONDITION = ("condition",)

CLAIMS: dict[str, Rule] = {
    "autoscale-hyperparameter-free": Rule(
        "Gradient Autoscaled Normalization is hyperparameter-free",
        YUN_2025,
        "autoscale",
        hyperparameter_free,
        CONDITION,
        each_variant=False,
    ),
    "autoscale-never-amplifies": Rule(
        "its scale lies in (0, 1]: no unintended amplification", YUN_2025, "autoscale", never_amplifies
    ),
    "autoscale-converges": Rule(
        "Lemma 1 and Theorem 2: the convergence bound", YUN_2025, "autoscale", converges
    ),
    "autoscale-accuracy-maintained": Rule(
        "it maintains the accuracy of AdamW, GC, ZNorm and gradient normalisation",
        YUN_2025,
        "autoscale",
        accuracy(-MAINTAINED),
    ),
    "autoscale-accuracy-improved": Rule(
        "it improves on the accuracy of AdamW, GC, ZNorm and gradient normalisation",
        YUN_2025,
        "autoscale",
        accuracy(0.0),
    ),
    "global-std-decreases": Rule(
        "the global gradient deviation falls during training, while that of a layer may rise",
        YUN_2025,
        "autoscale",
        std_decreases,
    ),
    "zscore-amplifies": Rule(
        "dividing by a small layer deviation amplifies and can diverge", YUN_2025, "zscore", zscore_amplifies
    ),
    "stabilizer-widens-lr": Rule(
        "GradientStabilizer widens stable learning-rate regions over clipping", STABILIZER_2026, GS, widens_lr
    ),
    "stabilizer-fewer-divergences": Rule("it reduces divergence", STABILIZER_2026, GS, fewer_divergences),
    "stabilizer-wd-insensitive": Rule(
        "it reduces Adam's sensitivity to weight-decay strength", STABILIZER_2026, GS, wd_insensitive
    ),
    "stabilizer-bounded-on-spikes": Rule(
        "the magnitude on spike steps is bounded, whatever the spike's size",
        STABILIZER_2026,
        GS,
        bounded_on_spikes,
        CONDITION,
    ),
    "stabilizer-keeps-direction": Rule(
        "the instantaneous direction is preserved", STABILIZER_2026, GS, keeps_direction
    ),
    "plug-in": Rule(
        "works with SGD, Adam, RMSProp and others", STABILIZER_2026, GS, works_with, ("optimizer",)
    ),
}

ORDINARY = {field.name: field.default for field in dataclasses.fields(Budget) if field.name in VARIABLE}
"""The condition without stress."""


def judge_claims(evidence: Sequence[Evidence], more: Mapping[str, Rule] | None = None) -> list[Claim]:
    """The ledger of a study: every claim, and those of the user's own (`more`), asked of every workload, optimizer and variant of its method."""
    questions = []
    for name, rule in {**CLAIMS, **(more or {})}.items():
        for setting, pieces in asked(evidence, rule).items():
            piece, least, most = (
                pieces[0],
                min(one.n_seeds for one in pieces),
                max(one.seeds_asked for one in pieces),
            )
            variants = piece.of(rule.method)[: None if rule.each_variant else 1]
            for own in variants:
                lacked = (
                    f"no seed is complete yet (0 of {most})"
                    if not least
                    else ONLY_EDGES
                    if piece.partial
                    else ""
                )
                finding = Finding("", "", missing=lacked) if lacked else rule.decide(piece, own)
                questions.append(
                    Question(
                        name,
                        rule.sentence,
                        rule.source,
                        setting + (f" · {own.transform}" if len(variants) > 1 else ""),
                        least,
                        most,
                        finding,
                    )
                )
            if not variants:
                finding = Finding("", "", missing=f"the study has no transform {rule.method!r}")
                questions.append(Question(name, rule.sentence, rule.source, setting, least, most, finding))
    tolerances = evidence[0].tolerances
    return judge(questions, tolerances.confidence, tolerances.least_seeds)


def asked(evidence: Sequence[Evidence], rule: Rule) -> dict[str, list[Evidence]]:
    """The settings that a claim is asked of, by name, each with the evidence that it rests on: first the piece that stands for it.

    Of a study's conditions the one nearest to the ordinary stands for all; only a claim that compares conditions rests on the others.
    """
    groups: dict[tuple[str, ...], list[Evidence]] = {}
    for piece in evidence:
        groups.setdefault(
            (piece.workload, *(() if "optimizer" in rule.across else (piece.optimizer,))), []
        ).append(piece)
    found = {}
    for key, pieces in groups.items():
        ordered = sorted(pieces, key=stress)
        first = ordered[0]
        if "condition" not in rule.across:
            ordered = [piece for piece in ordered if piece.condition == first.condition]
        found[
            " · ".join(
                (*key, *([first.condition] if first.condition and "condition" not in rule.across else []))
            )
        ] = ordered
    return found


def stress(piece: Evidence) -> int:
    """How many keys of a condition are not the ordinary ones."""
    return sum(getattr(piece.budget, key) != value for key, value in ORDINARY.items()) if piece.budget else 0
