"""What a launch ends with: the regions' widths, the best cell and the score of every transform."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.best import Best
from study.measures.estimate import Estimate, Missing, worded
from study.measures.regions import LR, WEIGHT_DECAY
from study.report.terminal.layout import block_row, name_column, titled

AT_BORDER = "*"
"""Behind a value of the best cell at a border of the grid."""


def best_table(analysis: Analysis) -> Group:
    """A block per setting with one row per transform. Below, what the numbers are."""
    spec = analysis.plan.spec
    confidence = spec.region.confidence
    metrics = list(dict.fromkeys(landscape.metric_name for landscape in analysis.landscapes))
    table = titled(
        escape(f"Best of {spec.name} ({confidence:.0%} intervals over seeds; widths in decades of lr)")
    )
    name_column(table, "transform", (one.case.landscape.title for one in analysis.reached))
    for name in ("trained: width", "competitive: width", "lr", "weight decay"):
        table.add_column(name)
    table.add_column(escape(" or ".join(metrics)))
    block = None
    for one in analysis.reached:
        if one.case.evidence is not block:
            block = one.case.evidence
            block_row(table, f"{block.name}, n = {block.n_seeds}")
        add_row(table, one, confidence)
    return Group(table, *map(escape, lines(analysis, metrics)), "")


def add_row(table: Table, one: Best, confidence: float) -> None:
    """One transform."""
    row = (
        f"  {one.case.landscape.title}",
        shown(one.trained, confidence, ".2f"),
        shown(one.competitive, confidence, ".2f"),
        at(one, LR, one.lr),
        at(one, WEIGHT_DECAY, one.weight_decay),
        "–" if one.lr is None else shown(one.score, confidence, ".3g"),
    )
    table.add_row(*map(escape, row))


def shown(found: Estimate | Missing, confidence: float, digits: str) -> str:
    """A number with its interval, or a dash."""
    return "–" if isinstance(found, Missing) else worded(found, confidence, digits=digits)


def at(one: Best, axis: str, value: float | None) -> str:
    """A value of the best cell, marked where it is the last of its axis."""
    if value is None:
        return "–"
    return f"{value:.3g}{AT_BORDER * any(border.axis == axis for border in one.borders)}"


def lines(analysis: Analysis, metrics: list[str]) -> list[str]:
    """What the columns are, as far as it is needed here."""
    found = list(analysis.reached)
    sizes = [size for one in found for size in (one.trained, one.competitive)]
    known = [one for one in found if one.lr is not None]
    said = []
    if any(isinstance(size, Estimate) and size.lower_bound for size in sizes):
        said.append("≥: the region touches the border of the grid, and may be wider.")
    if known:
        said.append(
            f"lr, weight decay: the cell with the best mean over seeds. {' or '.join(metrics)}: for each "
            "seed at the cell that is best on the others; the best cell's own mean would be too good."
        )
    if any(one.borders for one in known):
        said.append(f"{AT_BORDER}: at the border of the grid; the best may lie outside.")
    if any(len(one.case.landscape.seeds) == 1 for one in known):
        said.append("One seed has no others: its score is that of its own best cell, which is too good.")
    if any(one.lr is None and one.case.landscape.seeds for one in found):
        said.append("– for lr: no cell is better than the untrained network.")
    reasons = {size.reason for size in sizes if isinstance(size, Missing)}
    return said + [f"–: {reason}" for reason in sorted(reasons)]
