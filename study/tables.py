"""What the command line prints of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.home import DEFAULT_HOME
from study.page import claimed, shown_estimate
from study.progress import clock
from study.regions import divergence_share
from study.statistics import worded

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
            trained, competitive = (piece.regions[name, kind, "own"] for kind in ("trained", "competitive"))
            sizes = [worded(e, confidence, digits=".2f") for e in (trained.lr_width, trained.area, competitive.lr_width, competitive.area, divergence_share(landscape))]
            shares = next(one.shares for other, one in analysis.importances if other is piece and one.transform == name and one.evaluator == "fanova")
            row = [*([piece.setting] if several else []), escape(name), str(len(landscape.seeds)), *map(escape, sizes)]
            table.add_row(*row, " | ".join(f"{shares[axis]:.0%}" for axis in ("lr", "weight_decay")) if shares else "–")
    return table


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
