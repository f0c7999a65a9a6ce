"""Every measure of every transform, for `study analyse --measures`."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.measures.catalogue import MEASURES, measured, unit_of
from study.measures.estimate import Missing, worded


def measures_table(analysis: Analysis) -> Group:
    """A block per measure with a row per transform; where no transform has a number, the reasons alone."""
    confidence = analysis.plan.spec.region.confidence
    several = len(analysis.evidence) > 1
    blocks: list[Table | str] = []
    for name in MEASURES:
        found = [(case, measured(case, name)) for case in analysis.cases]
        reasons = {answer.reason for _, answer in found if isinstance(answer, Missing)}
        if all(isinstance(answer, Missing) for _, answer in found):
            blocks.append(escape(f"{name}: {'; '.join(sorted(reasons))}"))
            continue
        # A table for each measure, so that a long reason does not widen the columns of all others.
        table = Table(box=None, pad_edge=False, show_header=False)
        for case, answer in found:
            shown = answer.reason if isinstance(answer, Missing) else worded(answer, confidence)
            setting = [case.evidence.name] if several else []
            table.add_row("  ", *map(escape, (*setting, case.landscape.title, shown)))
        # More than one where workloads differ in their metric.
        units = dict.fromkeys(unit_of(case, name) for case, _ in found)
        blocks += [escape(f"{name} [{' or '.join(units)}]"), table, ""]
    title = (
        f"Measures of {analysis.plan.spec.name} ({confidence:.0%} intervals over seeds; ≥ and ≤ are bounds)"
    )
    return Group(title, "", *blocks)
