"""The calibration in its short form, and what an interval is made of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from study.measures.edges import Side, extent
from study.measures.estimate import Estimate
from study.measures.grid_error import SHARED, GridError, profile_grid_error, shared
from tests.tools import tuning_plants
from tests.tools.calibration import KINDS, calibrate, coverage, tables
from tests.tools.regimes import REGIMES, draw

DRAWS = 20
SURE = 1e-4
"""How improbable a count must be, if intervals covered 93 %, before the short form fails."""


def rarely(found: dict[str, tuple[int, int]]) -> dict[str, int]:
    """The intervals that covered too rarely for a coverage of 93 %, of those that were always there."""
    least = int(binom.ppf(SURE, DRAWS, 0.93))
    return {what: hits for what, (hits, of) in found.items() if of == DRAWS and hits < least}


@pytest.mark.parametrize("name", ["like quickstart", "8 per decade", "ends along both axes"])
@pytest.mark.parametrize("seeds", [3, 10])
def test_intervals_cover_planted_truths(name: str, seeds: int) -> None:
    """In 20 landscapes no interval covers its planted truth too rarely for a coverage of 93 %."""
    found = coverage(REGIMES[name], seeds, DRAWS, np.random.default_rng(seeds))
    assert rarely(found) == {}
    assert sum(of == DRAWS for _, of in found.values()) >= 15


@pytest.mark.parametrize("name", [name for name in tuning_plants.PLANTS if "move" not in name])
def test_intervals_cover_planted_tuning(name: str) -> None:
    """So it is with measures of tuning, where no rare seed loses most of its grid."""
    found = tuning_plants.coverage(name, 3, DRAWS, np.random.default_rng(1))
    assert found
    assert rarely(found) == {}


def test_truths_are_those_of_a_plain_landscape() -> None:
    """Without jitter and noise, truths are lengths that can be told from the edges."""
    planted = draw(REGIMES["no seed variance"], 3, np.random.default_rng(0), high=-0.5)
    rows, (first, last) = 6, planted.population.grid.window
    assert planted.truth["divergence share"] == pytest.approx((last + 0.5) / (last - first))
    assert planted.truth["trained lr width"] == pytest.approx(3.5, abs=0.05)
    assert planted.truth["trained area"] == pytest.approx(rows * planted.truth["trained lr width"])
    assert planted.truth["wd sensitivity"] == pytest.approx(0, abs=1e-12)
    assert planted.truth["trained wd width"] == pytest.approx(rows)


def test_all_kinds_are_calibrated() -> None:
    """Landscapes, tuning and importances have one row per number of seeds and interval."""
    rows = calibrate(1, ["a constant that costs"], 1, lambda *_: None)
    assert [row["n_seeds"] for row in rows] == [3, 5, 10]
    assert set(KINDS) >= {"like quickstart", "rare spikes", "importances"}


def test_tables_say_how_many_draws() -> None:
    """The printed table has a row per interval and the number of draws."""
    rows: list[dict[str, object]] = [
        {"landscape": "a", "n_seeds": s, "of": "area", "hits": 9, "draws": 10, "share": 0.9} for s in (3, 5)
    ]
    (table,) = tables(rows)
    assert list(table.columns[-1].cells) == ["10"]
    assert list(table.columns[1].cells) == ["90.0%"]


def side(position: list[list[float]], doubt: float = 1.0) -> Side:
    return Side(np.array(position), 0.5, doubt)


def test_one_edge_is_uniform_and_two_are_not() -> None:
    """Seeds that agree on the gap of one edge leave it anywhere in it: 95 % of the gap's length.

    Two edges add up as a triangle does.
    """
    one = side([[1.0], [1.0], [1.0]]).grid_error(np.ones(1))
    low, high = Estimate((1.0,) * 3, GridError(one.sd, one.reach)).interval(0.95) or (0, 0)
    assert high - low == pytest.approx(0.95 * 0.5)
    both = one + one
    low, high = Estimate((1.0,) * 3, GridError(both.sd, both.reach)).interval(0.95) or (0, 0)
    assert high - low == pytest.approx(2 * 0.5 * (1 - np.sqrt(0.05)), rel=0.03)


def test_rows_at_one_place_err_alike_and_others_average_out() -> None:
    """Six rows with the same edge know it as well as one.

    Six rows whose edges lie in different gaps know their mean better.
    """
    weight = np.ones(6) / 6
    same = side([[1.0] * 6] * 3).grid_error(weight)
    apart = side([[1.0, 1.5, 2.5, 0.5, 3.0, 2.0]] * 3).grid_error(weight)
    assert same.sd == pytest.approx(0.5 / np.sqrt(12))
    assert apart.sd == pytest.approx(0.5 / np.sqrt(12) / np.sqrt(6), rel=0.05)


def test_jitter_dithers() -> None:
    """Seeds whose edges lie gaps apart have none of the grid's error in common: it is in their spread."""
    assert side([[0.0], [1.0], [2.5]]).grid_error(np.ones(1)).sd < 0.01
    assert side([[0.0], [1.0], [2.5]]).grid_error(np.ones(1)).own > 0.05
    assert SHARED[0] == 1
    assert shared(0.0, 1.0) == 1
    assert shared(4.0, 1.0) < 1e-6


def test_edges_lie_where_scores_say() -> None:
    """A margin that falls straight through 0 puts the edge there.

    Only a jump leaves it halfway with the whole gap in doubt.
    """
    at, width = np.arange(8.0), np.ones(8)
    margin = (4.3 - at)[None, None]
    straight = extent(margin >= 0, at, width, margin)
    assert straight.last.position_SR[0, 0] == pytest.approx(4.3, abs=0.07)
    jump = np.where(at < 4.3, 3.0, -3.0)[None, None]
    assert extent(jump >= 0, at, width, jump).last.position_SR[0, 0] == pytest.approx(4.5)
    assert extent(jump >= 0, at, width, jump).last.doubt == 1
    gone = np.where(at < 4.3, margin, np.nan)
    assert extent(gone >= 0, at, width, gone).last.position_SR[0, 0] == pytest.approx(4.5)


def test_smooth_sums_are_exact_and_jumps_are_not() -> None:
    """A sum over cells of a slope has no error of the grid; that of a step has the step's."""
    at = np.arange(10.0)
    assert profile_grid_error(np.array([at, at, at]), at).sd == 0
    step = np.where(at < 5, 0.0, 2.0)
    assert profile_grid_error(np.array([step] * 3), at).sd == pytest.approx(2 / np.sqrt(12))
