"""Votes on the class of a point near a frayed edge, where the nearest observed point is a coin toss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

ROW_SIGMA, COLUMN_SIGMA = 2.0, 0.5
"""How fast an observed point loses its say with distance [rows, columns].

An edge is at nearly the same column in rows that are near, so a row away says more than a column away.
"""
ROW_REACH, COLUMN_REACH = 3, 2
"""How far away observed points still vote [rows, columns]."""
OWN_VOTE = 0.5
"""What the class that follows from the point's own row counts; one observed on the spot would count 1."""
WEIGHTS = {
    (r, c): math.exp(-((r / ROW_SIGMA) ** 2 + (c / COLUMN_SIGMA) ** 2) / 2)
    for r, c in product(range(-ROW_REACH, ROW_REACH + 1), range(-COLUMN_REACH, COLUMN_REACH + 1))
}
"""What an observed point counts, by its distance."""


def likeliest(
    point: tuple[int, int, int], own: int, classes: Mapping[tuple[int, int, int], int]
) -> tuple[int, float]:
    """The class with the most votes, and the share of the votes for another one.

    An observed point votes for its class, with the weight

        exp(-(Δrow² / ROW_SIGMA² + Δcolumn² / COLUMN_SIGMA²) / 2)

    Args:
        own: the class that follows from the point's own row.
        classes: of the observed points.
    """
    layer, row, column = point
    votes = {own: OWN_VOTE}
    for (r, c), weight in WEIGHTS.items():
        value = classes.get((layer, row + r, column + c))
        if value is not None:
            votes[value] = votes.get(value, 0.0) + weight
    winner = max(votes, key=lambda value: votes[value])
    return winner, 1 - votes[winner] / sum(votes.values())
