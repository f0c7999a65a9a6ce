"""The log of a tile: bounded, only where something was printed, and never in the way of progress."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from search_spaces import Tile
from study.plan.cells import make_plan
from study.run.tile_log import MOST, TileLogs, apart, captured
from study.spec.read import parse_spec
from tests.conftest import TINY

TILE = Tile(make_plan(parse_spec(TINY), {}).cells[:2])


def test_a_log_is_the_end_of_what_was_printed(tmp_path: Path) -> None:
    """Python's prints, descriptors and other programs are in it, in order; a long one keeps its end."""
    path = tmp_path / "folder" / "log"
    with captured(path):
        print("a print")
        os.write(2, b"a descriptor\n")
        os.system("echo a program")
    assert path.read_text() == "a print\na descriptor\na program\n"
    with captured(path):
        for k in range(30):
            print(f"{k} " + "x" * MOST)
        print("the end")
    assert len(path.read_bytes()) < 1.1 * MOST
    assert path.read_text().startswith("(the beginning was cut)")
    assert path.read_text().endswith("the end\n")


def test_a_quiet_tile_leaves_no_log(tmp_path: Path) -> None:
    """A tile that prints nothing leaves no file, not even that of an earlier try, and has no tail."""
    logs = TileLogs(tmp_path)
    with logs.of(TILE):
        print("\n".join(f"line {k}" for k in range(20)))
    assert logs.tail(TILE).splitlines()[1:] == [f"  line {k}" for k in range(10, 20)]
    with logs.of(TILE):
        pass
    assert logs.tail(TILE) == ""
    assert list(tmp_path.iterdir()) == []


def test_each_try_has_a_file_of_its_own(tmp_path: Path) -> None:
    """What a process of an earlier try prints is not in a later log; no link in its place is followed."""
    path, other = tmp_path / "log", tmp_path / "other"
    with captured(path):
        earlier = os.dup(1)
    try:
        with captured(path):
            os.write(earlier, b"of the first try")
            print("of the second")
    finally:
        os.close(earlier)
    assert path.read_text() == "of the second\n"
    assert path.stat().st_mode & 0o777 == 0o600
    other.write_text("not a log")
    path.unlink()
    path.symlink_to(other)
    with captured(path):
        print("of the third")
    assert (path.read_text(), other.read_text()) == ("of the third\n", "not a log")


def test_a_quiet_try_leaves_the_log_of_a_later_one(tmp_path: Path) -> None:
    """A worker that was given up for lost and ends after all does not remove what is not its own."""
    path = tmp_path / "log"
    with captured(path):
        path.unlink()
        path.write_text("of a later try")
    assert path.read_text() == "of a later try"


def test_a_log_that_cannot_be_written_costs_no_tile(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is printed then goes where it went before."""
    (tmp_path / "file").write_text("")
    with TileLogs(tmp_path / "file").of(TILE):
        print("printed")
    assert capfd.readouterr().out == "printed\n"


def test_progress_goes_past_the_log(tmp_path: Path) -> None:
    """A console writes to where standard output led, even while it leads to a log, and afterwards too."""
    code = (
        "import sys; from pathlib import Path; from rich.console import Console; "
        "from study.run.tile_log import apart, captured\n"
        "console = Console()\n"
        "with apart(console), captured(Path(sys.argv[1])):\n"
        "    print('to the log'); console.print('progress')\n"
        "console.print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("progress\nafter\n", "")
    assert (tmp_path / "log").read_text() == "to the log\n"
    # A notebook's stream has no descriptor.
    console = Console(file=io.StringIO())
    with apart(console), captured(tmp_path / "log"):
        console.print("progress")
    assert console.file.getvalue() == "progress\n"  # type: ignore[attr-defined]
