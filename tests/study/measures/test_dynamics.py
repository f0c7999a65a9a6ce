"""What measures read of recorded dynamics: which numbers there are, and which of them are not finite."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from study.measures.dynamics import LAYERS, SERIES, Series, over, series
from tests.making import RECORD
from tests.tools.plants import NORMS, PLANTS, Grid

INF, NAN = float("inf"), float("nan")
STEPS = [1, 5, 9]


def recorded(*ends: tuple[str | None, int | None], **changed: Any) -> Series:
    """Cells that recorded the same, and ended like this."""
    kept: dict[str, Any] = {"step": STEPS} | {name: [1.0] * 3 for name in SERIES}
    kept |= {name: {"a": [1.0] * 3} for name in LAYERS} | changed
    text = json.dumps({name: value for name, value in kept.items() if value})
    cells = [replace(RECORD, dynamics=text, reason=reason, diverged_step=step) for reason, step in ends]
    found = series(np.array([[cells]], dtype=object))
    assert found is not None
    return found


LIVING = (None, None)


def test_which_steps_a_cell_lived_through() -> None:
    """Up to a loss that was not finite, through the step that broke parameters, else to the end."""
    found = recorded(
        LIVING,
        ("loss_exploded", 2),
        ("nonfinite_loss", 5),
        ("nonfinite_loss", 6),
        ("nonfinite_parameters", 5),
    )
    assert found.recorded_SWLJ.all()
    assert found.alive_SWLJ[0, 0].sum(axis=1).tolist() == [3, 3, 1, 2, 2]


@pytest.mark.parametrize("name", [*SERIES, *LAYERS])
@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_a_number_that_is_not_finite_is_broken_while_the_cell_lives(name: str, value: float) -> None:
    """Values are as recorded. They are broken in a living cell, and nothing else is."""
    numbers = [1.0, value, value]
    found = recorded(LIVING, ("nonfinite_loss", 9), **{name: {"a": numbers} if name in LAYERS else numbers})
    np.testing.assert_equal(found.values[name].reshape(2, 3), [numbers, numbers])
    assert found.broken(name).reshape(2, 3).tolist() == [[False, True, True], [False, True, False]]
    assert not any(found.broken(other).any() for other in (*SERIES, *LAYERS) if other != name)


@pytest.mark.parametrize("name", [*SERIES, *LAYERS])
def test_null_of_older_records(name: str) -> None:
    """Null of a living cell was a number that was not finite, but for quotients of a gradient of zero.

    Of these it is one where what left the transform was not finite either.
    """
    numbers = [1.0, None, None]
    changed = {name: {"a": numbers} if name in LAYERS else numbers}
    alone = recorded(LIVING, ("nonfinite_loss", 9), **changed)
    assert np.isnan(alone.values[name].reshape(2, 3)[:, 1:]).all()
    quotient = name in ("cosine", "least_cosine", "gain")
    expected = [[False, not quotient, not quotient], [False, not quotient, False]]
    assert alone.broken(name).reshape(2, 3).tolist() == expected
    overflown = recorded(LIVING, **(changed | {"out_norm": [1.0, 1.0, None]}))
    if quotient:
        assert overflown.broken(name).reshape(3).tolist() == [False, False, True]


def test_no_scale_of_a_zero_gradient() -> None:
    """Null in the scale factor is a gap where the gradient was zero."""
    found = recorded(LIVING, scale=[1.0, None, None], grad_norm=[1.0, 0.0, None])
    assert found.broken("scale").reshape(3).tolist() == [False, False, True]


def test_older_records_erased_the_step_that_broke_parameters() -> None:
    """What nothing was kept of is not counted as lived through, and breaks nothing."""
    gone: dict[str, Any] = {name: [1.0, None, None] for name in SERIES}
    gone |= {name: {"a": [1.0, None, None]} for name in LAYERS}
    found = recorded(("nonfinite_parameters", 5), **gone)
    assert found.alive_SWLJ.reshape(3).tolist() == [True, False, False]
    assert not any(found.broken(name).any() for name in gone)
    kept = recorded(("nonfinite_parameters", 5), **(gone | {"grad_norm": [1.0, INF, None]}))
    assert kept.alive_SWLJ.reshape(3).tolist() == [True, True, False]


def test_what_a_record_lacks_is_not_broken() -> None:
    """A series that an older record does not have has no numbers, finite or not."""
    found = recorded(LIVING, out_norm=None, gain={"a": [None] * 3})
    assert not found.has("out_norm")
    assert not found.broken("out_norm").any()
    assert not found.broken("gain").any()
    assert found.broken("no such series").shape == found.alive_SWLJ.shape


@pytest.mark.parametrize(("name", "keys"), [("overflow-norms-0.3", NORMS), ("universal-0.3", ())])
def test_planted_overflow_is_read(name: str, keys: tuple[str, ...]) -> None:
    """Of planted records every overflow of a finished cell is found, and what dead cells have is not."""
    cells = PLANTS[name].records(
        np.random.default_rng(0), Grid.standard(3), ["a"], key_of=lambda t, lr, wd, s: f"{t} {lr} {wd} {s}"
    )
    found = series(np.array(cells, dtype=object).reshape(3, 6, 14))
    assert found is not None
    finished = np.array([cell.finished for cell in cells]).reshape(3, 6, 14)
    for key in (*SERIES, *LAYERS):
        wanted = finished[..., None] & ~np.isfinite(found.values[key]).reshape(*finished.shape, 8, -1).all(-1)
        broken = found.broken(key).reshape(*finished.shape, 8, -1).any(-1)
        np.testing.assert_array_equal(broken, wanted)
        assert broken.any() == (key in keys)


def test_sizes_are_of_finite_numbers() -> None:
    """A largest number leaves out what is not finite, and is NaN where nothing is left."""
    values = np.array([[1.0, INF, NAN], [2.0, 3.0, -INF], [INF, INF, NAN]])
    np.testing.assert_equal(over(values, np.nanmax, 1), [1.0, 3.0, NAN])
