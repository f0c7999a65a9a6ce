"""What explains the scores, and the Optuna storage in which it can be looked at."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from study.home import Home
from study.measures.importance import DIFFERENCE, SCORE, importances, kept
from study.measures.landscape import FINISHED, Landscape
from study.measures.share_intervals import parts_of, variance_intervals
from study.run.optuna_file import write
from study.spec.read import read_spec
from study.stored import read
from tests.command import answer, study
from tests.fabricated import fabricate, hill
from tests.planting import planted


def test_dashboard_says_the_command(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer says how to open the Optuna storage, and nothing is started.

    Without a storage it says when one is written. With one it is the exact command, and whether the program
    is installed.
    """
    home = tmp_path / "home"
    fabricate(tiny, home, hill)
    where = (str(tiny), "--home", str(home), "--dashboard")
    assert study("analyse", *where) == 0
    assert "no Optuna storage" in capsys.readouterr().out
    analysis = read(read_spec(str(tiny)), Home(home))
    write(Home(home).optuna("tiny"), [kept(landscape) for landscape in analysis.landscapes])
    assert study("analyse", *where) == 0
    said = capsys.readouterr().out
    assert f"optuna-dashboard sqlite:///{Home(home).optuna('tiny').resolve()}" in said
    assert ("is not installed" in said) == (find_spec("optuna_dashboard") is None)
    if "is not installed" in said:
        assert "stability-study[dashboard]" in said
    _, found = answer(capsys, "analyse", *where)
    assert isinstance(found, dict)
    assert found["dashboard"][0].startswith("to browse")


def surface(value_WL: np.ndarray, method: str = "a") -> Landscape:
    base = planted(-3.1, -0.9, method=method)
    metric = np.broadcast_to(0.5 + 0.3 * value_WL, base.metric_SWL.shape)
    return dataclasses.replace(base, metric_SWL=metric, outcome_SWL=np.full_like(base.outcome_SWL, FINISHED))


def test_interaction_of_lr_and_weight_decay() -> None:
    """fANOVA's interaction is nearly all of a product's variance and nearly none of a sum's.

    Its axes count in decades.
    """
    x, y = np.linspace(-1, 1, 25)[None], np.linspace(-1, 1, 4)[:, None]
    share = {
        name: next(one for one in importances(surface(value)) if one.evaluator == "fanova")
        for name, value in (("product", x * y), ("sum", x + y))
    }
    assert (share["product"].interaction or 0) > 0.85
    assert (share["sum"].interaction or 1) < 0.05
    assert share["sum"].shares["lr"] + share["sum"].shares["weight_decay"] == pytest.approx(1)


def test_importances_for_the_difference_to_the_baseline() -> None:
    """Where a transform gains along lr alone, lr explains the difference, weight decay still the score."""
    x, y = np.linspace(-1, 1, 25)[None], np.linspace(-1, 1, 4)[:, None]
    both = importances(surface(0.2 * x + y), surface(np.broadcast_to(y, (4, 25)), "none"))
    found = {(one.of, one.evaluator): one for one in both}
    assert found[SCORE, "fanova"].shares["weight_decay"] > 0.8
    assert found[DIFFERENCE, "fanova"].shares["lr"] > 0.9
    assert set(found) == {(of, name) for of in (SCORE, DIFFERENCE) for name in ("fanova", "pedanova")}


def noisy(seeds: int, noise: float) -> Landscape:
    """A sum of two main effects with noise in every cell."""
    x, y = np.linspace(-1, 1, 25)[None], np.linspace(-1, 1, 4)[:, None]
    smooth = surface(x + y).at_seeds(np.array([True, False, False]))
    chosen = smooth.at_seeds(np.zeros(seeds, dtype=int))
    metric = chosen.metric_SWL + np.random.default_rng(0).normal(0, noise, chosen.metric_SWL.shape)
    # An untrained score far below: no noise is cut off.
    untrained = np.full(seeds, -10.0)
    return dataclasses.replace(chosen, seeds=tuple(range(seeds)), metric_SWL=metric, untrained_S=untrained)


def test_shares_have_intervals_over_seeds() -> None:
    """Each interval holds the share that is shown, lies in [0, 1], and grows with the seeds' scatter."""
    length = {}
    for noise in (0.01, 0.3):
        for one in importances(noisy(3, noise)):
            assert one.intervals.keys() == one.shares.keys() == {"lr", "weight_decay"}
            for axis, (low, high) in one.intervals.items():
                assert 0 <= low <= one.shares[axis] <= high <= 1
            if one.evaluator == "fanova":
                assert one.interaction is not None
                assert one.interaction_interval is not None
                low, high = one.interaction_interval
                assert 0 <= low <= one.interaction <= high <= 1
                length[noise] = one.intervals["lr"][1] - one.intervals["lr"][0]
            else:
                assert one.interaction_interval is None
    assert length[0.3] > 2 * length[0.01]


def test_two_seeds_give_no_interval() -> None:
    """With fewer than three seeds there are shares, and no interval."""
    for one in importances(noisy(2, 0.01)):
        assert one.shares
        assert (one.intervals, one.interaction_interval) == ({}, None)


def test_noise_of_cells_is_no_interaction() -> None:
    """Products of different seeds hold no cell noise; the variance of the mean landscape is a third noise."""
    x, y = np.linspace(-1, 1, 25)[None], np.linspace(-1, 1, 4)[:, None]
    score = x + y + np.random.default_rng(1).normal(0, 1.2, (20, 4, 25))
    lr, weight_decay = tuple(10 ** x[0]), tuple(10 ** y[:, 0])
    mean = score.mean(axis=0)
    main = mean.mean(axis=0).var() + mean.mean(axis=1).var()
    assert 1 - main / mean.var() > 0.05
    assert parts_of(score, lr, weight_decay).interaction < 0.03
    found = variance_intervals(score, lr, weight_decay, 0.95)
    assert found is not None
    assert found[1][0] < 0.01


def test_shares_in_closed_form() -> None:
    """Equal seeds give the shares of the analysis of variance, with cells weighed by their decades.

    A cell that stands for half as long an axis counts half. A flat score has no shares: its interval is all.
    """
    x, y = np.linspace(-1, 1, 5)[None], np.linspace(-1, 1, 3)[:, None]
    lr, weight_decay = tuple(10 ** x[0]), tuple(10 ** y[:, 0])
    value = x + 2 * y + x * y
    found = parts_of(np.stack([value] * 3), lr, weight_decay)
    of_lr, of_wd = x.var(), (2 * y).var()
    assert found.lr == pytest.approx(of_lr / (of_lr + of_wd))
    assert found.interaction == pytest.approx(1 - (of_lr + of_wd) / value.var())
    finer = np.stack([np.repeat(value, 2, axis=1)] * 3)
    # Two cells where there was one, half as long each.
    halves = tuple(10 ** (x[0][:, None] + np.array([-0.125, 0.125])).ravel())
    assert parts_of(finer, halves, weight_decay) == pytest.approx(found)
    assert variance_intervals(np.zeros((3, 3, 5)), lr, weight_decay, 0.95) == ((0, 1), (0, 1))
