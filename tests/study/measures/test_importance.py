"""How to open the Optuna storage is said, and nothing is started."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from study.home import Home
from study.measures.importance import store
from study.spec.read import read_spec
from study.stored import read
from tests.command import answer, study
from tests.fabricated import fabricate, hill


def test_dashboard_says_the_command(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a storage the answer says when one is written; with one it is the exact command, and whether the program is installed."""
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
