"""The views of a study's table of runs: which columns it shows, in which order, of which runs."""

from __future__ import annotations

from study.analysis import Analysis
from study.spec.model import StudySpec
from tracking.mlflow_page import CELLS, View, column

ALL = "tags.stability_study = 'cell'"
"""The runs of cells, without the study's own, which has none of their columns."""
WIDTHS = {"workload": 130, "optimizer": 90, "transform": 150, "seed": 55}
OTHER = 115
"""Widths of columns [pixels]; lr and weight decay are shown with all their digits."""


def views(analysis: Analysis) -> dict[str, View]:
    """The views, by the end of their tags' names; the first is the one that links open."""
    spec = analysis.plan.spec
    # A study of several workloads may have several scores, each in a column of its own.
    higher = {one.metric_name: one.higher_is_better for one in analysis.landscapes}
    scores = [column("metrics", f"{name}_final") for name in higher]
    columns = {column("params", name): WIDTHS.get(name, OTHER) for name in varied(spec)}
    columns |= dict.fromkeys(scores, OTHER)
    outcome, step = {column("tags", "outcome"): 90}, column("metrics", "diverged_step")
    # Higher is better by far the most often, and so where nothing is stored yet.
    order, ascending = (scores or [column("params", "lr")])[0], not next(iter(higher.values()), True)
    return {
        CELLS: View("cells, best first", {**columns, **outcome}, order, ascending, ALL),
        "study-diverged": View(
            "diverged cells, earliest first",
            {**columns, step: OTHER, **outcome, column("tags", "reason"): 170},
            step,
            ascending=True,
            search=f"{ALL} and tags.outcome = 'diverged'",
        ),
        "study-own": View(
            "the study's own run",
            {column("attributes", "Description"): 700},
            "attributes.start_time",
            search="tags.stability_study = 'parent'",
        ),
    }


def varied(spec: StudySpec) -> list[str]:
    """The parameters of runs that tell a study's cells apart."""
    names = ["transform", "lr", "weight_decay", "seed", *(key for key, _ in spec.conditions)]
    if len(spec.optimizer) > 1:
        names.insert(0, "optimizer")
    if len(spec.workload) * len(spec.model) > 1:
        names.insert(0, "workload")
    return names
