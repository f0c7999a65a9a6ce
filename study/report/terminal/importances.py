"""What learning rate and weight decay explain of a score, as a table."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.evidence import Evidence
from study.measures.importance import DIVERGED_ENTER, INTERACTION, INTERVALS, QUESTIONS, Importance
from study.measures.share_intervals import Interval
from study.report.terminal.layout import titled


def importances_table(analysis: Analysis) -> Group:
    """Shares of the score, and of the difference to the baseline, with how diverged cells enter."""
    table = titled(
        "Importances (shares of the main effects; interaction: of the variance that a forest explains)"
    )
    for name in (
        "transform",
        "of",
        "fANOVA lr, wd",
        "lr x wd",
        "PED-ANOVA lr, wd",
        "diverged, entering as",
    ):
        table.add_column(name, overflow="fold")
    several = len(analysis.evidence) > 1
    for piece in analysis.evidence:
        for transform, landscape in piece.landscapes.items():
            label = f"{piece.name} {landscape.title}" if several else landscape.title
            for of in DIVERGED_ENTER:
                found = by_evaluator(analysis, piece, transform, of)
                # The baseline has no difference to itself.
                if found:
                    table.add_row(*map(escape, (label, *row(found, of))))
    # What each evaluator answers stands below: the two shares differ, and neither is wrong.
    answers = [f"{name}: {question}" for name, question in QUESTIONS.items()]
    answers += [f"[low, high] of {name}: {how}" for name, how in INTERVALS.items()]
    return Group(table, *map(escape, answers), f"lr x wd: {INTERACTION}", "")


def by_evaluator(analysis: Analysis, piece: Evidence, transform: str, of: str) -> dict[str, Importance]:
    """The importances of one transform for one thing that is explained."""
    return {
        one.evaluator: one
        for other, one in analysis.importances
        if other is piece and one.transform == transform and one.of == of
    }


def row(found: Mapping[str, Importance], of: str) -> tuple[str, ...]:
    """Cells of the table beside a transform's name."""
    fanova, pedanova = found["fanova"], found["pedanova"]
    return (
        of,
        shown_shares(fanova),
        "–" if fanova.interaction is None else with_interval(fanova.interaction, fanova.interaction_interval),
        shown_shares(pedanova),
        f"{fanova.diverged_share:.0%}, {DIVERGED_ENTER[of]}",
    )


def shown_shares(one: Importance) -> str:
    """`0.62 [0.55, 0.70]` and a line for the other axis, or why there are no shares."""
    if not one.shares:
        return "not decidable: one value of an axis, or all scores equal"
    return "\n".join(with_interval(share, one.intervals.get(axis)) for axis, share in one.shares.items())


def with_interval(share: float, span: Interval | None) -> str:
    """`0.62 [0.55, 0.70]`, or the share alone where there are too few seeds."""
    return f"{share:.2f}" + (f" [{span[0]:.2f}, {span[1]:.2f}]" if span else "")
