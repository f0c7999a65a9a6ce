"""Fine maps: ranks, how near a cell is to the edge, and what stands in for unknown cells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from study.measures.fine_map import FineMap, filled, size_of, stretched
from study.measures.landscape import DIVERGED, FINISHED, PENDING
from tests.making import RECORD


def test_ranks_use_the_whole_scale() -> None:
    """Ranks go from 0 to 1 whatever the numbers are, equal numbers are equal, and others are not touched."""
    values = np.array([[1e-9, 5.0, 5.0], [1e9, 7.0, np.nan]])
    found = stretched(values, np.array([[True, True, True], [True, False, False]]))
    assert found[0].tolist() == pytest.approx([0, 0.5, 0.5])
    assert found[1, 0] == 1
    assert np.isnan(found[1, 1:]).all()


def test_unknown_cells_show_the_next_coarser_one() -> None:
    """Blocks stand for their lower left cell; where the coarsest round lacks one, they stay empty."""
    known = np.zeros((4, 4), bool)
    known[::2, ::2] = True
    values = np.where(known, np.arange(16).reshape(4, 4), -1)
    assert filled(values, known, 2).tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [8, 8, 10, 10], [8, 8, 10, 10]]
    known[2, 2] = False
    values[2, 2] = -1
    assert (filled(values, known, 2)[2:, 2:] == -1).all()


def test_losses_tell_how_near_the_edge_is() -> None:
    """The larger a finished cell's losses and the later a diverged cell's end, the nearer both are."""
    low = replace(RECORD, curve=((0, 2.3, 0.1), (5, 1.0, 0.5), (10, 0.1, 0.9)))
    high = replace(RECORD, curve=((0, 2.3, 0.1), (5, 2.2, 0.5), (10, 2.0, 0.9)))
    assert size_of(low) < size_of(high) < 1
    gone = replace(
        RECORD, outcome="diverged", diverged_step=2, curve=((0, 2.3, 0.1), (5, None, None), (10, None, None))
    )
    late = replace(gone, curve=((0, 2.3, 0.1), (5, 4.6, 0.1), (10, None, None)))
    assert size_of(gone) == 0
    assert size_of(late) == pytest.approx(0.25)
    assert math.isnan(size_of(replace(RECORD, curve=())))


def test_a_map_takes_its_own_cells() -> None:
    """Cells of other windows and failed ones change nothing; the last of a map makes it complete."""
    found = FineMap(["k0", "k1", "k2", "k3"], 2)
    found.add([RECORD, replace(RECORD, key="k9"), replace(RECORD, key="k1", outcome="failed")])
    assert found.counts == {"finished": 1, "diverged": 0, "pending": 3}
    assert not found.complete
    found.add([replace(RECORD, key=key, outcome="diverged") for key in ("k1", "k2", "k3")])
    assert found.complete
    assert found.state_WL.tolist() == [[FINISHED, DIVERGED], [DIVERGED, DIVERGED]]
    assert PENDING not in found.state_WL
