"""Last words of a command: what a launch did, what MLflow has, and how to open Optuna's storage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from study.analysis import Analysis
from study.home import Home
from study.launch_result import Launch
from study.report.amounts import amount
from study.report.durations import clock
from study.report.terminal.pasted import (
    ASKED,
    FILE_MEANS,
    IN_FILE,
    beside,
    pasted_address,
    same_again,
    suggested,
)
from study.stored import Shown

MOST_REASONS = 3
"""Reasons of failed tiles that are printed; `study status` has those of cells."""


def closing_lines(
    ended: Launch, spec: str, home: Path, tracking_uri: str | None = None, allow: Sequence[str] = ()
) -> list[str]:
    """What a launch did, where its results are, and how to go on.

    Args:
        tracking_uri: as the user named it; None stands for the home's own database.
        allow: packages that the spec may name, as the user named them.
    """
    counts = ", ".join(f"{count} {name}" for name, count in ended.analysis.counts.items() if count)
    lines = [f"{amount(ended.trained, 'cell')} trained, in {clock(ended.seconds)} with everything; {counts}"]
    lines += [f"failed tile: {reason}" for reason in ended.failures[:MOST_REASONS]]
    if ended.interrupted:
        again = same_again()
        lines.append(f"stopped; what finished is kept. Go on with: {again}")
        return [*lines, FILE_MEANS] if IN_FILE in again else lines
    if ended.trouble:
        what = "cannot be written" if ended.own_tracker else "was unreachable"
        words = ["sync", spec]
        # What the environment says, it will say again.
        if tracking_uri and tracking_uri != os.environ.get("MLFLOW_TRACKING_URI"):
            words += ["--tracking-uri", pasted_address(tracking_uri)]
        lines.append(
            f"MLflow {what} ({ended.trouble}). Nothing is lost; send it later with: "
            f"{suggested(*words, home=home, allow=allow)}"
        )
        if IN_FILE in words:
            lines.append(FILE_MEANS)
    if os.environ.get(ASKED):
        # Whoever reads this is elsewhere, and brings the files with `study export`.
        return [*lines, f"MLflow has {ended.mlflow_runs} of {ended.shown} cells"]
    browse = f"; to browse them: {suggested('ui', home=home)}" if ended.own_tracker else ""
    return [
        *lines,
        f"heatmaps: {ended.exports / 'heatmaps'}",
        f"everything else: {ended.exports}",
        f"MLflow has {ended.mlflow_runs} of {ended.shown} cells{browse}",
        f"more about them: {suggested('analyse', spec, home=home, allow=allow)}",
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
            "optuna-dashboard is not installed; it comes with: "
            f"{beside('pip')} install 'stability-study[dashboard]'"
        )
    return [
        f"to browse settings and importances: {beside('optuna-dashboard')} sqlite:///{path.resolve()}",
        f"({installed})",
    ]
