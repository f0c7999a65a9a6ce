"""Two studies of one home that ask for the same cells: each cell is trained once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from study.home import Home
from study.plan.cells import Plan, make_plan
from study.run import driver
from study.run.data import fingerprints_of_data
from study.run.reservations import Reservations
from study.spec.read import read_spec
from tests.command import runs, study
from tests.conftest import TINY
from tests.fabricated import record_of

FEW = TINY.replace("[none, unit_norm]", "[none]").replace("30]", "1e-1]").replace("steps: 20", "steps: 5")
"""A study of eighteen cells."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home(tmp_path / "home")
    place.prepare()
    return place


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "few.yaml").write_text(FEW)
    spec = read_spec(str(tmp_path / "few.yaml"))
    return make_plan(spec, fingerprints_of_data(spec))


def test_a_cell_is_one_studys_at_a_time(home: Home, plan: Plan) -> None:
    """What one study takes no other gets, until it gives it back or ends; what is stored nobody gets."""
    cells = plan.cells[:4]
    with closing(home.open_ledger()) as ledger, closing(home.open_ledger()) as other:
        with Reservations(home, ledger, "a") as a, Reservations(home, other, "b") as b:
            assert a.take(cells[:2]) == list(cells[:2])
            assert b.take(cells) == list(cells[2:])
            assert b.others(cells[:2]) == ["a"]
            ledger.add([record_of(cells[0], 0.5)])
            a.release()
            assert b.take(cells) == list(cells[1:])
        with Reservations(home, ledger, "a") as a:
            assert a.take(cells) == list(cells[1:])


def test_the_cells_of_a_study_that_died_are_free(home: Home, plan: Plan) -> None:
    """Its lock is gone with its process, whatever the ledger still says."""
    code = (
        "import os, sys; from pathlib import Path; from types import SimpleNamespace as Cell\n"
        "from study.home import Home; from study.run.reservations import Reservations\n"
        "home = Home(Path(sys.argv[1])); held = Reservations(home, home.open_ledger(), 'dead').__enter__()\n"
        "print(len(held.take([Cell(key=key) for key in sys.argv[2:]])), flush=True); os._exit(1)\n"
    )
    keys = [cell.key for cell in plan.cells[:4]]
    done = subprocess.run([sys.executable, "-c", code, str(home.root), *keys], capture_output=True, text=True)
    assert done.stdout == "4\n", done.stderr
    with closing(home.open_ledger()) as ledger:
        assert ledger.claimants(keys) == ["dead"]
        with Reservations(home, ledger, "b") as b:
            assert b.take(plan.cells[:4]) == list(plan.cells[:4])


def test_a_launch_waits_for_what_another_study_trains(
    home: Home,
    plan: Plan,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It trains the others meanwhile, says for whom it waits, shows all, and trains what was given up."""
    monkeypatch.setattr(driver, "LOOK_EVERY", 0.05)
    theirs, given_up = list(plan.cells[:10]), list(plan.cells[8:10])
    taken, waited = threading.Event(), threading.Event()
    monkeypatch.setattr(driver.Display, "waits", lambda self, why: said.append(why) or waited.set())
    said: list[str] = []

    def train() -> None:
        with closing(home.open_ledger()) as ledger, Reservations(home, ledger, "other") as other:
            other.take(theirs)
            taken.set()
            waited.wait(60)
            ledger.add(record_of(cell, 0.5) for cell in theirs if cell not in given_up)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        assert taken.wait(60)
        words = ["launch", str(tmp_path / "few.yaml"), "--home", str(home.root), "--here", "--json"]
        assert study(*words) == 0
    finally:
        waited.set()
        thread.join()
    assert json.loads(capsys.readouterr().out)["trained_now"] == 8 + 2
    assert said[0] == "other trains 10 of these cells now; waiting for them"
    assert len(runs(home.root)) == 18
