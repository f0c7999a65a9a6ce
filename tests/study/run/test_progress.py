"""What is shown while a launch runs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import pytest
from rich.console import Console

from study.plan.job import Job
from study.run import progress
from study.run.pool import Failure
from study.run.progress import Display
from tests.command import study
from tests.conftest import TINY
from tests.making import records
from tracking import Mirror

WINDOW = ("--lr", "0.01", "10", "--weight-decay", "0.01", "10", "--points", "16")


@dataclass
class Tracker:
    """A mirror that has so many cells to show."""

    waiting: int = 0
    trouble: str | None = None


def shown(display: Display) -> str:
    """What a display printed."""
    return cast(io.StringIO, display._console.file).getvalue()


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """A mirror; and lines are printed whenever there is something to say."""
    monkeypatch.setattr(progress, "EVERY", 0.0)
    return Tracker()


def display(tracker: Tracker, *, terminal: bool = False) -> Display:
    """A display of a study with two stored cells, on paper or on a terminal."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    return Display(console, {"a": "finished", "b": "diverged", "c": "failed"}, cast(Mirror, tracker))


def test_the_total_is_right_from_the_start(tracker: Tracker) -> None:
    """Before Ray is started all cells of the study are counted, and a failed one is among the missing."""
    with display(tracker) as seen:
        seen.expect(34)
        assert seen.line() == "2/36 cells done, 1 diverged, 34 pending"
        seen.begin("starting Ray")
        assert seen.line() == "starting Ray"
        seen.train(34, 6)
        seen.add(records(6))
    *_, training, last = shown(seen).splitlines()
    assert training == "training 34 cells in 6 tiles"
    assert last.startswith("8/36 cells done, 1 diverged, 28 pending, ")
    assert last.endswith(" left")


def test_rounds_add_to_the_total(tracker: Tracker) -> None:
    """With an edge-seeking design the total is what is known of it."""
    with display(tracker) as seen:
        seen.train(3, 1)
        seen.add(records(3))
        seen.train(2, 2)
        seen.add(records(2))
    said = [line.split(",")[0] for line in shown(seen).splitlines()]
    assert said == [
        *("training 3 cells in 1 tile", "5/5 cells done"),
        *("training 2 more cells in 2 tiles", "7/7 cells done"),
    ]


def test_time_does_not_count_before_training(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray and measuring widths make no cell slower."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with display(tracker) as seen:
        seen.begin("starting Ray")
        now[0] = 100.0
        seen.train(30, 3)
        now[0] = 102.0
        seen.add(records(10))
    assert shown(seen).splitlines()[-1].endswith("20 pending, 5.0 cells/s, 4 s left")


def test_runs_on_their_way_are_told_when_training_has_ended(tracker: Tracker) -> None:
    """The runs of the last tile are no news while others are trained. What is left at the end is counted."""
    with display(tracker) as seen:
        seen.train(6, 1)
        tracker.waiting = 6
        seen.add(records(6))
        assert "MLflow" not in shown(seen)
        seen.writing()
        tracker.waiting = 2
        seen.writing()
    assert shown(seen).splitlines()[-2:] == ["writing 6 runs to MLflow", "2 runs left to write to MLflow"]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_done_is_said_once(tracker: Tracker, terminal: bool) -> None:
    """Two settings of one name are measured in one line, which the live line below does not repeat."""
    measuring = "measuring how many cells of digits/mlp are best trained together"
    with display(tracker, terminal=terminal) as seen:
        seen.expect(34)
        seen.begin(measuring)
        seen.refresh()
        seen.begin(measuring)
        seen.refresh()
    assert shown(seen).count("measuring") == 1


@pytest.mark.parametrize(
    ("cells", "tiles", "words"), [(1, 1, "1 cell in 1 tile"), (6, 2, "6 cells in 2 tiles")]
)
def test_one_is_no_plural(tracker: Tracker, cells: int, tiles: int, words: str) -> None:
    """`1 cell`, not `1 cells`."""
    with display(tracker) as seen:
        seen.train(cells, tiles)
        assert shown(seen) == f"training {words}\n"


def test_nothing_left_to_write_is_not_told(tracker: Tracker) -> None:
    """Where MLflow has everything, nothing is said of it."""
    with display(tracker) as seen:
        seen.writing()
    assert shown(seen) == ""


def test_trouble_of_the_tracker_is_told_at_once(tracker: Tracker) -> None:
    """An unreachable tracker is named while cells are trained."""
    tracker.trouble = "ConnectionError: no"
    with display(tracker) as seen:
        seen.train(12, 2)
        seen.add(records(6))
    assert shown(seen).splitlines()[-1].endswith("training goes on (ConnectionError: no)")


@pytest.mark.parametrize("terminal", [False, True])
def test_brackets_of_a_tracker_are_words(tracker: Tracker, terminal: bool) -> None:
    """What looks like markup in a server's fault is shown as it is, and ends no training."""
    with display(tracker, terminal=terminal) as seen:
        seen._console.width = 240
        seen.train(12, 2)
        tracker.trouble = "RestException: [bold]404[/] at [/api/2.0/mlflow]"
        seen.add(records(6))
        seen.refresh(force=True)
        seen.waits("waiting for a launch in [/home]")
        seen._bar.refresh()
    words = " ".join(shown(seen).split())
    assert "training goes on (RestException: [bold]404[/] at [/api/2.0/mlflow])" in words
    assert "waiting for a launch in [/home]" in words


@pytest.mark.parametrize(("verb", "more"), [("launch", ()), ("zoom", ("--transform", "none", *WINDOW))])
def test_brackets_of_a_label_are_words(
    verb: str,
    more: tuple[str, ...],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A launch and a zoom say what they load, whatever the user called it."""

    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("study.run.launch.fingerprints_of_data", interrupted)
    tiny.write_text(TINY.replace("model: mlp", "model: {name: mlp, label: 'net [bold]'}"))
    assert study(verb, str(tiny), "--here", "--home", str(tmp_path / "home"), *more) == 130
    assert "loading digits/net [bold]" in capsys.readouterr().out


def test_a_terminal_has_one_live_line(tracker: Tracker) -> None:
    """On a terminal steps are lines that stay, and counts a line that is drawn anew."""
    with display(tracker, terminal=True) as seen:
        seen.expect(6)
        seen.begin("starting Ray")
        seen.train(6, 1)
        assert seen._bar.tasks[0].description == "2/8 cells done, 1 diverged, 6 pending"
        assert (seen._bar.tasks[0].completed, seen._bar.tasks[0].total) == (2, 8)
    assert "starting Ray" in shown(seen)


FIRST = """
import sys
from study.cli import launch, main

class Looks:
    def print(self, said, **how):
        heavy = {"numpy", "scipy", "pandas", "torch", "matplotlib", "optuna", "mlflow", "ray"}
        print(said, *heavy & set(sys.modules))
        sys.exit()

launch.progress_console = lambda as_json: Looks()
sys.argv = ["study", "launch", "quickstart"]
main()
"""


def test_the_first_word_comes_before_the_libraries() -> None:
    """A launch says what it does before it loads anything heavy: in the first second."""
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=False)
    assert done.stdout == "reading quickstart\n", done.stderr


def test_ctrl_c_beside_training_says_how_to_go_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While data are loaded or results are drawn too, the command is repeated with its options."""

    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("study.run.launch.fingerprints_of_data", interrupted)
    home = tmp_path / "home"
    assert study("launch", str(tiny), "--here", "--home", str(home)) == 130
    said = capsys.readouterr().out
    assert said.strip().endswith(f"Go on with: study launch {tiny} --here --home {home}")
    assert not home.exists()


def test_ctrl_c_in_training_is_answered_before_the_workers_end(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To end Ray takes seconds, so that what becomes of the tile in training is said first, and once."""
    said = []

    class Interrupted:
        workers: ClassVar = {"": "here"}

        def width(self, job: Job, accelerator: str) -> int:
            return 3

        def train(self, jobs: object, done: object) -> list[Failure]:
            raise KeyboardInterrupt

    @contextmanager
    def pool(*given: object) -> Iterator[Interrupted]:
        try:
            yield Interrupted()
        finally:
            said.append(capsys.readouterr().out)

    monkeypatch.setattr("study.run.driver.in_this_process", pool)
    assert study("launch", str(tiny), "--here", "--home", str(tmp_path / "home")) == 3
    assert said[0].endswith(
        "stopping: what finished is kept; a tile in training begins again next time, "
        "or goes on from its last checkpoint (one every 60 s)\n"
    )
    assert "stopping" not in capsys.readouterr().out
