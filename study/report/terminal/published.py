"""A paper's numbers beside a study's, as a table."""

from __future__ import annotations

from collections import Counter

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.measures.estimate import Estimate, worded
from study.papers.agreement import RULE, rows
from study.papers.tables import PublishedTable
from study.report.terminal.layout import titled


def published_table(analysis: Analysis, table: PublishedTable) -> Group:
    """A row per published number. Below, the reasons of the verdicts, and what the paper leaves open."""
    spec, recipe, found = analysis.plan.spec, table.recipe, rows(analysis, table)
    confidence = spec.region.confidence
    several = len(found) > len(table.rows)
    point = f"lr {recipe.lr:g} and weight decay {recipe.weight_decay:g}"
    title = (
        f"{table.source}, {table.title} [{table.unit}], at {point}, "
        f"beside {spec.name} ({confidence:.0%} intervals over seeds)"
    )
    # Without the usual space on the left, else the table is wider than 120 columns.
    shown = titled(escape(title), padding=(0, 1, 0, 0))
    longest = max(len(word) for row in found for word in row.published.method.split())
    for name in (
        "network",
        *(("setting",) if several else ()),
        "method",
        "here",
        "paper",
        "last step",
        "best point",
        "n",
        "",
    ):
        shown.add_column(
            name,
            overflow="fold",
            no_wrap=name not in ("setting", "method"),
            # A method's name may wrap between words, but is never cut inside of one.
            min_width=longest if name == "method" else None,
        )

    def score(one: Estimate | None) -> str:
        return "–" if one is None else worded(one, confidence, digits=f".{table.decimals}f")

    for row in found:
        printed = row.published
        cells = (
            printed.model,
            *((row.setting,) if several else ()),
            printed.method,
            printed.transform,
            f"{printed.value:.{table.decimals}f}",
            score(row.last),
            score(row.best),
            str(row.n_seeds) if row.n_seeds else "–",
            row.agreement,
        )
        shown.add_row(*map(escape, cells))
    reasons = [
        f"  {agreement} ({count} row{'s' * (count > 1)}): {escape(reason)}"
        for (agreement, reason), count in Counter((row.agreement, row.reason) for row in found).items()
    ]
    seeds = f"{table.seeds} seeds"
    if table.seeds is None:
        seeds = "no number of seeds, so that a number may be a single run"
    return Group(
        shown,
        *reasons,
        f"The paper gives {seeds}. It leaves open: {escape('; '.join(table.unknown))}.",
        f"{RULE}.",
        f"The margin is {table.margin:g} ({escape(table.unit)}), plus half a unit of the last printed digit.",
        "",
    )
