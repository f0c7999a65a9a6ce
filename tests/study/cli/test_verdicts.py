"""`study verdicts` on made-up cells in real ledgers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import answer, study
from tests.fabricated import WIDE, fabricate, hill

OPTIMIZERS = ("sgd", "adam", "adamw")


def spec(folder: Path, name: str, optimizer: str, seeds: int = 3) -> Path:
    """A study of three transforms with one optimizer."""
    path = folder / f"{name}.yaml"
    text = WIDE.replace("name: tiny", f"name: {name}").replace("optimizer: adamw", f"optimizer: {optimizer}")
    path.write_text(text.replace("seeds: 3", f"seeds: {seeds}"))
    return path


def contents(home: Path) -> dict[str, bytes]:
    """Every file of a home, but for what sqlite makes to read one."""
    files = (path for path in home.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Studies of two homes are put together, cells count once, the answer repeats, and nothing is written."""
    homes = [tmp_path / "one", tmp_path / "two"]
    specs = [spec(tmp_path, name, name) for name in OPTIMIZERS]
    for path, home in zip(specs, (homes[0], homes[0], homes[1]), strict=True):
        fabricate(path, home, hill)
    again = spec(tmp_path, "again", "sgd")
    fabricate(again, homes[0], hill)
    before = [contents(home) for home in homes]
    words = ["verdicts", *map(str, [*specs, again]), "--home", str(homes[0]), "--home", str(homes[1])]
    code, found = answer(capsys, *words)
    assert code == 0
    assert isinstance(found, dict)
    assert [one["study"] for one in found["studies"]] == [*OPTIMIZERS, "again"]
    assert [one["home"] for one in found["studies"]] == [str(homes[k]) for k in (0, 0, 1, 0)]
    by_id = {one["id"]: one for one in found["claims"]}
    maintained = by_id["autoscale-accuracy-maintained"]
    assert [one["study"] for one in maintained["here"]["settings"]] == list(OPTIMIZERS)
    assert [one["task"] for one in maintained["here"]["settings"]] == ["digits"] * 3
    assert maintained["in_general"]["n_tasks"] == 1
    assert {one["left_out"]["study"] for one in found["repeated"]} == {"again"}
    assert "stabilizer-widens-lr" in found["without_a_number"]
    assert answer(capsys, *words) == (code, found)
    assert study(*words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Claims over all settings of sgd, adam, adamw, again" in said
    assert "In general means tasks like these: digits. All settings have the same data" in said
    assert [contents(home) for home in homes] == before


def test_more_seeds_in_another_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one study in two homes the one with more cells is counted."""
    few, more = spec(tmp_path, "few", "adamw"), spec(tmp_path, "more", "adamw", seeds=4)
    fabricate(few, tmp_path / "one", hill)
    fabricate(more, tmp_path / "two", hill)
    homes = ("--home", str(tmp_path / "one"), "--home", str(tmp_path / "two"))
    _, found = answer(capsys, "verdicts", str(few), str(more), *homes)
    assert isinstance(found, dict)
    for claim in found["claims"]:
        assert [one["study"] for one in claim["here"]["settings"]] == ["more"]
    assert found["claims"][0]["comparisons"][0]["n_runs"] == 4


def test_one_study_in_two_homes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is read where it has more cells; where each home has some of its own, both are named."""
    path, homes = spec(tmp_path, "s", "sgd", seeds=6), [tmp_path / "one", tmp_path / "two"]
    words = ("verdicts", str(path), "--home", str(homes[0]), "--home", str(homes[1]))
    fabricate(path, homes[0], hill, skip=lambda cell: cell.seed > 2)
    fabricate(path, homes[1], hill, skip=lambda cell: cell.seed < 3)
    code, found = answer(capsys, *words)
    assert code == 3
    assert isinstance(found, dict)
    assert [one["study"] for one in found["claims"][0]["here"]["settings"]] == [
        f"s in {home}" for home in homes
    ]
    assert found["claims"][0]["comparisons"][0]["n_runs"] == 6
    fabricate(path, homes[0], hill)
    code, found = answer(capsys, *words)
    assert code == 0
    assert isinstance(found, dict)
    assert [one["home"] for one in found["studies"]] == [str(homes[0])]
    assert found["repeated"] == []


def test_nothing_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 with the study that has nothing, and how to begin; also where another one has cells."""
    there, not_there = spec(tmp_path, "there", "sgd"), spec(tmp_path, "not-there", "adam")
    fabricate(there, tmp_path / "home", hill)
    capsys.readouterr()
    assert study("verdicts", str(there), str(not_there), "--home", str(tmp_path / "home")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "nothing is stored of not-there; start with: " in " ".join(said.err.split())
    assert study("verdicts", str(there), "--home", str(tmp_path / "none")) == 2
    assert "there is no ledger" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "none").exists()
    assert study("verdicts") == 2


def test_incomplete_studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, and settings without the seeds of a verdict have no part in the numbers."""
    path = spec(tmp_path, "late", "sgd")
    fabricate(path, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    code, found = answer(capsys, "verdicts", str(path), "--home", str(tmp_path / "home"))
    assert code == 3
    assert isinstance(found, dict)
    assert found["claims"]
    for claim in found["claims"]:
        assert claim["in_general"]["n_tasks"] == 1
        assert all(one["n_runs"] == 0 and one["trouble"] for one in claim["comparisons"])


def test_the_home_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one folder, whatever signs its name has."""
    path, home = spec(tmp_path, "s", "sgd"), tmp_path / "a:b"
    fabricate(path, home, hill)
    monkeypatch.setenv("STABILITY_STUDY_HOME", str(home))
    assert study("verdicts", str(path)) == 0
    assert "Claims over all settings of s" in capsys.readouterr().out
