"""What explains the scores, and the Optuna storage in which it can be looked at."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from study.home import Home
from study.measures.importance import DIFFERENCE, SCORE, importances, store
from study.measures.landscape import FINISHED, Landscape
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
    store(Home(home).optuna("tiny"), analysis.landscapes)
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
