"""Last words of a command: what a launch did, what MLflow has, and how to open Optuna's storage."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from study.analysis import Analysis
from study.home import DEFAULT_HOME, Home
from study.launch_result import Launch
from study.report.durations import clock
from study.stored import Shown

MOST_REASONS = 3
"""Reasons of failed tiles that are printed; `study status` has those of cells."""


def closing_lines(ended: Launch, spec: str, home: Path) -> list[str]:
    """What a launch did, where its results are, and how to go on."""
    counts = ", ".join(f"{count} {name}" for name, count in ended.analysis.counts.items() if count)
    lines = [f"{ended.trained} cells trained in {clock(ended.seconds)}; {counts}"]
    lines += [f"failed tile: {reason}" for reason in ended.failures[:MOST_REASONS]]
    # Commands that are suggested must work as they are, so they repeat a home that is not the usual one.
    where = "" if home == DEFAULT_HOME else f" --home {home}"
    if ended.interrupted:
        return [*lines, f"stopped; what finished is kept. Go on with: study launch {spec}{where}"]
    if ended.trouble:
        lines.append(
            f"MLflow was unreachable ({ended.trouble}). Nothing is lost; send it later with: "
            f"study sync {spec}{where}"
        )
    browse = f"; to browse them: study ui{where}" if ended.own_tracker else ""
    return [
        *lines,
        f"heatmaps: {ended.exports / 'heatmaps'}",
        f"everything else: {ended.exports}",
        f"MLflow has {ended.mlflow_runs} cells{browse}",
    ]


def shown_line(shown: Shown) -> str:
    """How much of a study its tracker has."""
    line = f"{shown.study}: MLflow has {shown.runs} of {shown.stored} stored cells"
    if shown.trouble:
        line += f"; {shown.trouble}; run it again when MLflow is reachable"
    return line


def dashboard_lines(analysis: Analysis, home: Home) -> list[str]:
    """How to open the Optuna storage of a study."""
    path = home.optuna(analysis.plan.spec.name)
    if not path.exists():
        return [f"there is no Optuna storage at {path} yet: a launch writes it when it ends"]
    # Looked for and not imported: the dashboard is an optional extra, and only its presence matters here.
    if find_spec("optuna_dashboard") is not None:
        installed = "optuna-dashboard is installed"
    else:
        installed = (
            "optuna-dashboard is not installed; it comes with: pip install 'stability-study[dashboard]'"
        )
    return [
        f"to browse settings and importances: optuna-dashboard sqlite:///{path.resolve()}",
        f"({installed})",
    ]
