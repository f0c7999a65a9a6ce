"""What a forest plot shows: measures of every transform with their intervals, sorted. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.analysis import Analysis
from study.measures.catalogue import Case, measured
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import Evidence
from study.measures.importance import SCORE, Importance

SIZES = {
    "trained lr width (own best)": "trained width\n[decades of lr]",
    "competitive lr width (own best)": "competitive width\n[decades of lr]",
    "trained area (own best)": "trained area\n[decades²]",
    "competitive area (own best)": "competitive area\n[decades²]",
    "max stable lr": "largest stable lr\n[log10]",
}
"""Measures of a forest plot, and what their columns are called. The first one sorts."""
SHARES = {
    "fanova": "lr's share of the\nmain effects (fANOVA)",
    "interaction": "interaction of lr and\nweight decay (fANOVA)",
    "pedanova": "lr's share among the\nbest cells (PED-ANOVA)",
}


@dataclass(frozen=True)
class Point:
    """One measure of one transform; without a value the reason why.

    Attributes:
        lower_bound, upper_bound: the truth may be larger, or smaller, than the grid shows.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    lower_bound: bool = False
    upper_bound: bool = False
    n_seeds: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Column:
    """One measure of all transforms, in the order of the rows."""

    name: str
    words: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Forest:
    """A forest plot.

    Attributes:
        rows: what the transforms are called, and their technical names.
        note: how the intervals are to be read.
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    note: str


def forest(analysis: Analysis, piece: Evidence) -> Forest | Missing:
    """Widths, areas and limits of one setting, the widest trained region on top."""
    cases = [case for case in analysis.cases if case.evidence is piece]
    confidence = piece.tolerances.confidence
    found = {name: [point_of(measured(case, name), confidence) for case in cases] for name in SIZES}
    kept = {name: points for name, points in found.items() if any(p.value is not None for p in points)}
    if not kept:
        return Missing("needs a measure of a transform: " + next(p.reason for p in found["max stable lr"]))
    note = f"{confidence:.0%} intervals, {piece.n_seeds} seeds; an arrow: the region runs out of the grid"
    return _sorted(f"{analysis.plan.spec.name}: {piece.name}", cases, kept, SIZES, note)


def importance_forest(analysis: Analysis, piece: Evidence) -> Forest | Missing:
    """What lr explains of each transform's score, and its interaction with weight decay."""
    cases = [case for case in analysis.cases if case.evidence is piece]
    mine = {
        (one.transform, one.evaluator): one
        for other, one in analysis.importances
        if other is piece and one.of == SCORE
    }
    found: dict[str, list[Point]] = {}
    for name in SHARES:
        evaluator = "fanova" if name == "interaction" else name
        found[name] = [share_of(mine.get((case.landscape.transform, evaluator)), name) for case in cases]
    kept = {name: points for name, points in found.items() if any(p.value is not None for p in points)}
    if not kept:
        return Missing("needs two values of both axes and scores that differ")
    read = f"{piece.tolerances.confidence:.0%} intervals, {piece.n_seeds} seeds"
    note = f"{read}; weight decay has the rest of a share"
    return _sorted(f"{analysis.plan.spec.name}: {piece.name}", cases, kept, SHARES, note)


def point_of(found: Estimate | Missing, confidence: float) -> Point:
    """A measure as a point with an interval."""
    if isinstance(found, Missing):
        return Point(None, reason=found.reason)
    return Point(found.shown, found.interval(confidence), found.lower_bound, found.upper_bound, found.n)


def share_of(one: Importance | None, name: str) -> Point:
    """An importance as a point with an interval."""
    if one is None or not one.shares:
        return Point(None, reason="one value of an axis, or all scores equal")
    if name == "interaction":
        value, interval = one.interaction, one.interaction_interval
    else:
        value, interval = one.shares.get("lr"), one.intervals.get("lr")
    if value is None:
        return Point(None, reason="not known")
    return Point(value, interval, n_seeds=one.n_seeds)


def _sorted(
    title: str,
    cases: Sequence[Case],
    found: Mapping[str, Sequence[Point]],
    words: Mapping[str, str],
    note: str,
) -> Forest:
    """Rows in falling order of the first column; what has no number there comes last."""
    first = next(iter(found.values()))
    order = sorted(
        range(len(cases)),
        key=lambda k: -math.inf if (value := first[k].value) is None else value,
        reverse=True,
    )
    columns = [Column(name, words[name], tuple(points[k] for k in order)) for name, points in found.items()]
    landscapes = [cases[k].landscape for k in order]
    return Forest(title, tuple((one.title, one.transform) for one in landscapes), tuple(columns), note)


def forest_table(shown: Forest, confidence: float) -> list[dict[str, Any]]:
    """The numbers behind a forest plot, one row per transform and measure."""
    rows: list[dict[str, Any]] = []
    for column in shown.columns:
        for (title, transform), point in zip(shown.rows, column.points, strict=True):
            low, high = point.interval or (None, None)
            rows.append(
                {
                    "measure": column.name,
                    "transform": transform,
                    "value": point.value,
                    "low": low,
                    "high": high,
                    "confidence": confidence,
                    "seeds": point.n_seeds,
                    "at_least": point.lower_bound,
                    "at_most": point.upper_bound,
                    "reason": point.reason,
                    "label": title,
                }
            )
    return rows
