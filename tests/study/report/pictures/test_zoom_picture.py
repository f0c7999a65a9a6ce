"""The picture of a zoom: told apart in grey, round ticks, and never half written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from study.measures.fine_map import FineMap
from study.measures.landscape import DIVERGED, FINISHED
from study.plan.window import window_of
from study.report.pictures.saving import save
from study.report.pictures.zoom_picture import Titled, colours, draw, round_values
from study.spec.read import read_spec
from tests.study.report.pictures import inked


@pytest.fixture
def half() -> FineMap:
    """Columns of finished cells, then columns of diverged ones."""
    found = FineMap([str(k) for k in range(256)], 16)
    found.state_WL[:] = np.where(np.arange(16) < 9, FINISHED, DIVERGED)
    found.size_WL[:] = np.random.default_rng(0).random((16, 16))
    return found


def test_kinds_are_told_apart_in_grey(half: FineMap) -> None:
    """Printed in grey, every diverged cell is clearly lighter than every finished one."""
    grey = colours(half) @ [0.2126, 0.7152, 0.0722]
    assert grey[half.diverged_WL].min() > grey[~half.diverged_WL].max() + 0.1


def test_shades_say_how_near_the_edge_is(half: FineMap) -> None:
    """Near the edge finished cells are darkest and diverged ones lightest."""
    grey = colours(half) @ [0.2126, 0.7152, 0.0722]
    for kind, order in ((FINISHED, -1), (DIVERGED, 1)):
        chosen = half.state_WL == kind
        by_size = grey[chosen][np.argsort(half.size_WL[chosen])]
        assert (order * np.diff(by_size) > -0.02).all()
        assert order * (by_size[-1] - by_size[0]) > 0.1


@pytest.mark.parametrize("ends", [(1e-4, 10), (0.1, 1), (0.2, 0.6), (1.0, 1.001), (0.013, 0.07)])
def test_ticks_are_round_and_inside(ends: tuple[float, float]) -> None:
    """Every axis has two to ten ticks within it, of at most six digits."""
    found = round_values(*ends)
    assert 2 <= len(found) <= 10
    assert all(ends[0] <= value <= ends[1] for value in found)
    assert found == [float(f"{value:.6g}") for value in found]


def test_a_picture_is_whole_or_the_last_one(
    half: FineMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where writing fails, the picture before stays to the byte."""
    from matplotlib.figure import Figure

    said = Titled("s", window_of(read_spec("quickstart"), "none", (0.1, 1), (0.1, 1), 16))
    (path,) = save(draw(half, said), tmp_path, "a", kinds=("png",))
    assert inked(path)
    before = path.read_bytes()

    def fails(self: object, file: Path, **_: object) -> None:
        file.write_bytes(b"half")
        raise OSError("no room")

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(OSError, match="no room"):
        save(draw(half, said), tmp_path, "a", kinds=("png",))
    assert path.read_bytes() == before
