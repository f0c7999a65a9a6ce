"""The views of a study's table of runs: which columns it shows, in which order, of which runs."""

from __future__ import annotations

from study.analysis import Analysis
from study.spec.model import StudySpec
from tracking.mlflow_page import CELLS, View, column

ALL = "tags.stability_study = 'cell'"
"""The runs of cells, without the study's own, which has none of their columns."""
WIDTHS = {"lr": 100, "weight_decay": 110, "seed": 70, "transform": 170}


def views(analysis: Analysis) -> dict[str, View]:
    """The views, by the end of their tags' names; the first is the one that links open."""
    spec = analysis.plan.spec
    # A study of several workloads may have several scores, each in a column of its own.
    higher = {one.metric_name: one.higher_is_better for one in analysis.landscapes}
    scores = [column("metrics", f"{name}_final") for name in higher]
    outcome, reason = column("tags", "outcome"), column("tags", "reason")
    columns = [column("params", name) for name in varied(spec)] + scores
    widths = {column("params", name): width for name, width in WIDTHS.items()}
    first = scores[0] if scores else column("params", "lr")
    best_last = not next(iter(higher.values()), True)
    return {
        CELLS: View("cells, best first", [*columns, outcome], first, best_last, ALL, widths),
        "study-diverged": View(
            "diverged cells, earliest first",
            [*columns, column("metrics", "diverged_step"), outcome, reason],
            column("metrics", "diverged_step"),
            ascending=True,
            search=f"{ALL} and tags.outcome = 'diverged'",
            widths=widths,
        ),
        "study-own": View(
            "the study's own run: verdicts and files",
            [column("attributes", "Description")],
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
