"""What panels of a heatmap show: values, classes, edges and marks of every transform. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from study.analysis import Analysis
from study.measures.array_types import Flags, Floats
from study.measures.axis import index_on
from study.measures.estimate import Estimate, Missing, worded
from study.measures.evidence import KINDS, Evidence
from study.measures.landscape import DIVERGED, FINISHED, Landscape
from study.measures.lr_limits import edges_by_row
from study.papers.agreement import recipe_of
from study.papers.tables import Recipe
from study.report.pictures.geometry import at_column, bottoms
from study.report.pictures.quantities import QUANTITIES, baseline, certain
from study.report.pictures.shades import (
    class_of,
    mean_metric,
    no_better,
    partly_diverged,
    special,
)

MOST_BANDS = 40
"""Rows of a grid up to which the intervals of edges are drawn. In more they would cover the cells."""
NO_BETTER = "no better than untrained"


@dataclass(frozen=True)
class Edge:
    """Where a region ends along lr in one row, mean over seeds.

    Attributes:
        end: `low` or `high`.
        place: log10 of the lr; None where the region is empty at some seed.
        beyond: the region runs out of the grid, so that the edge lies further out.
    """

    kind: str
    row: int
    end: str
    place: float | None
    interval: tuple[float, float] | None
    n_seeds: int
    beyond: bool


@dataclass(frozen=True)
class Panel:
    """One transform.

    Attributes:
        value_WL: what the cells are coloured by; NaN where a class is shown instead.
        shade_WL: the same from 0 to 1.
        classes: cells that are shown as what they are, by name.
        dots: cells of which some seeds diverged.
        stars: cells whose interval excludes 0.
        outlines: the region of each kind.
        empty: kinds of regions without a cell.
        best: row and column of the best mean over seeds; None where nothing has learned.
        published: the paper's setting, from the lower left corner [cells]; None where it is not in the grid.
        caption: the width of a region, in words.
        named: the kind of that region. Only the intervals of its edges are drawn, as those of two kinds would
            cover the cells; the table has both.
    """

    landscape: Landscape
    value_WL: Floats
    shade_WL: Floats
    classes: dict[str, Flags]
    dots: Flags
    stars: Flags
    outlines: dict[str, Flags]
    edges: tuple[Edge, ...]
    empty: tuple[str, ...]
    best: tuple[int, int] | None
    published: tuple[float, float] | None
    caption: str
    named: str = "trained"


@dataclass(frozen=True)
class Heatmap:
    """A page of panels under one colour scale.

    Attributes:
        name: a key of `QUANTITIES`.
        title: the study, the setting, and what was trained.
        words: what the colours say, and how they are scaled.
        ticks: shades with the values that they stand for.
        diverging: the scale has 0 in its middle.
        below: some cells lie below the scale, and have its lowest colour.
    """

    name: str
    title: str
    words: str
    ticks: tuple[tuple[float, str], ...]
    panels: tuple[Panel, ...]
    confidence: float
    diverging: bool = False
    below: bool = False


def heatmap(analysis: Analysis, piece: Evidence, name: str = "score") -> Heatmap | Missing:
    """What a heatmap of one setting shows, or why it shows nothing."""
    # Not the evidence's own landscapes, which are at complete seeds: a picture shows pending cells too.
    shown = [landscape for landscape in analysis.pictured if landscape.setting == piece.key]
    spec = analysis.plan.spec
    # Where steps are varied the setting's name has them.
    steps = "" if "steps" in dict(spec.conditions) else f", {spec.budget.steps} steps"
    title = f"{spec.name}: {piece.name}{steps}"
    best = {
        one.case.landscape.transform: (one.weight_decay, one.lr)
        for one in analysis.reached
        if one.case.evidence is piece and one.lr is not None and one.weight_decay is not None
    }
    return page(shown, piece, title, name, best, recipe_of(analysis, shown[0]))


def page(
    landscapes: Sequence[Landscape],
    piece: Evidence,
    title: str,
    name: str = "score",
    best: Mapping[str, tuple[float, float]] | None = None,
    recipe: Recipe | None = None,
) -> Heatmap | Missing:
    """The same of landscapes that are given.

    Args:
        best: weight decay and lr of the best cell, by transform.
    """
    found = QUANTITIES[name](landscapes, piece)
    if isinstance(found, Missing):
        return found
    drawn, values, shade, ticks, words = found
    panels = []
    for landscape, value_WL in zip(drawn, values, strict=True):
        made = _panel(landscape, piece, value_WL, np.asarray(shade(value_WL)), name)
        at = (best or {}).get(landscape.transform)
        if at is not None:
            made = replace(made, best=(landscape.weight_decay.index(at[0]), landscape.lr.index(at[1])))
        panels.append(replace(made, published=place_of(recipe, landscape) if recipe else None))
    below = any(NO_BETTER in panel.classes and panel.classes[NO_BETTER].any() for panel in panels)
    return Heatmap(
        name,
        title,
        words,
        tuple(ticks),
        tuple(panels),
        piece.tolerances.confidence,
        name == "difference",
        below,
    )


def _panel(landscape: Landscape, piece: Evidence, value_WL: Floats, shade_WL: Floats, name: str) -> Panel:
    classes = special(landscape)
    if name == "loss":
        untrained_WL = no_better(landscape, value_WL, _start(landscape.loss_initial_S), higher=False)
    else:
        start, higher = _start(landscape.untrained_S), landscape.higher_is_better
        untrained_WL = no_better(landscape, mean_metric(landscape), start, higher=higher)
    if name in ("score", "loss"):
        classes |= {NO_BETTER: untrained_WL}
    dots = (
        partly_diverged(landscape) if name in ("score", "loss", "difference") else np.zeros_like(untrained_WL)
    )
    stars = np.zeros_like(untrained_WL)
    if name in ("outcomes", "steps"):
        # Where a share or a step is known it is shown, and says more than the class.
        classes = {key: place & ~np.isfinite(value_WL) for key, place in classes.items()}
    if name == "steps":
        classes |= {"no seed diverged": ~np.isfinite(value_WL) & (class_of(landscape) == FINISHED)}
    if name == "difference":
        base = baseline(list(piece.landscapes.values()))
        mine = piece.landscapes[landscape.transform]
        stars = certain(mine, base, piece.tolerances.confidence) & np.isfinite(value_WL)
        classes |= {
            "no pair of seeds": ~np.isfinite(value_WL) & ~np.logical_or.reduce(list(classes.values()))
        }
    regions = {
        kind: found
        for kind in KINDS
        if (found := piece.regions.get((landscape.transform, kind, "own"))) is not None
    }
    edges: list[Edge] = []
    if name == "score" and len(landscape.weight_decay) <= MOST_BANDS and len(landscape.lr) > 1:
        for kind, found in regions.items():
            edges += edges_of(found, kind, piece.tolerances.confidence)
    return Panel(
        landscape,
        value_WL,
        shade_WL,
        classes,
        dots,
        stars,
        {} if name in ("difference", "steps") else {kind: found.inside_WL for kind, found in regions.items()},
        tuple(edges),
        tuple(kind for kind, found in regions.items() if not found.inside_WL.any()),
        None,
        None,
        caption(piece, landscape, in_tenths),
        piece.widest,
    )


def _start(value_S: Floats) -> float:
    """The mean over seeds of an untrained network's number."""
    known_S = value_S[np.isfinite(value_S)]
    return float(known_S.mean()) if len(known_S) else math.nan


def edges_of(region: Any, kind: str, confidence: float) -> Iterator[Edge]:
    """Both ends of a region in every row."""
    for end, last in (("low", False), ("high", True)):
        for row, found in enumerate(edges_by_row(region, last=last)):
            if found is None:
                yield Edge(kind, row, end, None, None, 0, beyond=False)
            else:
                beyond = found.lower_bound or found.upper_bound
                yield Edge(kind, row, end, found.mean, found.interval(confidence), found.n, beyond)


def caption(
    evidence: Evidence,
    landscape: Landscape,
    say: Callable[[Estimate | Missing, float], str],
    one: str = "one lr",
) -> str:
    """The lr width of the widest kind of region that is known.

    Args:
        say: writes a number with its interval of so much confidence.
        one: what is said of a single learning rate.
    """
    kind = evidence.widest
    found = evidence.regions.get((landscape.transform, kind, "own"))
    if found is None:
        return "no complete seed yet"
    if not found.inside_SWL.any():
        return f"no {kind} region"
    if len(landscape.lr) < 2:
        return f"{one}: no width"
    return f"{kind} {say(found.lr_width, evidence.tolerances.confidence)} decades"


def in_tenths(found: Estimate | Missing, confidence: float) -> str:
    """A number as there is room for above a panel."""
    return found.reason if isinstance(found, Missing) else worded(found, confidence, digits=".1f")


def place_of(recipe: Recipe, landscape: Landscape) -> tuple[float, float] | None:
    """Where a paper's setting stands in a panel, if it lies within its axes [cells]."""
    lr, decays = landscape.lr, landscape.weight_decay
    column, at_row = index_on(lr, recipe.lr), index_on(decays, recipe.weight_decay)
    # A border may be one rounding inside of what the paper prints.
    rate = recipe.lr if column is None else lr[column]
    if not lr[0] <= rate <= lr[-1]:
        return None
    if at_row is not None:
        row = bottoms(landscape)[at_row] + 0.5
    elif not decays[0] <= recipe.weight_decay <= decays[-1]:
        return None
    else:
        positive = [value for value in decays if value > 0]
        if recipe.weight_decay < positive[0]:
            return None
        offset = bottoms(landscape)[len(decays) - len(positive)]
        row = at_column(positive, math.log10(recipe.weight_decay)) + offset
    return at_column(lr, math.log10(rate)), float(row)


def table_of(shown: Heatmap) -> list[dict[str, Any]]:
    """The numbers behind a heatmap, one row per cell."""
    rows: list[dict[str, Any]] = []
    for panel in shown.panels:
        one = panel.landscape
        finished_WL = (one.outcome_SWL == FINISHED).sum(axis=0)
        diverged_WL = (one.outcome_SWL == DIVERGED).sum(axis=0)
        for w, weight_decay in enumerate(one.weight_decay):
            for c, lr in enumerate(one.lr):
                names = [name for name, place in panel.classes.items() if place[w, c]]
                row: dict[str, Any] = {"transform": one.transform, "lr": lr, "weight_decay": weight_decay}
                row |= {shown.name: float(panel.value_WL[w, c]), "shown_as": "; ".join(names) or "value"}
                row |= {"finished": int(finished_WL[w, c]), "diverged": int(diverged_WL[w, c])}
                row |= {"seeds": len(one.seeds)}
                row |= {f"{kind}_region": bool(place[w, c]) for kind, place in panel.outlines.items()}
                if shown.diverging:
                    row["excludes_0"] = bool(panel.stars[w, c])
                row |= {"best": panel.best == (w, c), "label": one.title}
                rows.append(row)
    return rows


def edge_table(shown: Heatmap) -> list[dict[str, Any]]:
    """The edges behind a heatmap with their intervals, as lr; one row per transform, kind, row and end."""
    rows: list[dict[str, Any]] = []
    for panel in shown.panels:
        for edge in panel.edges:
            low, high = edge.interval or (math.nan, math.nan)
            rows.append(
                {
                    "transform": panel.landscape.transform,
                    "kind": edge.kind,
                    "weight_decay": panel.landscape.weight_decay[edge.row],
                    "end": edge.end,
                    "lr": math.nan if edge.place is None else 10**edge.place,
                    "lr_low": 10**low,
                    "lr_high": 10**high,
                    "confidence": shown.confidence,
                    "seeds": edge.n_seeds,
                    "beyond_the_grid": edge.beyond,
                    "label": panel.landscape.title,
                }
            )
    return rows
