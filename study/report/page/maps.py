"""The maps of a setting as geometry: cells, borders of regions, ticks. The template makes SVG of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from study.best import Best
from study.measures.array_types import Flags
from study.measures.evidence import Evidence
from study.measures.landscape import DIVERGED, FINISHED, INFERRED, STATES, Landscape
from study.report.page.views import CODES, NOTHING, View
from study.report.page.wording import number, place, tick, worded
from study.report.pictures.geometry import blocks, borders, bottoms, tick_places
from study.report.pictures.panels import caption
from study.report.pictures.shades import class_of, partly_diverged

LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 6.0, 36.0
"""Margins of a map [px at its full size]."""
WIDEST, TALLEST, LEAST = 246.0, 220.0, 70.0
"""Of the cells together [px]."""
LARGEST_CELL = 34.0
OUTLINES = ("trained", "competitive")


@dataclass(frozen=True)
class Geometry:
    """Where the cells of a landscape stand.

    Attributes:
        cell_width, cell_height: [px].
        top_W: distance of each row from the top of the map [cells].
        tall: height of all rows with the gap above weight decay 0 [cells].
    """

    columns: int
    cell_width: float
    cell_height: float
    top_W: tuple[float, ...]
    tall: float

    @property
    def width(self) -> float:
        return LEFT + self.columns * self.cell_width + RIGHT

    @property
    def height(self) -> float:
        return TOP + self.tall * self.cell_height + BOTTOM

    def x(self, column: float) -> float:
        """Where a column begins [px]."""
        return round(LEFT + column * self.cell_width, 2)

    def y(self, row: float) -> float:
        """Where a row begins [px]."""
        return round(TOP + row * self.cell_height, 2)


@dataclass(frozen=True)
class Panel:
    """One transform's map.

    Attributes:
        fills, patterns: letter of a view, and the path of all its cells; fills in cells, patterns in px.
        dots: a path with a stroke, a piece of their pattern, at each cell of which some seeds diverged.
        outlines: kind of region, and the path of its border, in cells.
        best: centre of the best cell [px]; None where there is none.
        printed: centre of the cell of a published table [px].
        columns: the learning rates, in words.
        table: one row per weight decay, the largest first, with what each cell shows.
    """

    name: str
    landscape: Landscape
    geometry: Geometry
    fills: list[tuple[str, str]]
    patterns: list[tuple[str, str]]
    dots: str
    outlines: list[tuple[str, str]]
    best: tuple[float, float] | None
    printed: tuple[float, float] | None
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    caption: str
    columns: list[str]
    table: list[tuple[str, list[str]]]


def geometry_of(landscape: Landscape) -> Geometry:
    """Cells about square, so that every panel of a setting has the same size."""
    columns, bottom_W = len(landscape.lr), bottoms(landscape)
    tall = float(bottom_W.max()) + 1
    width = min(LARGEST_CELL, WIDEST / columns)
    height = min(LARGEST_CELL, max(1.15 * width, LEAST / tall), TALLEST / tall)
    tops = tuple((tall - 1 - bottom_W).round(3).tolist())
    return Geometry(columns, round(width, 3), round(height, 3), tops, round(tall, 3))


def panel(
    landscape: Landscape,
    evidence: Evidence,
    view: View,
    index: int,
    best: Best | None,
    printed: tuple[int, int] | None,
) -> Panel:
    """The map of one landscape.

    Args:
        index: of the landscape within the view.
        printed: column and row of a paper's setting; None where the grid has none.
    """
    at = geometry_of(landscape)
    letters = view.letters[index]
    patterns = set(CODES.values())
    marked = None
    if best is not None and best.lr is not None and best.weight_decay is not None:
        marked = landscape.lr.index(best.lr), landscape.weight_decay.index(best.weight_decay)
    outlines = []
    for kind in OUTLINES:
        found = evidence.regions.get((landscape.transform, kind, "own"))
        if found is not None and found.inside_WL.any():
            outlines.append((kind, outline(landscape, found.inside_WL)))
    dots = "".join(
        f"M{c + 0.3} {at.top_W[w] + 0.7:g}l.4-.4"
        for w, c in np.argwhere(partly_diverged(landscape) & (view.name == "score")).tolist()
    )
    return Panel(
        name=landscape.title,
        landscape=landscape,
        geometry=at,
        fills=list(paths(letters, at, set(letters) - patterns - {NOTHING}, in_px=False)),
        patterns=list(paths(letters, at, set(letters) & patterns, in_px=True)),
        dots=dots,
        outlines=outlines,
        best=centre(at, *marked) if marked else None,
        printed=centre(at, *printed) if printed else None,
        x_ticks=[(at.x(k + 0.5), tick(landscape.lr[k])) for k in tick_places(landscape.lr)],
        y_ticks=[
            (at.y(at.top_W[k] + 0.5), tick(landscape.weight_decay[k]))
            for k in tick_places(landscape.weight_decay)
        ],
        caption=caption(evidence, landscape, worded, one="one learning rate"),
        columns=[place(value) for value in landscape.lr],
        table=table(landscape, view, index),
    )


def centre(at: Geometry, column: int, row: int) -> tuple[float, float]:
    """The middle of a cell [px]."""
    return at.x(column + 0.5), at.y(at.top_W[row] + 0.5)


def paths(letters: str, at: Geometry, wanted: set[str], *, in_px: bool) -> Iterator[tuple[str, str]]:
    """One path per letter, in which neighbours of a row are one rectangle."""
    drawn: dict[str, list[str]] = {letter: [] for letter in sorted(wanted)}
    for row, top in enumerate(at.top_W):
        line = letters[row * at.columns : (row + 1) * at.columns]
        start = 0
        for column in range(1, at.columns + 1):
            if column < at.columns and line[column] == line[start]:
                continue
            if line[start] in drawn:
                drawn[line[start]].append(rectangle(at, start, top, column - start, in_px=in_px))
            start = column
    for letter, parts in drawn.items():
        yield letter, "".join(parts)


def rectangle(at: Geometry, column: int, top: float, length: int, *, in_px: bool) -> str:
    """So many cells of a row as a part of a path."""
    if not in_px:
        return f"M{column} {top:g}h{length}v1h-{length}z"
    # Patterns have the size of a pixel only where the axes are not stretched.
    wide, high = f"{length * at.cell_width:.2f}", f"{at.cell_height:.2f}"
    return f"M{at.x(column)} {at.y(top)}h{wide}v{high}h-{wide}z"


def outline(landscape: Landscape, inside_WL: Flags) -> str:
    """The border of a region [cells], with a border of its own around weight decay 0."""
    bottom_W = bottoms(landscape)
    tall = float(bottom_W.max()) + 1
    parts = []
    for rows in blocks(landscape):
        for (x, y), (to_x, to_y) in borders(inside_WL[rows]):
            upper = tall - float(bottom_W[rows.start])
            parts.append(f"M{x} {upper - y:g}L{to_x} {upper - to_y:g}")
    return "".join(parts)


def table(landscape: Landscape, view: View, index: int) -> list[tuple[str, list[str]]]:
    """What every cell shows, in words."""
    shown, words = class_of(landscape), np.array(STATES)
    value_WL = view.value_WL[index]
    diverged = (landscape.outcome_SWL == DIVERGED).sum(axis=0)
    inside = None if landscape.class_SWL is None else np.asarray((landscape.class_SWL > 0).all(axis=0))
    rows = []
    for w in reversed(range(len(landscape.weight_decay))):
        cells = []
        for c in range(len(landscape.lr)):
            state = int(shown[w, c])
            if state == FINISHED:
                some = f" ({diverged[w, c]} diverged)" if diverged[w, c] else ""
                cells.append(f"{number(float(value_WL[w, c]))}{some}")
            elif state == INFERRED and inside is not None:
                cells.append("inferred inside" if inside[w, c] else "inferred outside")
            else:
                cells.append(str(words[state]))
        rows.append((place(landscape.weight_decay[w]), cells))
    return rows
