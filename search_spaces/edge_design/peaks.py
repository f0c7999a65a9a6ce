"""Where the best scores of a stack of grids lie: regions that are measured against the best need it early."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping

from search_spaces.edge_design.knowledge import Knowledge, Place, Point
from search_spaces.edge_design.rows import span
from search_spaces.edge_design.sizes import Sizes

Sought = Callable[[Mapping[Point, float]], Collection[Place]]
"""The places that are still needed to know the best score, given what is observed: none when it is known."""
SPREAD_FLOOR = 0.005
"""Least deviation that is expected among good scores, as a share of their mean.

Without it a column of equal scores would have none, and the search would settle at once.
"""
RIDGE_BATCHES = 4
"""Batches in which the best score is drawn for: eight gave the same classes, in more rounds."""
SOUGHT_BATCHES = 12
"""Most batches in which the best score is sought."""


def climb(known: Knowledge, sizes: Sizes) -> Iterator[Collection[Point]]:
    """What surrounds the best place, nearer each time."""
    down = known.rows / max(1, sizes.rows - 1)
    across = known.columns / max(1, sizes.columns - 1)
    for _ in range(sizes.climb):
        down, across = down / 2, across / 2
        row, column = best_place(known)
        yield known.in_all_layers(
            (round(row + r), round(column + c)) for r, c in ((0, -across), (0, across), (-down, 0), (down, 0))
        )


def seek(known: Knowledge, sought: Sought) -> Iterator[Collection[Point]]:
    """What the rule that classes follow needs to know the best score."""
    for _ in range(SOUGHT_BATCHES):
        places = sought(known.told)
        if not places:
            return
        yield known.in_all_layers(places)


def ridge(
    known: Knowledge, sizes: Sizes, rows: Collection[int], generator: random.Random
) -> Iterator[Collection[Point]]:
    """Draws for the best score, since regions are measured against it; see `draws`."""
    for _ in range(RIDGE_BATCHES):
        known.update()
        yield known.in_all_layers(draws(known, rows, math.ceil(sizes.ridge / RIDGE_BATCHES), generator))


def draws(known: Knowledge, solved: Collection[int], count: int, generator: random.Random) -> set[Place]:
    """Places where the best score may be, each in a random row.

    Every column's score is drawn from its normal distribution, and the column with the highest draw is taken.

    Args:
        solved: rows whose spans of the highest class bound the draws.

    Reference: Thompson, "On the likelihood that one unknown probability exceeds another", 1933, with normal
        scores.
    Differs from the reference: the scores in and beside a column stand for what is believed of it
        (`chances`), and many draws are taken before the first result is used.
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


def chances(known: Knowledge) -> dict[int, tuple[float, float]]:
    """Mean and deviation of the better half of the scores in and beside each column, where there are some."""
    reach = max(1, round(known.columns / 32))
    scores = [(column, mean) for (_, column), mean in means(known).items() if mean > -math.inf]
    found = {}
    for column in range(known.columns):
        near = sorted((mean for c, mean in scores if abs(c - column) <= reach), reverse=True)
        if near:
            best = near[: (len(near) + 1) // 2]
            mean = sum(best) / len(best)
            floor = SPREAD_FLOOR * abs(mean)
            # Two further scores at the floor's distance: one score alone would have the deviation 0.
            variance = (sum((score - mean) ** 2 for score in best) + 2 * floor**2) / (len(best) + 1)
            found[column] = mean, math.sqrt(variance)
    return found


def best_place(known: Knowledge) -> Place:
    """The place with the best mean score."""
    found = means(known)
    return max(found, key=lambda place: found[place])


def means(known: Knowledge) -> dict[Place, float]:
    """The mean score over layers of every place that is observed in all of them."""
    found: dict[Place, list[float]] = {}
    for (_, row, column), score in sorted(known.told.items()):
        found.setdefault((row, column), []).append(score)
    return {
        place: sum(scores) / len(scores) for place, scores in found.items() if len(scores) == known.layers
    }
