"""One row of a grid: what is known of it, what follows for the rest, and which cells to ask for next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

Span = tuple[int, int]
"""First and last column of a region in a row."""


def inferred(known: Mapping[int, int], columns: int) -> list[int]:
    """The class of every column: that of the nearest known one, and of the left one halfway between two.

    Once every two known neighbours of different class touch, this says that a cell between two of equal class
    is like them.
    """
    places = sorted(known)
    result = []
    at = 0
    for column in range(columns):
        while at + 1 < len(places) and abs(places[at + 1] - column) < abs(places[at] - column):
            at += 1
        result.append(known[places[at]])
    return result


def longest(found: Iterable[Span]) -> Span | None:
    """The longest of some runs, the first one among equals, or None."""
    return max(found, key=lambda run: run[1] - run[0], default=None)


def span(known: Mapping[int, int], level: int) -> Span | None:
    """The longest run of known columns of at least this class, or None where no column has it."""
    return longest(runs(known, level))


def runs(known: Mapping[int, int], level: int) -> Iterator[Span]:
    """Runs of known columns of at least this class, from left to right."""
    start = last = None
    for column in sorted(known):
        if known[column] >= level:
            start, last = (column if start is None else start), column
        elif start is not None and last is not None:
            yield start, last
            start = None
    if start is not None and last is not None:
        yield start, last


def next_columns(known: Mapping[int, int], level: int, guess: Span | None, columns: int) -> set[int]:
    """What to ask for so that the edges of a class become known: nothing when they are.

    The gap between two known neighbours, one inside and one outside, is halved. Where there is a guess, the
    search starts there with steps that double: near a good guess that takes fewer batches than halving. It
    goes beyond the outermost known column as long as that one is inside.
    """
    places = sorted(known)
    wanted = set()
    for a, b in pairwise(places):
        if b - a > 1 and (known[a] >= level) != (known[b] >= level):
            wanted.add(between(a, b, _left_of_edge(guess, rises=known[b] >= level)))
    if places and guess is not None:
        if known[places[0]] >= level and places[0] > 0:
            wanted.add(max(0, places[0] - max(1, guess[0] - places[0])))
        if known[places[-1]] >= level and places[-1] < columns - 1:
            wanted.add(min(columns - 1, places[-1] + max(1, places[-1] - guess[1])))
    return wanted


def _left_of_edge(guess: Span | None, *, rises: bool) -> int | None:
    """The column to the left of a guessed edge: the last one outside where it rises, else the last inside."""
    if guess is None:
        return None
    return guess[0] - 1 if rises else guess[1]


def between(a: int, b: int, guess: int | None) -> int:
    """A column strictly between a and b: the middle, or nearer to the column guessed left of the edge."""
    middle = (a + b) // 2
    if guess is None:
        return middle
    if guess <= a:  # the edge lies to the right of the guess
        return min(middle, a + max(1, a - guess))
    if guess + 1 >= b:
        return max(middle, b - max(1, b - guess - 1)) if b - a > 2 else middle
    return middle


def frays(known: Mapping[int, int], level: int) -> set[int]:
    """The columns between the longest run of a class and its strays, known ones too; empty without strays."""
    found = list(runs(known, level))
    main = longest(found)
    if main is None or len(found) == 1:
        return set()
    return set(range(found[0][0], main[0])) | set(range(main[1] + 1, found[-1][1] + 1))


def quarters(guess: Span) -> set[int]:
    """Three columns inside of a span, evenly."""
    return {guess[0] + (guess[1] - guess[0]) * k // 4 for k in (1, 2, 3)}
