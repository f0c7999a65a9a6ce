"""Where the panels of a page stand, and its key: every panel alike, and no room left empty. Numbers only."""

from __future__ import annotations

import math
from dataclasses import dataclass

LINE = 0.125
"""Height of a line of text [inches]."""
LETTER = 0.052
"""Mean width of a letter [inches]."""
LEFT, WIDER, RIGHT, GAP = 0.5, 0.13, 0.06, 0.15
"""Room for the left axis, more of it for products; beside the last panel; between panels [inches]."""
TICKS, AXIS = 0.15, 0.14
"""Room below a panel for its numbers, and for the name of its axis [inches]."""
BAR, BAR_FOOT = 0.32, 0.17
"""Height of a colour bar with its numbers, and of the numbers [inches]. Words above it come on top."""
PART = 0.56
"""Of the page's width, that a bar takes which stands below all panels."""
ENTRY, MARK = 0.135, 0.38
"""Height of an entry of the legend, and the width of its mark [inches]."""
FLATTEST, TALLEST = 0.6, 1.15
"""Height of a panel as a share of its width, at least and at most."""

Box = tuple[float, float, float, float]
"""Left, bottom, width and height [inches]."""


@dataclass(frozen=True)
class Page:
    """Where everything stands [inches, from the lower left].

    Attributes:
        panels: one box each.
        bar: of the key's colour bar and its words.
        legend: of the key's entries.
        legend_columns: side by side.
        outer: for each panel, whether its lower and its left axis have labels.
        title_lines: characters that fit in a line above all panels; name_lines: above one of them.
    """

    width: float
    height: float
    columns: int
    panels: tuple[Box, ...]
    bar: Box
    legend: Box
    legend_columns: int
    outer: tuple[tuple[bool, bool], ...]


def columns_for(count: int, most: int) -> int:
    """How many panels stand side by side.

    One free place is best, for the key. Then none, with the key below all panels.
    """
    if count == 1:
        return 2 if most > 2 else 1
    fitting = range(2 if count <= 2 * most else most - 1, min(most, count + 1) + 1)
    preferred = {1: 0, 0: 1, 2: 2, 3: 3}
    return min(fitting, key=lambda c: (preferred[-count % c], -c))


def name_width(width: float, columns: int) -> int:
    """How many letters fit above a panel."""
    return max(12, int(((width - LEFT - RIGHT + GAP) / columns - GAP / 2) / LETTER))


def title_width(width: float) -> int:
    """How many letters fit above all panels, which are a little larger."""
    return int((width - 0.2) / (LETTER * 1.15))


def words_lines(letters: int, inches: float) -> int:
    """How many lines words above a bar take; narrow ones break badly, so one more than they need."""
    needed = math.ceil(letters * LETTER / inches)
    return needed + (needed > 1)


def page_of(
    count: int,
    shape: tuple[float, float],
    width: float,
    *,
    most: int,
    head: int,
    title: int,
    entries: int,
    longest: int,
    words: int = 40,
    products: bool = False,
) -> Page:
    """The page of so many panels.

    Args:
        shape: rows and columns of cells in each.
        width: of the page [inches].
        most: panels side by side.
        head: lines above each panel. title: lines above all.
        entries: of the legend. longest: letters of the longest one. words: letters above the bar.
        products: numbers of the left axis are like 5 x 10^-3, and need more room.
    """
    columns = columns_for(count, most)
    start = LEFT + WIDER * products
    rows, free = math.ceil(count / columns), -count % columns
    wide = (width - start - RIGHT - GAP * (columns - 1)) / columns
    high = wide * min(max(shape[0] / shape[1], FLATTEST), TALLEST)
    pitch = head * LINE + 0.04 + high + 0.07
    top = title * LINE * 1.15 + (0.05 if title else 0.02)
    foot = TICKS + AXIS
    entry = MARK + longest * LETTER
    # The free places of the last row, down to the edge of the page.
    slot_wide = free * (wide + GAP) - GAP - 0.25 if free else width - 0.3
    across = max(1, min(int((slot_wide + 0.2) / entry), entries))
    bar_high = BAR + LINE * words_lines(words, slot_wide if free else PART * width)
    spare = 0.0 if rows > 1 else foot
    lacks = bar_high + math.ceil(entries / across) * ENTRY - pitch - spare
    fits = free > 0 and lacks <= TALLEST * wide - high
    if fits:
        # Taller panels make room for the key beside them.
        high, pitch = high + max(lacks, 0.0), pitch + max(lacks, 0.0)
    else:
        across = max(1, min(int((width - 0.2) / entry), entries))
    lines = math.ceil(entries / across) if entries else 0
    below = 0.0 if fits else lines * ENTRY + 0.03
    if not free:
        below += bar_high
    height = top + rows * pitch + foot + below
    panels, outer = [], []
    for k in range(count):
        row, column = divmod(k, columns)
        bottom = height - top - row * pitch - (head * LINE + 0.04) - high
        panels.append((start + column * (wide + GAP), bottom, wide, high))
        outer.append((k + columns >= count, column == 0))
    if free:
        left = start + (columns - free) * (wide + GAP) + 0.12
        # Below the numbers of the panel above.
        slot_top = height - top - (rows - 1) * pitch - (foot if rows > 1 else 0.0)
        room = slot_top - below
        bar = (left, slot_top - bar_high, slot_wide, bar_high)
        legend = (
            (left - 0.06, below, slot_wide + 0.2, room - bar_high) if fits else (0.1, 0.0, width - 0.2, below)
        )
    else:
        bar = ((1 - PART) / 2 * width, below - bar_high, PART * width, bar_high)
        legend = (0.1, 0.0, width - 0.2, below - bar_high)
    return Page(width, height, columns, tuple(panels), bar, legend, across, tuple(outer))
