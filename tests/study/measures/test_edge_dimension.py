"""Dimensions of edges: of known ones, and where there is none to be told."""

from __future__ import annotations

import numpy as np
import pytest

from study.measures.edge_dimension import Dimension, by_boxes, by_pairs
from study.measures.estimate import Missing
from tests.tools.edge_sets import SETS


@pytest.mark.parametrize(
    ("name", "measure"),
    [("line", by_boxes), ("line", by_pairs), ("Koch", by_boxes), ("Koch", by_pairs), ("noise", by_pairs)],
)
def test_known_edges(name: str, measure: object) -> None:
    """A line has 1, a Koch curve 1.26, chance 2 by pairs: within the interval, which is narrower than 0.3."""
    draw, truth = SETS[name]
    assert callable(measure)
    found = measure(draw(128, np.random.default_rng(1)))
    assert isinstance(found, Dimension)
    assert found.low - 1e-9 <= truth <= found.high + 1e-9
    assert found.high - found.low < 0.3
    assert found.low <= found.value <= found.high
    assert found.n > 0


@pytest.mark.parametrize("measure", [by_boxes, by_pairs])
def test_a_picture_tells_the_same_from_every_side(measure: object) -> None:
    """Turned and with both kinds exchanged, the number is the same."""
    picture = SETS["Koch"][0](128, np.random.default_rng(2))
    assert callable(measure)
    values = [measure(one).value for one in (picture, ~picture, picture.T)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)


SPECK = np.zeros((128, 128), bool)
SPECK[64, 64] = True


@pytest.mark.parametrize("name", ["noise", "stripes"])
def test_boxes_give_no_number_of_a_dense_edge(name: str) -> None:
    """Where nearly every box meets the edge their slope is that of the picture, 2."""
    found = by_boxes(SETS[name][0](128, np.random.default_rng(1)))
    assert isinstance(found, Missing)
    assert found.reason.startswith("the edge is too dense")


def test_pairs_give_no_number_of_a_speck() -> None:
    """One cell parts four pairs, whose share tells nothing of an edge."""
    found = by_pairs(SPECK)
    assert isinstance(found, Missing)
    assert found.reason == "needs 64 pairs of cells that end differently, found 4"


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (np.zeros((128, 128), bool), "no edge in this window"),
        (np.ones((16, 16), bool), "no edge in this window"),
        (np.tri(64, dtype=bool), "needs 128 points along each axis, found 64"),
        (SPECK, "needs 8 boxes of 16 cells that the edge meets"),
    ],
)
def test_no_dimension(picture: np.ndarray, why: str) -> None:
    """Without an edge, with few points, or with an edge that is a speck there is a reason and no number."""
    found = by_boxes(picture)
    assert isinstance(found, Missing)
    assert found.reason.startswith(why)
