"""Everything that is concluded from the stored cells of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from study.claims import judge_claims
from study.claims.user_claims import rules_of
from study.claims.verdicts import Claim
from study.file_names import tag_name
from study.measures.catalogue import MEASURES, Case, cases, measured, unit_of
from study.measures.divergence import divergence_share
from study.measures.edge_search import Search, searches, with_classes
from study.measures.estimate import Estimate
from study.measures.evidence import KINDS, REFERENCES, Evidence, gather
from study.measures.importance import (
    DIFFERENCE,
    DIVERGED_ENTER,
    INTERACTION,
    QUESTIONS,
    SCORE,
    Importance,
    importances,
)
from study.measures.landscape import OUTCOMES, Landscape, landscapes
from study.measures.lr_limits import EMPTY, decades_above, decades_below, largest_lr
from study.measures.regions import best_cell
from study.measures.sensitivity import lr_sensitivity, wd_sensitivity
from study.plan.cells import Plan, counted
from tracking import CellRecord

LIMITS = {
    "largest_lr": ("decades (log10 of lr)", largest_lr),
    "above_optimum": ("decades", decades_above),
    "below_optimum": ("decades", decades_below),
}
"""How far the learning rate reaches at each weight decay."""


@dataclass(frozen=True)
class Analysis:
    """Landscapes, regions, importances and claims of a study, each computed when first asked for.

    Attributes:
        runs: ids of the MLflow runs that show the cells, by key, as far as the ledger knows them.
    """

    plan: Plan
    stored: Mapping[str, CellRecord]
    runs: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many cells finished, diverged, failed and are pending; and, with an edge-seeking design, how many are inferred."""
        found = counted(self.plan.keys, {key: record.outcome for key, record in self.stored.items()})
        if not self.searches:
            return found
        return {
            name: sum(int((landscape.outcome_SWL == number).sum()) for landscape in self.landscapes)
            for number, name in enumerate(OUTCOMES)
        }

    @cached_property
    def searches(self) -> list[Search]:
        """The edge-seeking designs of the study, as far as the stored cells lead; none where it trains the whole grid."""
        if self.plan.spec.design != "edges":
            return []
        found = searches(self.plan)
        for search in found:
            search.tell(lambda keys: {key: self.stored[key] for key in keys if key in self.stored})
        return found

    @property
    def complete(self) -> bool:
        return self.counts["failed"] == self.counts["pending"] == 0

    @cached_property
    def landscapes(self) -> list[Landscape]:
        found = landscapes(self.plan, self.stored)
        return list(map(with_classes, found, self.searches)) if self.searches else found

    @cached_property
    def evidence(self) -> list[Evidence]:
        return gather(self.landscapes, self.plan.spec.region)

    @cached_property
    def claims(self) -> list[Claim]:
        found = judge_claims(self.evidence, rules_of(self.plan.spec.claims))
        return [
            replace(claim, runs=tuple(self.runs[key] for key in claim.cells if key in self.runs))
            for claim in found
        ]

    @property
    def tags(self) -> dict[str, str]:
        """A tag per verdict: `claim.<id>`, and where a claim is asked of several settings or variants `claim.<id>.<setting>`."""
        asked = Counter(claim.id for claim in self.claims)
        return {
            f"claim.{claim.id}"
            + (f".{tag_name(claim.setting)}" if asked[claim.id] > 1 else ""): claim.verdict
            for claim in self.claims
        }

    @cached_property
    def importances(self) -> list[tuple[Evidence, Importance]]:
        return [
            (piece, one)
            for piece in self.evidence
            for landscape in piece.landscapes.values()
            for one in importances(landscape, next(iter(piece.of("none")), None))
        ]

    @cached_property
    def cases(self) -> list[Case]:
        return cases(self.evidence, self.stored)

    def design_of(self, landscape: Landscape) -> dict[str, Any]:
        """How the cells of a landscape were chosen; with an edge-seeking design also what its audit found."""
        for own, search in zip(self.landscapes, self.searches, strict=False):
            if (own.setting, own.transform) == (landscape.setting, landscape.transform):
                return search.described()
        return {"design": "grid"}

    def regions(self) -> Iterator[dict[str, Any]]:
        """One entry per workload, optimizer, condition and transform, as in `regions.json`."""
        confidence = self.plan.spec.region.confidence
        for case in self.cases:
            piece, landscape, name = case.evidence, case.landscape, case.landscape.transform
            if landscape.seeds:
                row, column = best_cell(landscape)
                whole = not piece.partial
                yield {
                    "workload": landscape.workload,
                    "optimizer": landscape.optimizer,
                    **({"condition": landscape.condition} if landscape.condition else {}),
                    "transform": name,
                    "n_seeds": len(landscape.seeds),
                    "seeds": list(landscape.seeds),
                    "confidence": confidence,
                    "metric": landscape.metric_name,
                    "best": {
                        "lr": landscape.lr[column],
                        "weight_decay": landscape.weight_decay[row],
                        "mean": float(landscape.sign * landscape.score_SWL[:, row, column].mean()),
                    },
                    "tuned_score": answer(case, "tuned score", confidence),
                    "divergence_share": number(divergence_share(landscape), "fraction", confidence)
                    if whole
                    else None,
                    "lr_sensitivity": number(lr_sensitivity(landscape), "loss units", confidence)
                    if whole
                    else None,
                    "wd_sensitivity": number(wd_sensitivity(landscape), "loss units", confidence)
                    if whole
                    else None,
                    "wd_sensitivity_per_lr": [
                        {"lr": lr, **number(wd_sensitivity(landscape, c), "loss units", confidence)}
                        for c, lr in enumerate(landscape.lr)
                        if whole
                    ],
                    "measures": {measure: answer(case, measure, confidence) for measure in MEASURES},
                    "design": self.design_of(landscape),
                    "regions": [
                        described(case, kind, reference, confidence)
                        for kind in KINDS
                        for reference in REFERENCES
                        if (name, kind, reference) in piece.regions
                    ],
                    "importances": self.explained(piece, name, SCORE),
                    "importances_of_difference": self.explained(piece, name, DIFFERENCE),
                }

    def explained(self, piece: Evidence, transform: str, of: str) -> dict[str, Any]:
        """Importances of one transform by evaluator, with what they answer and how diverged cells enter."""
        return {
            one.evaluator: {
                "of": one.of,
                "shares": one.shares,
                "interaction": one.interaction,
                "interaction_is": INTERACTION if one.interaction is not None else None,
                "answers": QUESTIONS[one.evaluator],
                "n_settings": one.n_settings,
                "n_seeds": one.n_seeds,
                "diverged_share": one.diverged_share,
                "diverged_enter_as": DIVERGED_ENTER[one.of],
            }
            for other, one in self.importances
            if other is piece and one.transform == transform and one.of == of
        }


def number(estimate: Estimate, unit: str, confidence: float) -> dict[str, Any]:
    """An estimate with its unit, interval and n."""
    interval = estimate.interval(confidence)
    return {
        "estimate": estimate.mean,
        "interval": list(interval) if interval else None,
        "unit": unit,
        "n_seeds": estimate.n,
        "lower_bound": estimate.lower_bound,
        "upper_bound": estimate.upper_bound,
        "per_seed": list(estimate.values_S),
    }


def answer(case: Case, measure: str, confidence: float) -> dict[str, Any]:
    """A measure of a transform as plain values."""
    return plain(measured(case, measure), unit_of(case, measure), confidence)


def plain(found: Estimate | str, unit: str, confidence: float) -> dict[str, Any]:
    """An estimate, or the reason why there is none."""
    return (
        {"estimate": None, "interval": None, "unit": unit, "reason": found}
        if isinstance(found, str)
        else number(found, unit, confidence)
    )


def described(case: Case, kind: str, reference: str, confidence: float) -> dict[str, Any]:
    """A region as plain values."""
    landscape, found = case.landscape, case.evidence.regions[case.landscape.transform, kind, reference]
    rows = zip(
        landscape.weight_decay,
        found.lr_width_W,
        found.max_lr_W,
        range(len(landscape.weight_decay)),
        strict=True,
    )
    return {
        "kind": found.kind,
        "reference": found.reference,
        "optimistic_reference": found.optimistic,
        "cells": int(found.inside_WL.sum()),
        **{
            name: answer(case, f"{kind} {size} ({reference} best)", confidence)
            for name, size in (("area", "area"), ("lr_width", "lr width"), ("wd_width", "wd width"))
        },
        "censored": list(found.censored),
        "rows": [
            {"weight_decay": wd, "lr_width": number(width, "decades", confidence), "max_stable_lr": largest}
            | {
                name: plain(EMPTY if (one := of(found, w)) is None else one, unit, confidence)
                for name, (unit, of) in LIMITS.items()
            }
            for wd, width, largest, w in rows
        ],
        "columns": [
            {"lr": lr, "wd_width": number(height, "decades", confidence)}
            for lr, height in zip(landscape.lr, found.wd_width_L, strict=True)
        ],
    }
