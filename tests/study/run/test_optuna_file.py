"""The file of Optuna that a process of its own writes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import optuna
import pytest

from study.home import Home
from study.measures.importance import kept
from study.run.optuna_file import OptunaFile, write
from tests.command import study
from tests.fabricated import fabricate, hill
from tests.planting import planted


def test_what_the_process_writes_is_the_landscape(tmp_path: Path) -> None:
    """Every place with weight decay has its mean score, the outcomes of its cells and their keys."""
    path, landscape = tmp_path / "new" / "file.sqlite", planted(-3.1, -0.9, method="a")
    with OptunaFile(path, [kept(landscape)]) as written:
        assert written.trouble() is None
    (name,) = optuna.get_all_study_names(f"sqlite:///{path}")
    stored = optuna.load_study(study_name=name, storage=f"sqlite:///{path}")
    rows = [w for w, value in enumerate(landscape.weight_decay) if value > 0]
    assert len(stored.trials) == len(rows) * len(landscape.lr)
    score_WL = landscape.score_SWL.mean(axis=0)
    for trial in stored.trials:
        w = landscape.weight_decay.index(trial.params["weight_decay"])
        c = int(np.argmin(np.abs(np.log(landscape.lr) - np.log(trial.params["lr"]))))
        assert trial.value == pytest.approx(score_WL[w, c], abs=1e-12)
        assert trial.user_attrs["keys"] == landscape.key_SWL[:, w, c].tolist()
        assert sum(trial.user_attrs["outcomes"]) == len(landscape.seeds)


def test_a_study_is_made_again_only_when_it_has_changed(tmp_path: Path) -> None:
    """What tells is the digest of the content."""
    path = tmp_path / "file.sqlite"
    one, other = (kept(planted(-3.1, -0.9, method=method)) for method in ("a", "b"))

    def said_of(name: str) -> object:
        return optuna.load_study(study_name=name, storage=f"sqlite:///{path}").user_attrs["value is"]

    write(path, [one, other])
    write(path, [{**one, "value is": "new"}, {**other, "value is": "new", "content": "another"}])
    assert said_of(one["name"]) == one["value is"]
    assert said_of(other["name"]) == "new"


@pytest.mark.parametrize("program", [sys.executable, "no-such-program"])
def test_trouble_is_said_in_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A file that is none of Optuna's, also where this process writes, because no other can be started."""
    path = tmp_path / "file.sqlite"
    path.write_text("this is no database at all\n" * 100)
    monkeypatch.setattr(sys, "executable", program)
    with OptunaFile(path, [kept(planted(-3.1, -0.9, method="a"))]) as written:
        assert written.trouble() == "DatabaseError"
    assert path.read_text().startswith("this is no database")


def test_a_block_that_is_left_ends_the_process(tmp_path: Path) -> None:
    """Ctrl-C while pictures are drawn leaves nothing behind."""
    studies = [kept(planted(-3.1, -0.9, method="a"))]
    with pytest.raises(KeyboardInterrupt), OptunaFile(tmp_path / "file.sqlite", studies) as written:
        raise KeyboardInterrupt
    assert written._process is not None
    assert written._process.returncode is not None


def test_an_unreadable_file_costs_the_study_no_result(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its files are drawn, the command ends well, and it says what to do."""
    home = tmp_path / "home"
    fabricate(tiny, home, hill)
    path = Home(home).optuna("tiny")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("this is no database at all\n" * 100)
    assert study("launch", str(tiny), "--home", str(home), "--here") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{path.name} could not be written (DatabaseError); move it away" in said
    assert (Home(home).exports("tiny") / "report.html").is_file()
