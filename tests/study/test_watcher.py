"""What `study watch` sees of a study that another process trains, and that it changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from study.home import Home
from study.live_map import SHOWN, LiveStudy
from study.plan.cells import make_plan, settings
from study.report.plain.watch import look_values
from study.report.terminal.live import ASCII, EVERY, GLYPHS, screen
from study.spec.model import StudySpec
from study.spec.read import parse_spec, read_spec
from study.watcher import TRIES, Watcher, launching
from tests.command import answer, study
from tests.fabricated import WIDE, fabricate, hill, record_of
from tracking import FAILED, LedgerError

MANY = WIDE.replace(
    "autoscale]", "autoscale, " + ", ".join(f"{{name: clip_norm, max_norm: {k}}}" for k in range(2, 9)) + "]"
)
LOOKED = WIDE.replace("seeds: 3", "seeds: 3\nverdicts: {looks: [3, 5]}")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec of 162 cells."""
    path = tmp_path / "tiny.yaml"
    path.write_text(WIDE)
    return path


def rows(look: LiveStudy, transform: str) -> list[str]:
    """The map of a transform, a letter per place, the smallest weight decay first."""
    (one,) = (one for one in look.maps if one.landscape.transform == transform)
    return ["".join(SHOWN[place][0] for place in row) for row in one.place_WL.tolist()]


def test_a_map_fills_cell_by_cell(spec: Path, tmp_path: Path) -> None:
    """A place is shown as soon as one of its seeds is stored, with the class of the mean so far."""
    home = tmp_path / "home"
    watcher = Watcher(read_spec(str(spec)), Home(home))
    empty = watcher.look()
    assert rows(empty, "none") == ["pppppp"] * 3
    assert (empty.cells, empty.stored, empty.complete, empty.process) == (162, 0, False, None)
    fabricate(spec, home, hill, skip=lambda cell: cell.seed > 0 or cell.transform != "none")
    look = watcher.look()
    assert look.stored == 18
    assert rows(look, "none") == ["uttcdd"] * 3 or rows(look, "none") == ["utccdd"] * 3
    assert rows(look, "unit_norm") == ["pppppp"] * 3
    fabricate(spec, home, hill)
    whole = watcher.look()
    assert whole.complete
    assert whole.ended
    # It differs from the others in the next column, as it was planted.
    assert rows(whole, "unit_norm")[0][4] != "d"
    assert rows(whole, "none")[0][4] == "d"


def test_only_new_cells_are_read(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look asks the ledger for the records that it has not seen."""
    from tracking import Ledger

    asked: list[int] = []
    plain: Callable[..., object] = Ledger.get

    def get(self: Ledger, keys: list[str]) -> object:
        asked.append(len(keys))
        return plain(self, keys)

    fabricate(spec, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    watcher = Watcher(read_spec(str(spec)), Home(tmp_path / "home"))
    monkeypatch.setattr(Ledger, "get", get)
    watcher.look()
    watcher.look()
    fabricate(spec, tmp_path / "home", hill, skip=lambda cell: cell.seed > 1)
    watcher.look()
    assert asked == [54, 0, 54]


def test_a_failed_cell_is_seen_again(spec: Path, tmp_path: Path) -> None:
    """A cell that failed is shown so, until its next try has stored it."""
    from dataclasses import replace

    home = Home(tmp_path / "home")
    fabricate(spec, home.root, hill, skip=lambda cell: cell.transform != "none" or cell.seed > 0)
    found = read_spec(str(spec))
    plan = make_plan(found, {one.name: "made up" for one in settings(found)})
    cell = next(one for one in plan.cells if one.transform == "unit_norm")
    watcher = Watcher(found, home)
    with closing(home.open_ledger()) as ledger:
        ledger.add([replace(record_of(cell, None), outcome=FAILED, reason="lost", metric_name="")])
    assert rows(watcher.look(), "unit_norm")[0][0] == "f"
    with closing(home.open_ledger()) as ledger:
        ledger.add([record_of(cell, 0.8)])
    assert rows(watcher.look(), "unit_norm")[0][0] in "tc"


def test_nothing_is_written(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A look leaves every file of the home as it was, and makes none."""
    home = tmp_path / "home"
    assert study("watch", str(spec), "--home", str(home)) == 3
    assert not home.exists()
    fabricate(spec, home, hill, skip=lambda cell: cell.seed > 1)

    def files() -> dict[Path, bytes]:
        # sqlite's own files of a reader beside the ledger hold nothing.
        return {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.stat().st_size}

    before = {path: content for path, content in files().items() if not path.name.endswith("-shm")}
    assert study("watch", str(spec), "--home", str(home)) == 3
    after = {path: content for path, content in files().items() if not path.name.endswith("-shm")}
    assert after == before


def test_a_launch_is_known_by_its_process(tmp_path: Path) -> None:
    """The process beside the lock is named while it lives; of a killed one, or none, nothing is said."""
    home = Home(tmp_path)
    assert launching(home, "tiny") is None
    (tmp_path / "locks").mkdir()
    with home.lock("tiny"):
        assert launching(home, "tiny") == os.getpid()
    assert launching(home, "tiny") is None
    for content in ("", "x", "999999999", "99999999999999999999999"):
        (tmp_path / "locks" / "tiny.pid").write_text(content)
        assert launching(home, "tiny") is None


def looked(seeds: dict[str, int], tmp_path: Path) -> tuple[StudySpec, Home]:
    """A study with looks of which each transform has so many seeds."""
    path = tmp_path / "looked.yaml"
    path.write_text(LOOKED)
    fabricate(path, tmp_path / "home", hill, skip=lambda cell: cell.seed >= seeds[cell.transform])
    return read_spec(str(path)), Home(tmp_path / "home")


def test_later_looks_count_where_they_were_begun(tmp_path: Path) -> None:
    """Seeds of a later look are asked for of those transforms alone that have one of their cells."""
    spec, home = looked({"none": 5, "unit_norm": 4, "autoscale": 3}, tmp_path)
    look = Watcher(spec, home).look()
    assert look.cells == look.stored == 18 * (5 + 4 + 3)
    assert look.ended


def test_between_looks_a_launch_goes_on(tmp_path: Path) -> None:
    """A study with looks that is complete has ended once no process launches it any more."""
    spec, home = looked({"none": 3, "unit_norm": 3, "autoscale": 3}, tmp_path)
    (home.root / "locks" / f"{spec.name}.pid").write_text(str(os.getpid()))
    look = Watcher(spec, home).look()
    assert look.complete
    assert not look.ended


def test_damage_is_counted(spec: Path, tmp_path: Path) -> None:
    """A damaged record is left out and counted, and its cell is pending; the others are shown."""
    home = Home(tmp_path / "home")
    fabricate(spec, home.root, hill)
    with closing(sqlite3.connect(home.ledger)) as connection, connection:
        connection.execute("UPDATE cells SET metric_final = 7 WHERE key = (SELECT MIN(key) FROM cells)")
    look = Watcher(read_spec(str(spec)), home).look()
    assert look.damaged == 1
    assert look.counts["pending"] == 1
    assert "1 damaged record left out" in screen(look, 80, 24, ascii_only=False).plain


def test_a_damaged_ledger_is_one_sentence(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is no ledger ends the command with 1, in one line."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    capsys.readouterr()
    assert study("watch", str(spec), "--home", str(home)) == 1
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1
    assert "Traceback" not in said.err
    os.utime(home / "ledger.sqlite", (0, 0))
    with pytest.raises(LedgerError):
        Watcher(read_spec(str(spec)), Home(home)).look(patient=True)
    os.utime(home / "ledger.sqlite")
    assert Watcher(read_spec(str(spec)), Home(home)).look(patient=True).stored == 0


def test_a_ledger_that_is_being_made_is_waited_for(spec: Path, tmp_path: Path) -> None:
    """A watch that began before the home sees its ledger without tables for a while, and goes on."""
    home = Home(tmp_path / "home")
    watcher = Watcher(read_spec(str(spec)), home)
    watcher.look(patient=True)
    home.root.mkdir()
    with closing(sqlite3.connect(home.ledger)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for _ in range(2 * TRIES):
            assert watcher.look(patient=True).stored == 0
        with pytest.raises(LedgerError):
            watcher.look()
    home.ledger.unlink()
    fabricate(spec, home.root, hill)
    assert watcher.look(patient=True).complete


def test_a_ledger_that_is_held_for_a_moment_ends_nothing(spec: Path, tmp_path: Path) -> None:
    """Where the ledger cannot be read, the last look stands for a while; then that is an error."""
    home = Home(tmp_path / "home")
    fabricate(spec, home.root, hill, skip=lambda cell: cell.seed > 0)
    watcher = Watcher(read_spec(str(spec)), home)
    seen = watcher.look(patient=True)
    whole = home.ledger.read_bytes()
    for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (home.root / name).unlink(missing_ok=True)
    home.ledger.write_bytes(b"held" * 1000)
    for _ in range(TRIES):
        assert watcher.look(patient=True) == seen
    with pytest.raises(LedgerError):
        watcher.look(patient=True)
    home.ledger.write_bytes(whole)
    assert watcher.look(patient=True).stored == seen.stored


def test_an_unknown_study_and_a_missing_home(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown name ends with 2; a home that is not there has nothing yet, which is incomplete."""
    home = str(tmp_path / "none")
    assert study("watch", "never-heard-of", "--home", home) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert study("watch", str(spec), "--home", home) == 3
    said = capsys.readouterr().out
    assert said.count("there is no ledger") == 1
    assert "·" in said


def test_a_stored_study_is_found_by_its_name(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading verbs take the name of a study of the home, when its file is gone."""
    home = Home(tmp_path / "home")
    fabricate(spec, home.root, hill)
    found = read_spec(str(spec))
    with closing(home.open_ledger()) as ledger:
        ledger.note_study(found.name, found.remembered(), {})
    spec.unlink()
    for verb in ("status", "watch"):
        code, said = answer(capsys, verb, "tiny", "--home", str(home.root))
        assert code == 0
        assert isinstance(said, dict)
        assert said["finished"] + said["diverged"] == said["cells"] == 162
    assert study("status", "tinny", "--home", str(home.root)) == 2


def test_json_is_one_look(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints one look with every place, and no number that JSON lacks."""
    fabricate(spec, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    code, said = answer(capsys, "watch", str(spec), "--home", str(tmp_path / "home"))
    assert code == 3
    assert isinstance(said, dict)
    assert said["pending"] == 108
    assert not said["complete"]
    (one,) = (one for one in said["maps"] if one["transform"] == "none")
    assert one["place"][0][-1] == "diverged"
    assert one["mean"][0][-1] is None
    assert max(value for row in one["fraction"] for value in row if value is not None) <= 1
    look = Watcher(read_spec(str(spec)), Home(tmp_path / "home")).look()
    assert json.loads(json.dumps(look_values(look), allow_nan=False)) == said


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 12), (20, 6), (10, 4)])
def test_a_screen_fits(width: int, height: int, tmp_path: Path) -> None:
    """No line is wider than the terminal and none is below it; all maps come, page by page."""
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    fabricate(path, tmp_path / "home", hill, skip=lambda cell: cell.seed > 0)
    look = Watcher(read_spec(str(path)), Home(tmp_path / "home")).look()
    seen = ""
    for page in range(len(look.maps)):
        text = screen(look, width, height, page * EVERY, ascii_only=False)
        lines = text.plain.splitlines()
        assert len(lines) <= max(height, 8)
        assert max(map(len, lines)) <= width
        seen += text.plain
    if width >= 40:
        assert all(seen.count(f"={k})") for k in range(2, 9))
    if (width, height) == (80, 24):
        assert "page 1 of" in screen(look, width, height, ascii_only=False).plain
    if (width, height) == (200, 60):
        assert "page" not in screen(look, width, height, ascii_only=False).plain


def test_classes_read_without_colours() -> None:
    """Each class has a glyph of its own, in ASCII too."""
    assert set(GLYPHS) == set(ASCII) == set(SHOWN)
    for glyphs in (GLYPHS, ASCII):
        assert len(set(glyphs.values())) == len(SHOWN)
    assert "".join(ASCII.values()).isascii()


def test_empty_and_one_cell(tmp_path: Path) -> None:
    """A study of one cell, and one that learned nothing, have maps."""
    one = WIDE.replace("[1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]", "[1e-3]").replace("[1e-3, 1e-2, 1e-1]", "[0]")
    path = tmp_path / "one.yaml"
    path.write_text(one)
    spec = parse_spec(one)
    assert "0" in screen(Watcher(spec, Home(tmp_path / "h")).look(), 80, 24, ascii_only=True).plain
    fabricate(path, tmp_path / "h", lambda cell: 0.1)
    look = Watcher(spec, Home(tmp_path / "h")).look()
    assert rows(look, "none") == ["u"]
    fabricate(path, tmp_path / "lost", lambda cell: None)
    assert rows(Watcher(spec, Home(tmp_path / "lost")).look(), "none") == ["d"]
