"""The first table of an analysis: how large each transform's regions are."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.catalogue import Case, measured
from study.measures.estimate import Missing, worded
from study.measures.importance import SCORE
from study.measures.landscape import DIVERGED
from study.report.terminal.layout import block_row, name_column, titled

SHOWN = (
    "trained lr width (own best)",
    "trained area (own best)",
    "competitive lr width (own best)",
    "competitive area (own best)",
    "divergence share",
)
"""Measures in this table. `measures_table` has all of them."""


def regions_table(analysis: Analysis) -> Group:
    """One row per transform: sizes of its regions against its own best, and its divergence share."""
    spec = analysis.plan.spec
    confidence = spec.region.confidence
    units = "own best; widths in decades, areas in decades²"
    table = titled(
        f"Regions of {spec.name} ({units}; {confidence:.0%} intervals over seeds; ≥ touches the border)"
    )
    name_column(table, "transform", (case.landscape.title for case in analysis.cases))
    for name in (
        "n",
        "trained: lr width",
        "area",
        "competitive: lr width",
        "area",
        "departed",
        "fANOVA lr | wd",
    ):
        table.add_column(name, overflow="fold")
    # Two rows may lack a number for the same reason, which is then said once.
    missing: set[str] = set()
    block = None
    for case in analysis.cases:
        answers = [measured(case, measure) for measure in SHOWN]
        missing |= {answer.reason for answer in answers if isinstance(answer, Missing)}
        if case.evidence is not block and len(analysis.evidence) > 1:
            block = case.evidence
            block_row(table, block.name)
        row = [
            f"  {case.landscape.title}" if block else case.landscape.title,
            str(len(case.landscape.seeds)),
            *("–" if isinstance(one, Missing) else worded(one, confidence, digits=".2f") for one in answers),
        ]
        table.add_row(*map(escape, row), fanova_shares(analysis, case))
    lines = [f"–: {escape(reason)}" for reason in sorted(missing)]
    return Group(table, departed_line(analysis), *lines)


def departed_line(analysis: Analysis) -> str:
    """What departed cells are, and how many of them diverged: training ends others, and their loss left."""
    departed = sum(int(case.landscape.departed_SWL.sum()) for case in analysis.cases)
    stopped = sum(
        int((case.landscape.departed_SWL & (case.landscape.outcome_SWL == DIVERGED)).sum())
        for case in analysis.cases
    )
    limit = analysis.plan.spec.region.departed
    return (
        f"departed: share of the cells whose final loss is not finite, or above {limit:g} times the "
        f"untrained one; {stopped:,} of these {departed:,} diverged, the others were trained to the end."
    )


def fanova_shares(analysis: Analysis, case: Case) -> str:
    """Shares of lr and weight decay in the score of a transform, or a dash."""
    for piece, one in analysis.importances:
        mine = piece is case.evidence and one.transform == case.landscape.transform
        if mine and one.evaluator == "fanova" and one.of == SCORE and one.shares:
            return " | ".join(f"{one.shares[axis]:.0%}" for axis in ("lr", "weight_decay"))
    return "–"
