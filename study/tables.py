"""What the command line prints of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.comparison import Comparison
from study.home import DEFAULT_HOME, Home
from study.measures import MEASURES, measured, unit_of
from study.page import claimed, shown_estimate
from study.progress import clock
from study.regions import divergence_share
from study.statistics import exponential, worded

if TYPE_CHECKING:
    from study.launch import Launch

COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


def claims_table(analysis: Analysis) -> Group:
    """One row per measured claim: estimate with interval, what the claim says, n, verdict; below them what the others need."""
    several = len(analysis.evidence) > 1
    spec = analysis.plan.spec
    table = Table(title=f"Claims of {spec.name} ({spec.region.confidence:.0%} intervals over seeds; hardest comparison)", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("claim", *(("setting",) if several else ()), "estimate", "claimed", "n", "verdict"):
        table.add_column(name, no_wrap=name not in ("estimate", "setting"))
    needs: dict[str, str] = {}
    for claim in analysis.claims:
        if claim.estimate is None:
            needs[claim.id] = claim.reason.removeprefix("not decidable by this study: ").removesuffix(".")
            continue
        row = [claim.id, *([claim.setting] if several else []), escape(f"{shown_estimate(claim)}, {claim.against}"), claimed(claim), str(claim.n_seeds)]
        table.add_row(*row, f"[{COLOURS[claim.verdict]}]{claim.verdict}[/]")
    return Group(table, "Not decidable by this study, and what is missing:", *(f"  {name}: {escape(what)}" for name, what in needs.items()), "")


def regions_table(analysis: Analysis) -> Table:
    """One row per transform: sizes of its trained and competitive regions against its own best, and its divergence share."""
    confidence = analysis.plan.spec.region.confidence
    several = len(analysis.evidence) > 1
    title = f"Regions of {analysis.plan.spec.name} (own best; widths in decades, areas in decades²; {confidence:.0%} intervals over seeds; ≥ touches the border)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in (*(("setting",) if several else ()), "transform", "n", "trained: lr width", "area", "competitive: lr width", "area", "diverged", "fANOVA lr | wd"):
        table.add_column(name, overflow="fold", no_wrap=name == "transform")
    for piece in analysis.evidence:
        for name, landscape in piece.landscapes.items():
            if not landscape.seeds:
                table.add_row(*([piece.setting] if several else []), escape(name), "0", *["–"] * 6)
                continue
            found = [piece.regions.get((name, kind, "own")) for kind in ("trained", "competitive")]
            estimates = [estimate for region in found for estimate in ((region.lr_width, region.area) if region else (None, None))]
            estimates.append(None if piece.partial else divergence_share(landscape))
            sizes = ["–" if e is None else worded(e, confidence, digits=".2f") for e in estimates]
            shares = next(one.shares for other, one in analysis.importances if other is piece and one.transform == name and one.evaluator == "fanova")
            row = [*([piece.setting] if several else []), escape(name), str(len(landscape.seeds)), *map(escape, sizes)]
            table.add_row(*row, " | ".join(f"{shares[axis]:.0%}" for axis in ("lr", "weight_decay")) if shares else "–")
    return table


def measures_table(analysis: Analysis) -> Group:
    """Every measure of every transform, with its interval; below, why others are missing."""
    confidence = analysis.plan.spec.region.confidence
    blocks: list[Table | str] = []
    several = len(analysis.evidence) > 1
    for name in MEASURES:
        found = [(case, measured(case, name)) for case in analysis.cases]
        reasons = {answer for _, answer in found if isinstance(answer, str)}
        if all(isinstance(answer, str) for _, answer in found):
            blocks.append(f"{name}: {'; '.join(sorted(reasons))}")
            continue
        table = Table(box=None, pad_edge=False, show_header=False)
        for case, answer in found:
            shown = answer if isinstance(answer, str) else worded(answer, confidence)
            table.add_row("  ", *([case.evidence.setting] if several else []), escape(case.landscape.transform), escape(shown))
        blocks += [escape(f"{name} [{unit_of(found[0][0], name)}]"), table, ""]
    return Group(f"Measures of {analysis.plan.spec.name} ({confidence:.0%} intervals over seeds; ≥ and ≤ are bounds)", "", *blocks)


def comparison_table(comparison: Comparison, confidence: float) -> Group:
    """One row per measure: both, their difference and ratio; below, why others are missing."""
    title = f"{comparison.setting}: {comparison.a} and {comparison.b}, {comparison.pairing} ({confidence:.0%} intervals)"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("measure", comparison.a, comparison.b, "difference", "ratio"):
        table.add_column(escape(name), overflow="fold")
    missing: dict[str, list[str]] = {}
    for one in comparison.measures:
        if isinstance(one.difference, str):
            missing.setdefault(one.difference, []).append(one.measure)
            continue
        sides = [side if isinstance(side, str) else worded(side, confidence) for side in (one.a, one.b)]
        ratio = worded(one.ratio, confidence, exponential) if one.ratio else ""
        table.add_row(f"{one.measure} \\[{one.unit}]", *map(escape, (*sides, worded(one.difference, confidence), ratio)))
    return Group(table, *(f"not compared ({escape(reason)}): {', '.join(names)}" for reason, names in missing.items()), "")


def dashboard_lines(analysis: Analysis, home: Home) -> list[str]:
    """How to open the Optuna storage of a study."""
    from importlib.util import find_spec

    path = home.optuna(analysis.plan.spec.name)
    if not path.exists():
        return [f"there is no Optuna storage at {path} yet: a launch writes it when it ends"]
    known = find_spec("optuna_dashboard") is not None
    installed = "optuna-dashboard is installed" if known else "optuna-dashboard is not installed; it comes with: pip install 'stability-study[dashboard]'"
    return [f"to browse settings and importances: optuna-dashboard sqlite:///{path.resolve()}", f"({installed})"]


def summary(ended: Launch) -> dict[str, Any]:
    """How a launch ended, as plain values."""
    return {
        "study": ended.analysis.plan.spec.name,
        "cells": len(ended.analysis.plan.cells),
        **ended.analysis.counts,
        "trained_now": ended.trained,
        "interrupted": ended.interrupted,
        "failures": [failure.reason for failure in ended.failures],
        "mlflow_runs": ended.mlflow_runs,
        "mlflow_trouble": ended.trouble,
        "exports": str(ended.exports),
        "seconds": round(ended.seconds, 2),
    }


def closing_lines(ended: Launch, spec: str, home: Path) -> list[str]:
    """The last words of a launch."""
    counts = ended.analysis.counts
    lines = [f"{ended.trained} cells trained in {clock(ended.seconds)}; " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)]
    lines += [f"failed tile: {escape(failure.reason)}" for failure in ended.failures[:3]]
    where = "" if home == DEFAULT_HOME else f" --home {home}"
    if ended.interrupted:
        return [*lines, f"stopped; what finished is kept. Go on with: study launch {spec}{where}"]
    if ended.trouble:
        lines.append(f"MLflow was away ({escape(ended.trouble)}); nothing is lost, send it later with: study sync {spec}{where}")
    return [
        *lines,
        f"heatmaps: {ended.exports / 'heatmaps'}",
        f"everything else: {ended.exports}",
        f"MLflow has {ended.mlflow_runs} cells" + (f"; to browse them: study ui{where}" if ended.own_tracker else ""),
    ]
