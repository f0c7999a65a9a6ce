"""Everything that is printed or exported as JSON: facts as plain values, with units, n and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from study.analysis import Analysis
from study.claims.verdicts import Claim
from study.comparison import SideBySide
from study.launch_result import Launch
from study.measures.catalogue import MEASURES, Case, measured, unit_of
from study.measures.divergence import divergence_share
from study.measures.edge_search import Search
from study.measures.estimate import Estimate, Missing, exponential
from study.measures.evidence import KINDS, REFERENCES, Evidence
from study.measures.importance import DIFFERENCE, DIVERGED_ENTER, INTERACTION, QUESTIONS, SCORE
from study.measures.landscape import Landscape
from study.measures.lr_limits import EMPTY, decades_above, decades_below, largest_lr
from study.measures.regions import Region, best_cell
from study.measures.sensitivity import lr_sensitivity, wd_sensitivity
from study.papers.agreement import RULE, Row, rows
from study.papers.tables import PublishedTable
from study.plan.cells import settings
from study.plan.preview import Preview
from study.stored import Shown, Status

Plain = dict[str, Any]
LIMITS: dict[str, tuple[str, Callable[[Region, int], Estimate | None]]] = {
    "largest_lr": ("decades (log10 of lr)", largest_lr),
    "above_optimum": ("decades", decades_above),
    "below_optimum": ("decades", decades_below),
}
"""How far the learning rate reaches at each weight decay: unit, and measure."""
SIZES = (("area", "area"), ("lr_width", "lr width"), ("wd_width", "wd width"))
"""Keys of a region's sizes, and what the table of measures calls them."""


def preview_values(seen: Preview) -> Plain:
    """What a launch would train."""
    spec = seen.plan.spec
    return {
        "study": spec.name,
        "workloads": list({setting.name: None for setting in settings(spec)}),
        "conditions": [one.label for one in spec.all_conditions if one.label],
        "transforms": [transform.label for transform in spec.transforms],
        "learning_rates": len(spec.lr),
        "weight_decays": len(spec.weight_decay),
        "seeds": list(spec.seeds),
        "design": spec.design,
        "cells": len(seen.plan.cells),
        "stored": seen.stored,
        "to_train": len(seen.plan.cells) - seen.stored,
        "tiles": seen.tiles,
        "workers": seen.workers,
        "estimated_seconds": seen.seconds,
        "estimate_is_measured": seen.measured,
    }


def status_values(found: Status) -> Plain:
    """How many cells of a study ended how."""
    return {"study": found.study, "cells": found.cells, **found.counts, "complete": found.complete}


def shown_values(shown: Shown) -> Plain:
    """How much of a study its tracker has."""
    return {
        "study": shown.study,
        "stored": shown.stored,
        "mlflow_runs": shown.runs,
        "mlflow_trouble": shown.trouble,
        "complete": shown.complete,
    }


def launch_values(ended: Launch) -> Plain:
    """How a launch ended, as plain values."""
    return {
        "study": ended.analysis.plan.spec.name,
        "cells": len(ended.analysis.plan.cells),
        **ended.analysis.counts,
        "trained_now": ended.trained,
        "interrupted": ended.interrupted,
        "failures": list(ended.failures),
        "mlflow_runs": ended.mlflow_runs,
        "mlflow_trouble": ended.trouble,
        "exports": str(ended.exports),
        "seconds": round(ended.seconds, 2),
    }


def claims(found: list[Claim]) -> list[Plain]:
    """The claims ledger, as in `claims.json`."""
    return [{name: value for name, value in asdict(claim).items() if name != "missing"} for claim in found]


def regions(analysis: Analysis) -> Iterator[Plain]:
    """One entry per workload, optimizer, condition and transform, as in `regions.json`."""
    designs = {
        landscape.identity: search
        for landscape, search in zip(analysis.landscapes, analysis.searches, strict=False)
    }
    for case in analysis.cases:
        if case.landscape.seeds:
            yield of_transform(analysis, case, designs.get(case.landscape.identity))


def of_transform(analysis: Analysis, case: Case, search: Search | None) -> Plain:
    """Everything that is measured of one transform in one setting."""
    confidence = analysis.plan.spec.region.confidence
    piece, landscape, name = case.evidence, case.landscape, case.landscape.transform
    whole = not piece.partial
    row, column = best_cell(landscape)
    best = float(landscape.sign * landscape.score_SWL[:, row, column].mean())

    def number(estimate: Estimate, unit: str) -> Plain | None:
        return estimate_values(estimate, unit, confidence) if whole else None

    per_lr = []
    for c, lr in enumerate(landscape.lr if whole else ()):
        per_lr.append({"lr": lr, **estimate_values(wd_sensitivity(landscape, c), "loss units", confidence)})
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
        "divergence_share": number(divergence_share(landscape), "fraction"),
        "lr_sensitivity": number(lr_sensitivity(landscape), "loss units"),
        "wd_sensitivity": number(wd_sensitivity(landscape), "loss units"),
        "wd_sensitivity_per_lr": per_lr,
        "measures": {measure: measure_values(case, measure, confidence) for measure in MEASURES},
        "design": design_values(search),
        "regions": found,
        "importances": importances(analysis, piece, landscape, SCORE),
        "importances_of_difference": importances(analysis, piece, landscape, DIFFERENCE),
    }


def design_values(search: Search | None) -> Plain:
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


def importances(analysis: Analysis, piece: Evidence, landscape: Landscape, of: str) -> Plain:
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
        }
        for other, one in analysis.importances
        if other is piece and one.transform == landscape.transform and one.of == of
    }


def estimate_values(estimate: Estimate, unit: str, confidence: float) -> Plain:
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


def estimate_or_reason(found: Estimate | Missing, unit: str, confidence: float) -> Plain:
    """An estimate, or the reason why there is none."""
    if isinstance(found, Missing):
        return {"estimate": None, "interval": None, "unit": unit, "reason": found.reason}
    return estimate_values(found, unit, confidence)


def measure_values(case: Case, measure: str, confidence: float) -> Plain:
    """A measure of a transform."""
    return estimate_or_reason(measured(case, measure), unit_of(case, measure), confidence)


def of_region(case: Case, kind: str, reference: str, confidence: float) -> Plain:
    """A region with its sizes, row by row and column by column."""
    landscape, found = case.landscape, case.evidence.regions[case.landscape.transform, kind, reference]
    rows_W = []
    for w, weight_decay in enumerate(landscape.weight_decay):
        row: Plain = {
            "weight_decay": weight_decay,
            "lr_width": estimate_values(found.lr_width_W[w], "decades", confidence),
            "max_stable_lr": found.max_lr_W[w],
        }
        for name, (unit, of) in LIMITS.items():
            row[name] = estimate_or_reason(of(found, w) or Missing(EMPTY), unit, confidence)
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


def comparison_values(comparison: SideBySide, confidence: float) -> Plain:
    """A comparison as JSON holds it: what cannot be compared has a reason instead of numbers."""
    return {
        "setting": comparison.setting,
        "a": comparison.a,
        "b": comparison.b,
        "seeds": list(comparison.seeds),
        "pairing": comparison.pairing,
        "confidence": confidence,
        "measures": {
            one.measure: {
                "unit": one.unit,
                "a": estimate_or_reason(one.a, one.unit, confidence),
                "b": estimate_or_reason(one.b, one.unit, confidence),
                "difference": estimate_or_reason(one.difference, one.unit, confidence),
                "ratio": ratio_values(one.ratio, confidence),
            }
            for one in comparison.measures
        },
    }


def ratio_values(found: Estimate | None, confidence: float) -> Plain | None:
    """A ratio and its interval, from their logarithms."""
    if found is None:
        return None
    span = found.interval(confidence)
    bounds = {"lower_bound": found.lower_bound, "upper_bound": found.upper_bound}
    return {
        "estimate": exponential(found.mean),
        "interval": [exponential(end) for end in span] if span else None,
        "unit": "x",
        "n_seeds": found.n,
        **bounds,
    }


def published_values(analysis: Analysis, table: PublishedTable) -> Plain:
    """A table as `--json` has it."""
    confidence = analysis.plan.spec.region.confidence
    about = {name: value for name, value in asdict(table).items() if name != "rows"}
    return about | {
        "rule": RULE,
        "confidence": confidence,
        "rows": [published_row(row, confidence) for row in rows(analysis, table)],
    }


def published_row(row: Row, confidence: float) -> Plain:
    """One published number beside this study's."""
    facts: Plain = {"setting": row.setting, "n_seeds": row.n_seeds}
    for name, one in (("last", row.last), ("best", row.best)):
        facts[name] = one and {
            "estimate": one.mean,
            "interval": one.interval(confidence),
            "per_seed": one.values_S,
        }
    facts |= {"agreement": row.agreement, "reason": row.reason, "differences": row.differences}
    return {
        "model": row.published.model,
        "method": row.published.method,
        "transform": row.published.transform,
        "published": row.published.value,
        **facts,
    }
