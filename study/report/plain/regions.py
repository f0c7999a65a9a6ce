"""Everything that is measured of each transform, as `regions.json` has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from study.analysis import Analysis
from study.measures.array_types import Flags
from study.measures.catalogue import MEASURES, Case
from study.measures.edge_search import Search
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import KINDS, REFERENCES, Evidence
from study.measures.importance import DIFFERENCE, DIVERGED_ENTER, INTERACTION, INTERVALS, QUESTIONS, SCORE
from study.measures.landscape import Landscape
from study.measures.lr_limits import EMPTY, decades_above, decades_below, largest_lr, only_row
from study.measures.regions import Region, best_cell
from study.measures.sensitivity import wd_sensitivity
from study.report.plain.estimates import estimate_or_reason, estimate_values, measure_values

LIMITS: dict[str, tuple[str, Callable[[Region, Flags], Estimate | None]]] = {
    "largest_lr": ("decades (log10 of lr)", largest_lr),
    "above_optimum": ("decades", decades_above),
    "below_optimum": ("decades", decades_below),
}
"""How far the learning rate reaches at each weight decay: unit, and measure."""
SIZES = (("area", "area"), ("lr_width", "lr width"), ("wd_width", "wd width"))
"""Keys of a region's sizes, and what the table of measures calls them."""


def regions(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """One entry per workload, optimizer, condition and transform, as in `regions.json`."""
    # Not strict: a study that trains its whole grid has no searches.
    pairs = zip(analysis.landscapes, analysis.searches, strict=False)
    designs = {landscape.identity: search for landscape, search in pairs}
    for case in analysis.cases:
        if case.landscape.seeds:
            yield of_transform(analysis, case, designs.get(case.landscape.identity))


def of_transform(analysis: Analysis, case: Case, search: Search | None) -> dict[str, Any]:
    """Everything that is measured of one transform in one setting."""
    confidence = analysis.plan.spec.region.confidence
    piece, landscape, name = case.evidence, case.landscape, case.landscape.transform
    # Shares and sensitivities are over all cells, of which an edge-seeking design trains only some.
    whole = not piece.partial
    row, column = best_cell(landscape)
    best = float(landscape.sign * landscape.score_SWL[:, row, column].mean())

    def number(measure: str) -> dict[str, Any] | None:
        return measure_values(case, measure, confidence) if whole else None

    per_lr = []
    for c, lr in enumerate(landscape.lr if whole and landscape.tells_losses else ()):
        only_SL = np.zeros((len(landscape.seeds), len(landscape.lr)), dtype=bool)
        only_SL[:, c] = True
        sensitivity = wd_sensitivity(landscape, only_SL)
        per_lr.append({"lr": lr, **estimate_values(sensitivity, "loss units", confidence)})
    found = []
    for kind in KINDS:
        for reference in REFERENCES:
            if (name, kind, reference) in piece.regions:
                found.append(of_region(case, kind, reference, confidence))
    return {
        "workload": landscape.workload,
        "optimizer": landscape.optimizer,
        **({"condition": landscape.condition} if landscape.condition else {}),
        "transform": name,
        "n_seeds": len(landscape.seeds),
        "seeds": list(landscape.seeds),
        "confidence": confidence,
        "metric": landscape.metric_name,
        "best": {"lr": landscape.lr[column], "weight_decay": landscape.weight_decay[row], "mean": best},
        "tuned_score": measure_values(case, "tuned score", confidence),
        "divergence_share": number("divergence share"),
        "lr_sensitivity": number("lr sensitivity"),
        "wd_sensitivity": number("wd sensitivity"),
        "wd_sensitivity_per_lr": per_lr,
        "measures": {measure: measure_values(case, measure, confidence) for measure in MEASURES},
        "design": design_values(search),
        "regions": found,
        "importances": importances(analysis, piece, landscape, SCORE),
        "importances_of_difference": importances(analysis, piece, landscape, DIFFERENCE),
        "label": landscape.title,
    }


def design_values(search: Search | None) -> dict[str, Any]:
    """How the cells of a landscape were chosen; with an edge-seeking design also what its audit found."""
    if search is None:
        return {"design": "grid"}
    audit = search.design.audit
    return {
        "design": "edges",
        "done": search.design.done,
        "grid_cells": len(search.cells),
        "trained_cells": len(search.design.known.told),
        "batches": search.design.batches,
        "audit": {
            "away_from_edges": audit.away,
            "disagreed": audit.away_wrong,
            "beside_edges": audit.near,
            "disagreed_beside_edges": audit.near_wrong,
        },
        "rows_filled_in": len(audit.filled),
        "rows_fallen_back": len(audit.fell_back),
    }


def importances(analysis: Analysis, piece: Evidence, landscape: Landscape, of: str) -> dict[str, Any]:
    """Importances of one transform by evaluator, with what they answer and how diverged cells enter."""
    return {
        one.evaluator: {
            "of": one.of,
            "shares": one.shares,
            "interaction": one.interaction,
            "interaction_is": INTERACTION if one.interaction is not None else None,
            "answers": QUESTIONS[one.evaluator],
            "n_settings": one.n_points,
            "n_seeds": one.n_seeds,
            "diverged_share": one.diverged_share,
            "diverged_enter_as": DIVERGED_ENTER[one.of],
            "intervals": {axis: list(span) for axis, span in one.intervals.items()},
            "interaction_interval": list(one.interaction_interval) if one.interaction_interval else None,
            "intervals_are": INTERVALS[one.evaluator] if one.intervals else None,
        }
        for other, one in analysis.importances
        if other is piece and one.transform == landscape.transform and one.of == of
    }


def of_region(case: Case, kind: str, reference: str, confidence: float) -> dict[str, Any]:
    """A region with its sizes, row by row and column by column."""
    landscape, found = case.landscape, case.evidence.regions[case.landscape.transform, kind, reference]
    rows_W = []
    for w, weight_decay in enumerate(landscape.weight_decay):
        row: dict[str, Any] = {
            "weight_decay": weight_decay,
            "lr_width": estimate_values(found.lr_width_W[w], "decades", confidence),
            "max_stable_lr": found.max_lr_W[w],
        }
        for name, (unit, of) in LIMITS.items():
            row[name] = estimate_or_reason(of(found, only_row(found, w)) or Missing(EMPTY), unit, confidence)
        rows_W.append(row)
    return {
        "kind": found.kind,
        "reference": found.reference,
        "optimistic_reference": found.optimistic,
        "cells": int(found.inside_WL.sum()),
        **{key: measure_values(case, f"{kind} {name} ({reference} best)", confidence) for key, name in SIZES},
        "censored": [f"{border.end} {border.axis}" for border in found.censored],
        "rows": rows_W,
        "columns": [
            {"lr": lr, "wd_width": estimate_values(height, "decades", confidence)}
            for lr, height in zip(landscape.lr, found.wd_width_L, strict=True)
        ],
    }
