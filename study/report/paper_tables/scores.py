"""A paper's scores beside a study's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.measures.estimate import Estimate, worded
from study.papers.agreement import RULE, Row, rows, tables_of
from study.papers.tables import TABLES, PublishedTable
from study.report.paper_tables.kind import Kind, reasons, score_values
from study.report.terminal.layout import titled


def published_values(analysis: Analysis, table: PublishedTable) -> dict[str, Any]:
    """A table with its recipe, and all of its rows."""
    confidence = analysis.plan.spec.region.confidence
    about = {name: value for name, value in asdict(table).items() if name not in ("rows", "margin")}
    return about | {
        "rule": RULE,
        "confidence": confidence,
        "rows": [row_values(row, confidence) for row in rows(analysis, table)],
        "margin": table.margin,
    }


def row_values(row: Row, confidence: float) -> dict[str, Any]:
    """One published number beside this study's."""
    return {
        "model": row.published.model,
        "method": row.published.method,
        "transform": row.published.transform,
        "published": row.published.value,
        "setting": row.setting,
        "n_seeds": row.n_seeds,
        "last": score_values(row.last, confidence),
        "best": score_values(row.best, confidence),
        "agreement": row.agreement,
        "reason": row.reason,
        "differences": row.differences,
    }


def published_table(analysis: Analysis, table: PublishedTable) -> Group:
    """A row per published number. Below, the reasons of the verdicts, and what the paper leaves open."""
    spec, found = analysis.plan.spec, rows(analysis, table)
    confidence = spec.region.confidence
    point = f"lr {table.recipe.lr:g} and weight decay {table.recipe.weight_decay:g}"
    title = (
        f"{table.source}, {table.title} [{table.unit}], at {point}, "
        f"beside {spec.name} ({confidence:.0%} intervals over seeds)"
    )
    seeds = f"{table.seeds} seeds"
    if table.seeds is None:
        seeds = "no number of seeds, so that a number may be a single run"
    return Group(
        numbers(title, table, found, confidence),
        *reasons(found),
        f"The paper gives {seeds}. It leaves open: {escape('; '.join(table.unknown))}.",
        f"{RULE}.",
        f"The margin is {table.margin:g} ({escape(table.unit)}), plus half a unit of the last printed digit.",
        "",
    )


def numbers(title: str, table: PublishedTable, found: Sequence[Row], confidence: float) -> Table:
    """The rows alone; with a column of settings where a number is about several of the study."""
    several = len(found) > len(table.rows)
    # Without the usual space on the left, else the table is wider than 120 columns.
    shown = titled(escape(title), padding=(0, 1, 0, 0))
    longest = max(len(word) for row in found for word in row.published.method.split())
    settings = ("setting",) if several else ()
    for name in ("network", *settings, "method", "here", "paper", "last step", "best point", "n", ""):
        shown.add_column(
            name,
            overflow="fold",
            no_wrap=name not in ("setting", "method"),
            # A method's name may wrap between words, but is never cut inside of one.
            min_width=longest if name == "method" else None,
        )
    for row in found:
        printed = row.published
        cells = (
            printed.model,
            *((row.setting,) if several else ()),
            printed.method,
            printed.transform,
            f"{printed.value:.{table.decimals}f}",
            score_words(row.last, table, confidence),
            score_words(row.best, table, confidence),
            str(row.n_seeds) if row.n_seeds else "–",
            row.agreement,
        )
        shown.add_row(*map(escape, cells))
    return shown


def score_words(one: Estimate | None, table: PublishedTable, confidence: float) -> str:
    """This study's score with its interval, to the paper's decimals."""
    return "–" if one is None else worded(one, confidence, digits=f".{table.decimals}f")


SCORES = Kind(TABLES, tables_of, published_values, published_table)
