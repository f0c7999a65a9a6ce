"""Where the best scores of a stack of grids lie: regions that are measured against the best need it early."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping

from search_spaces.knowledge import Knowledge, Point
from search_spaces.rows import span

Place = tuple[int, int]
"""(row, column), in all layers."""
Sought = Callable[[Mapping[Point, float]], Collection[Place]]
"""The places that are still needed to know the best score, given what is told: none when it is known."""
SPREAD_FLOOR = 0.005
"""Least deviation that is expected among good scores, as a share of their mean: it keeps the search from settling at once."""


def means(known: Knowledge) -> dict[Place, float]:
    """The mean score over layers of every place that is told in all of them."""
    found: dict[Place, list[float]] = {}
    for (_, row, column), score in sorted(known.told.items()):
        found.setdefault((row, column), []).append(score)
    return {
        place: sum(scores) / len(scores) for place, scores in found.items() if len(scores) == known.layers
    }


def best_place(known: Knowledge) -> Place:
    """The place with the best mean score."""
    found = means(known)
    return max(found, key=lambda place: found[place])


def chances(known: Knowledge) -> dict[int, tuple[float, float]]:
    """Mean and deviation of the better half of the mean scores in and beside each column, where there are some."""
    reach = max(1, round(known.columns / 32))
    scores = [(column, mean) for (_, column), mean in means(known).items() if mean > -math.inf]
    found = {}
    for column in range(known.columns):
        near = sorted((mean for c, mean in scores if abs(c - column) <= reach), reverse=True)
        if near:
            best = near[: (len(near) + 1) // 2]
            mean = sum(best) / len(best)
            floor = SPREAD_FLOOR * abs(mean)
            found[column] = (
                mean,
                math.sqrt((sum((score - mean) ** 2 for score in best) + 2 * floor**2) / (len(best) + 1)),
            )
    return found


def draws(known: Knowledge, solved: Collection[int], count: int, generator: random.Random) -> set[Place]:
    """Places where the best score may be: in random rows, in the column that a draw of every column's score favours.

    Args:
        solved: rows whose spans of the highest class bound the draws.

    Reference: Thompson, "On the likelihood that one unknown probability exceeds another", 1933, with normal scores.
    """
    top = max(known.classes.values())
    spans = {row: found for row in solved if (found := span(known.lines.get((0, row), {}), top))}
    likely = chances(known)
    wanted = set()
    for _ in range(count if spans else 0):
        row = generator.randint(min(spans), max(spans))
        first, last = spans[min(spans, key=lambda one: abs(one - row))]
        drawn = {
            column: generator.gauss(*likely[column]) for column in range(first, last + 1) if column in likely
        }
        if drawn:
            wanted.add((row, max(drawn, key=lambda column: drawn[column])))
    return wanted
