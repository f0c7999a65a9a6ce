"""Axes, cells and tiles."""

from __future__ import annotations

import math

import pytest

from search_spaces import Cell, LogAxis, Tile, decades, tiles


def cell(**changes: object) -> Cell:
    content = {
        "workload": "w",
        "optimizer": "o",
        "transform": "t",
        "constants": (),
        "lr": 0.1,
        "weight_decay": 0.0,
        "seed": 0,
        "setting": "s",
    }
    return Cell(**{**content, **changes})  # type: ignore[arg-type]


def test_log_axis_has_both_ends_and_exact_decades() -> None:
    """Whole decades are exact numbers, and the last point is the high end."""
    values = LogAxis(1e-5, 31.6227766, 2).values
    assert len(values) == 14
    assert values[0] == 1e-5
    assert values[2] == 1e-4
    assert values[-1] == pytest.approx(10**1.5)


@pytest.mark.parametrize(
    ("low", "high", "density", "word"),
    [
        (-1, 1, 1, "positive"),
        (1, 0.1, 1, "below"),
        (1, 10, 0, "at least 1"),
        (1, 5, 1, "nearest"),
        (1, math.inf, 1, "finite"),
    ],
)
def test_log_axis_refuses(low: float, high: float, density: int, word: str) -> None:
    """A bad axis says what is wrong."""
    with pytest.raises(ValueError, match=word):
        LogAxis(low, high, density)


def test_widths_add_up_to_the_axis_and_one_cell() -> None:
    """Widths of evenly spaced values are equal to the spacing; a single value has none."""
    assert decades((0.01, 0.1, 1.0)) == pytest.approx((1, 1, 1))
    assert decades((1.0, 10.0, 1000.0)) == pytest.approx((1, 1.5, 2))
    assert decades((1.0,)) == (0.0,)


def test_key_depends_on_everything_that_decides_numbers() -> None:
    """Each field changes the key; equal cells have equal keys, in any process."""
    changes: list[dict[str, object]] = [
        {},
        {"workload": "x"},
        {"optimizer": "x"},
        {"transform": "x"},
        {"constants": (("a", 1.0),)},
        {"lr": 0.2},
        {"weight_decay": 1.0},
        {"seed": 1},
        {"setting": "x"},
    ]
    assert len({cell(**change).key for change in changes}) == len(changes)
    assert cell().key == cell().key
    assert len(cell().key) == 20


def test_tiles_hold_every_cell_once_and_one_structure_each() -> None:
    """Cells of different structure never share a tile, sizes are at most the width and about equal."""
    cells = [cell(lr=lr, seed=seed, transform=name) for seed in (0, 1) for name in "ab" for lr in range(1, 8)]
    made = tiles(cells, 4)
    assert sorted(c.key for tile in made for c in tile.cells) == sorted(c.key for c in cells)
    assert {len(tile.cells) for tile in made} <= {3, 4}
    assert [tile.cells[0].seed for tile in made] == sorted(tile.cells[0].seed for tile in made)


def test_tile_refuses_mixed_structure() -> None:
    """A tile of two transforms is an error that names both."""
    with pytest.raises(ValueError, match="mixes structures"):
        Tile((cell(), cell(transform="x")))
