"""Edge-seeking designs on planted landscapes whose truth is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import pytest

from search_spaces import EdgeDesign, Point, Sizes

Landscape = Callable[[Point], float]


def above(level: float) -> Callable[[Mapping[Point, float]], dict[Point, int]]:
    """Inside where the score is at least this."""
    return lambda told: {point: int(score >= level) for point, score in told.items()}


def near_best(told: Mapping[Point, float]) -> dict[Point, int]:
    """Inside where the score is within 5 % of the best one told so far."""
    best = max(told.values())
    return {point: int(score >= 0.95 * best) for point, score in told.items()}


def band(low: float = 0.3, high: float = 0.6, tilt: float = 0.15, size: int = 32) -> Landscape:
    """Score 1 between two tilted edges that meet at 0.9 of the rows; 0 beyond, falling left, -inf right."""

    def score(point: Point) -> float:
        _, row, column = point
        y, x = row / size, column / size
        first, last = low + tilt * y, high - max(0.0, y - 0.5) * (high - low - tilt) / 0.4 * 0.9
        if y > 0.9:
            return 0.0
        if x > last:
            return -math.inf
        return min(1.0, 1.0 - 2 * (first - x))

    return score


def seek(
    landscape: Landscape,
    classify: Callable[..., Mapping[Point, int]],
    shape: tuple[int, int, int],
    seed: int = 0,
    sizes: Sizes | None = None,
) -> EdgeDesign:
    """Run a design to its end; fails when it asks for a point twice."""
    design, asked = EdgeDesign(*shape, classify, seed=seed, sizes=sizes), set[Point]()
    while batch := design.ask():
        assert not asked & set(batch)
        asked |= set(batch)
        design.tell({point: landscape(point) for point in batch})
    assert design.done
    return design


def wrong(design: EdgeDesign, landscape: Landscape, level: float) -> list[Point]:
    """The points whose class differs from the planted one; every point has a class."""
    classes = design.classes()
    assert len(classes) == design.known.layers * design.known.rows * design.known.columns
    return [point for point, value in classes.items() if value != (landscape(point) >= level)]


@pytest.mark.parametrize(("size", "factor"), [(32, 5), (64, 10), (128, 20)])
def test_smooth_region_is_found_exactly(size: int, factor: int) -> None:
    """Two clean edges: at most one cell in 300 is wrong, with 5, 10 or 20 times fewer cells than the grid."""
    landscape = band(size=size)
    design = seek(landscape, above(0.9), (1, size, size))
    assert len(wrong(design, landscape, 0.9)) <= size**2 / 300
    assert size**2 / len(design.known.told) >= factor
    assert design.audit.away >= 8
    assert design.audit.away_wrong == 0


def frayed(width: float, size: int, seed: int = 1) -> Landscape:
    """The band, with a high edge that is noisy by a width [share of the axis]; equal calls are equal."""
    smooth = band(size=size)

    def score(point: Point) -> float:
        layer, row, column = point
        shift = random.Random(f"{seed} {point}").gauss(0, width)
        moved = column if column / size < 0.45 else round(column + shift * size)
        return smooth((layer, row, moved))

    return score


def test_rows_that_jump_are_found_again() -> None:
    """Edges jump by a column from row to row: where a row was expected inside and is not, it is searched."""
    landscape = frayed(0.01, 32)
    design = seek(landscape, above(0.9), (1, 32, 32))
    assert len(wrong(design, landscape, 0.9)) <= 3


def test_frayed_edge_is_inferred_by_majority() -> None:
    """The high edge is noise over several columns, another in each layer: 99 % of the cells are right."""
    landscape = frayed(0.03, 32)
    design = seek(landscape, above(0.9), (3, 32, 32))
    assert len(wrong(design, landscape, 0.9)) <= 0.01 * 3 * 32**2
    assert 3 * 32**2 / len(design.known.told) >= 4
    assert design.audit.filled


def test_reference_that_improves_moves_every_class() -> None:
    """The best score is a narrow peak: classes follow the best score that is known in the end."""

    def score(point: Point) -> float:
        _, row, column = point
        return math.exp(-(((column - 14) / 8) ** 2) / 2) + (
            0.2 if abs(column - 14) + abs(row - 9) < 3 else 0.0
        )

    design = seek(score, near_best, (1, 32, 32))
    best = max(design.known.told.values())
    assert best == pytest.approx(1.2)
    truth = {
        (0, row, column): int(score((0, row, column)) >= 0.95 * best)
        for row in range(32)
        for column in range(32)
    }
    assert design.classes() == truth


def test_row_with_a_wide_hole_falls_back() -> None:
    """A hole across some rows of a region is no unimodal row: these rows are trained whole, and say so."""
    smooth = band(0.1, 0.9, 0.0)

    def holed(point: Point) -> float:
        return 0.0 if 8 <= point[1] <= 14 and 12 <= point[2] <= 18 else smooth(point)

    design = seek(holed, above(0.9), (1, 32, 32))
    assert {(0, row) for row in range(8, 15)} <= design.audit.fell_back
    assert all((0, 10, column) in design.known.told for column in range(32))
    assert not wrong(design, holed, 0.9)


def test_audit_counts_what_is_scattered() -> None:
    """One cell in six is flipped at random, which no edge explains: the audit finds cells that disagree."""
    smooth = band()

    def scattered(point: Point) -> float:
        flip = random.Random(f"flip {point}").random() < 1 / 6
        return (0.0 if smooth(point) >= 0.9 else 1.0) if flip else smooth(point)

    design = seek(scattered, above(0.9), (1, 32, 32), sizes=Sizes(4, 6, 2, 16, 60, 4))
    assert design.audit.fell_back
    assert design.audit.away_wrong > 0


@pytest.mark.parametrize("value", [0.0, 1.0, -math.inf])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (1, 9, 1), (3, 2, 3), (1, 14, 6)])
def test_flat_and_tiny_grids_end(value: float, shape: tuple[int, int, int]) -> None:
    """Nothing inside, everything inside, all diverged, a cell, a row: the design ends, and classifies all."""
    design = seek(lambda point: value, above(0.5), shape)
    assert set(design.classes().values()) == {int(value >= 0.5)}


def test_region_that_runs_out_of_the_grid() -> None:
    """A region that touches three borders is found, without asking beyond them."""
    landscape = band(-0.5, 0.7, 0.0)
    design = seek(landscape, above(0.9), (1, 32, 32))
    assert not wrong(design, landscape, 0.9)


def test_nested_regions() -> None:
    """Two classes at once: the wider region and the narrower one in it, each with both edges."""
    landscape = band()

    def two(told: Mapping[Point, float]) -> dict[Point, int]:
        return {point: (score >= 0.7) + (score >= 0.95) for point, score in told.items()}

    classes = seek(landscape, two, (1, 32, 32)).classes()
    off = [
        point
        for point, value in classes.items()
        if value != (landscape(point) >= 0.7) + (landscape(point) >= 0.95)
    ]
    assert len(off) <= 10


def test_design_is_a_function_of_what_it_was_told() -> None:
    """Told at once or point by point, in any order, the same batches come: a restart goes on from there."""
    landscape = frayed(0.03, 32)
    once = seek(landscape, near_best, (2, 32, 32), seed=5)
    again = EdgeDesign(2, 32, 32, near_best, seed=5)
    while batch := again.ask():
        for point in reversed(batch):
            assert point in again.ask()
            again.tell({point: landscape(point)})
    assert again.known.told == once.known.told
    assert again.classes() == once.classes()
    assert (again.audit, again.batches) == (once.audit, once.batches)


def test_off_the_grid_is_refused() -> None:
    """A point that is not on the grid is named, and so is a grid without rows."""
    with pytest.raises(ValueError, match=r"\(0, 0, 4\).*1 x 2 x 4"):
        EdgeDesign(1, 2, 4, above(0.5)).tell({(0, 0, 4): 1.0})
    with pytest.raises(ValueError, match="0 rows"):
        EdgeDesign(1, 0, 4, above(0.5))
