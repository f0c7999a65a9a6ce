"""Nothing of a home leads out of it, and what a command makes in it is its owner's alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from study import home_files
from study.home import Home
from study.home_files import private
from study.run import launch as launching
from study.run.tile_log import Captured
from study.spec.model import StudySpec
from tests.command import study
from tests.conftest import ONE_CELL


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of one cell that prints, and its home, in a folder that was there before."""
    folder = tmp_path_factory.mktemp("launched")
    spec, home = folder / "one.yaml", folder / "home"
    spec.write_text(ONE_CELL)
    home.mkdir()
    home.chmod(0o755)
    before, loaded = os.umask(0o022), launching.loaded

    def talkative(spec: StudySpec) -> tuple[dict[str, str], Captured]:
        return loaded(spec)[0], Captured(b"loading says this")

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launching, "loaded", talkative)
            assert study("launch", str(spec), "--home", str(home), "--here") == 0
    finally:
        os.umask(before)
    return spec, home


@pytest.fixture
def copied(launched: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The spec, and a copy of its home."""
    spec, home = launched
    return Path(shutil.copy(spec, tmp_path)), Path(shutil.copytree(home, tmp_path / "copy"))


def open_to_others(home: Path) -> list[str]:
    """What of a home has a mode with which others may read or enter it."""
    found = [path for path in home.rglob("*") if path.stat().st_mode & 0o077]
    return sorted(str(path.relative_to(home)) for path in found)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_made_in_a_home_is_its_owners(launched: tuple[Path, Path]) -> None:
    """Databases, exports, artifacts, locks and logs, with the usual umask; the folder itself stays open."""
    _, home = launched
    assert (home / "logs" / "tiny" / "loading.log").read_bytes() == b"loading says this"
    assert len(list(home.rglob("*"))) > 15
    assert open_to_others(home) == []
    assert home.stat().st_mode & 0o777 == 0o755


def test_what_was_opened_stays_open(copied: tuple[Path, Path]) -> None:
    """Folders and files that the user shows to others stay as they are, although they are written again."""
    spec, home = copied
    exports = Home(home).exports("tiny")
    exports.parent.chmod(0o755)
    exports.chmod(0o755)
    shutil.rmtree(home / "optuna")
    (exports / "cells.csv").chmod(0o644)
    assert study("sync", str(spec), "--home", str(home)) == 0
    assert open_to_others(home) == ["exports", "exports/tiny", "exports/tiny/cells.csv"]


def test_what_was_closed_stays_closed(copied: tuple[Path, Path]) -> None:
    """A file of one's own in a folder that others see, over which MLflow writes another one with its mode."""
    spec, home = copied
    shutil.rmtree(Home(home).exports("tiny"))
    opened = [home / "mlflow-artifacts", *(home / "mlflow-artifacts").rglob("*")]
    closed = next(path for path in opened if path.suffix == ".png")
    before = {path: path.stat().st_mode | 0o055 for path in opened if path.is_dir()}
    before |= {path: path.stat().st_mode | 0o044 for path in opened if path.is_file() and path != closed}
    before[closed] = closed.stat().st_mode
    for path, mode in before.items():
        path.chmod(mode)
    mask = os.umask(0o022)
    try:
        assert study("sync", str(spec), "--home", str(home)) == 0
    finally:
        os.umask(mask)
    assert closed.stat().st_mode & 0o777 == 0o600
    assert {path: path.stat().st_mode for path in before} == before


def test_a_mode_does_not_depend_on_which_file_it_was(tmp_path: Path) -> None:
    """Replaced by another file, or written over in place: at the end each has the mode that it had."""
    tree = tmp_path / "tree"
    tree.mkdir()
    modes = {"closed": 0o600, "open": 0o644, "closed, replaced": 0o600, "open, replaced": 0o640}
    for name, mode in modes.items():
        (tree / name).touch()
        (tree / name).chmod(mode)
    with private(tmp_path, [tree]):
        for name, mode in modes.items():
            (tree / "new").write_text("new")
            if name.endswith("replaced"):
                (tree / "new").replace(tree / name)
            (tree / name).chmod(0o644 if mode == 0o600 else 0o600)
        (tree / "new").write_text("new")
        (tree / "new").chmod(0o644)
    found = {path.name: path.stat().st_mode & 0o777 for path in tree.iterdir()}
    assert found == modes | {"new": 0o600}


def test_a_database_in_place_of_a_broken_one_is_private(copied: tuple[Path, Path]) -> None:
    """Where a folder stands in the place of MLflow's database, the one that is made is its owner's, too."""
    spec, home = copied
    database = Home(home).mlflow_database
    database.unlink()
    database.mkdir()
    database.chmod(0o755)
    assert study("sync", str(spec), "--home", str(home)) == 0
    assert database.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "place",
    [
        "exports/tiny",
        "exports",
        "optuna",
        "locks",
        "logs",
        "logs/tiny",
        "mlflow-artifacts",
        "exports/tiny/heatmaps",
    ],
)
def test_a_folder_that_leads_out_is_refused(
    place: str, copied: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a launch nor a sync writes where a link leads; it is named, and nothing there changes."""
    spec, home = copied
    outside = tmp_path / "outside"
    (home / place).mkdir(parents=True, exist_ok=True)
    shutil.move(home / place, outside)
    (outside / "mine.txt").write_text("mine")
    (home / place).symlink_to(outside)
    before, inside = content(outside), content(home / "exports")
    for verb, more in (("launch", ["--here"]), ("sync", [])):
        assert study(verb, str(spec), "--home", str(home), *more) == 2
        captured = capsys.readouterr()
        said = captured.out + captured.err
        assert f"{place} is a link to {outside}" in said
        assert "move the whole home" in said
        assert "put that folder itself in the link's place, or mount it there to keep it on its disk" in said
        assert "loading" not in said
    assert (content(outside), content(home / "exports")) == (before, inside)


@pytest.mark.parametrize(
    "place", ["exports/tiny/.cells.csv.partial", "mlflow.db", "ledger.sqlite", "optuna/tiny.sqlite"]
)
def test_a_file_that_leads_out_is_refused(
    place: str, copied: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stranger's home cannot have a file of the user's overwritten, not even one that is not there yet."""
    spec, home = copied
    outside = tmp_path / "outside"
    if (home / place).exists():
        shutil.move(home / place, outside)
    (home / place).symlink_to(outside)
    before = outside.read_bytes() if outside.exists() else None
    assert study("sync", str(spec), "--home", str(home)) == 2
    said = capsys.readouterr().err
    assert f"{place} is a link to {outside}" in said
    # Of what is not there nothing can be lost.
    assert ("put that file itself in the link's place" if before is not None else "remove the link") in said
    assert (outside.read_bytes() if outside.exists() else None) == before


def test_a_link_inside_of_a_home_is_followed(copied: tuple[Path, Path]) -> None:
    """A home that is itself a link, and one in it that stays in it, are no harm."""
    spec, home = copied
    exports = Home(home).exports("tiny")
    exports.rename(exports.with_name("elsewhere"))
    exports.symlink_to("elsewhere")
    (linked := home.with_name("linked")).symlink_to(home)
    (exports / "cells.csv").unlink()
    assert study("sync", str(spec), "--home", str(linked)) == 0
    assert (home / "exports" / "elsewhere" / "cells.csv").exists()


def test_a_launch_walks_a_home_twice(copied: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it loads data and at its end: a home of many studies has many files, on a slow disk maybe."""
    spec, home = copied
    walked: list[Path] = []
    walk = home_files._walk

    def counted(tree: Path) -> Iterator[Path]:
        walked.append(tree)
        return walk(tree)

    monkeypatch.setattr(home_files, "_walk", counted)
    assert study("launch", str(spec), "--home", str(home), "--here") == 0
    assert walked.count(Home(home).mlflow_artifacts) == 2
    assert walked.count(Home(home).exports("tiny")) == 2
