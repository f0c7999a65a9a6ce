"""What a launch and an analysis end with: the best of each transform, verdicts, and commands to paste."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

import study as face
from search_spaces import Cell
from study.measures.reference import held_out
from study.report.plain.best import best_values
from study.report.terminal.best import best_table
from study.report.terminal.claims import claims_table
from study.report.terminal.pasted import reachable, same_again, suggested
from tests.fabricated import WIDE, fabricate, hill


def noisy(cell: Cell) -> float | None:
    """The hill with luck: every seed has a best cell of its own."""
    found = hill(cell)
    place = 7 * np.log10(cell.lr) + 5 * np.log10(cell.weight_decay) + 11 * cell.seed
    return found if found is None else float(found + 0.02 * np.sin(3 * place))


def printed(shown: RenderableType) -> str:
    """What a wide terminal shows."""
    text = io.StringIO()
    Console(file=text, width=200).print(shown, highlight=False)
    return text.getvalue()


@pytest.fixture
def fabricated(tmp_path: Path) -> tuple[str, str]:
    """A noisy study that was never trained: its spec and its home."""
    spec, home = tmp_path / "wide.yaml", tmp_path / "home"
    spec.write_text(WIDE)
    fabricate(spec, home, noisy)
    return str(spec), str(home)


def test_the_best_of_each_transform(fabricated: tuple[str, str]) -> None:
    """Both widths with their intervals, best lr, weight decay and score, by transform.

    The score is held out: below the best cell's own mean, which the same numbers chose.
    """
    analysis = face.analyse(*fabricated)
    found = best_values(analysis)
    assert [one["transform"] for one in found] == ["none", "unit_norm", "autoscale"]
    for one, landscape in zip(found, analysis.landscapes, strict=True):
        score_WL = landscape.score_SWL.mean(axis=0)
        row, column = np.unravel_index(score_WL.argmax(), score_WL.shape)
        assert (one["lr"], one["weight_decay"]) == (landscape.lr[column], landscape.weight_decay[row])
        assert one["score"]["unit"] == "accuracy"
        assert one["score"]["estimate"] == pytest.approx(held_out(landscape.score_SN).mean())
        assert one["score"]["estimate"] < score_WL.max() - 0.001
        regions = analysis.regions.set_index(["transform", "kind", "reference"])
        for kind in ("trained", "competitive"):
            row_of = regions.loc[(one["transform"], kind, "own")]
            width = one[f"{kind}_lr_width"]
            assert width["estimate"] == row_of["lr_width"]
            assert width["interval"] == [row_of["lr_width_low"], row_of["lr_width_high"]]
    said = printed(best_table(analysis))
    assert said.startswith("Best of tiny")
    for one in found:
        (line,) = [row for row in said.splitlines() if row.split()[:1] == [one["transform"]]]
        low, high = one["trained_lr_width"]["interval"]
        assert f"[{low:.2f}, {high:.2f}]" in line
        assert f"{one['score']['estimate']:.3g} [" in line
        assert f" {one['lr']:.3g}" in line


def test_the_best_is_a_table_for_scripts(fabricated: tuple[str, str]) -> None:
    """`analysis.best` has a row per transform and numeric columns, as the JSON has them."""
    analysis = face.analyse(*fabricated)
    assert list(analysis.best["transform"]) == ["none", "unit_norm", "autoscale"]
    assert analysis.best["score"].dtype == analysis.best["lr"].dtype == float
    assert (analysis.best["score_low"] < analysis.best["score"]).all()


@pytest.mark.parametrize(
    ("text", "score", "skip", "words"),
    [
        (WIDE.replace("seeds: 3", "seeds: 1"), noisy, None, "One seed has no others"),
        (WIDE, lambda cell: 0.1, None, "no cell is better than the untrained network"),
        (WIDE, noisy, lambda cell: cell.lr == 1, "no seed is complete yet"),
        (WIDE, lambda cell: 0.1 + cell.lr / 2, None, "at the border of the grid; the best may lie outside"),
    ],
    ids=["one seed", "nothing learned", "no seed complete", "best at the border"],
)
def test_a_best_that_is_none_is_said(
    text: str, score: object, skip: object, words: str, tmp_path: Path
) -> None:
    """Where there is no best cell, or it may be elsewhere, the table says so, and no number is made up."""
    spec, home = tmp_path / "wide.yaml", tmp_path / "home"
    spec.write_text(text)
    fabricate(spec, home, score, **({"skip": skip} if skip else {}))  # type: ignore[arg-type]
    analysis = face.analyse(spec, home)
    assert words in " ".join(printed(best_table(analysis)).split())
    for one in best_values(analysis):
        assert (one["lr"] is None) == (words.startswith("no "))
        assert bool(one["borders"]) == (one["lr"] == 1 or one["weight_decay"] in (1e-3, 1e-1))


def test_claims_about_absent_transforms_are_one_line(tmp_path: Path) -> None:
    """What the study has no transform for is counted in a line; what else claims lack is said once each."""
    spec, home = tmp_path / "wide.yaml", tmp_path / "home"
    spec.write_text(WIDE)
    fabricate(spec, home, hill)
    said = printed(claims_table(face.analyse(spec, home)))
    assert "has no transform" not in said
    (line,) = [line for line in said.splitlines() if "transforms that this study does not have" in line]
    assert line == (
        "15 claims are about transforms that this study does not have: zscore, gradient_stabilizer"
    )
    assert "autoscale-converges, autoscale-converges-premise: a smooth problem" in said


def test_suggested_commands_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shell does not find `study`, a suggestion names it by its path, as it was called."""
    monkeypatch.chdir(tmp_path)
    tool = tmp_path / ".venv" / "bin" / "study"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    home, elsewhere = Path("my home"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(sys, "argv", [".venv/bin/study", "launch", "a b.yaml", "--here", "--home", "my home"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert suggested("ui", home=home) == ".venv/bin/study ui --home 'my home'"
    assert same_again() == ".venv/bin/study launch 'a b.yaml' --here --home 'my home'"
    monkeypatch.setattr(sys, "argv", [str(tool), *sys.argv[1:]])
    assert suggested("ui") == ".venv/bin/study ui"
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    assert suggested("ui") == "study ui"
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert suggested("ui") == f"{tool} ui"


def test_a_module_is_suggested_as_one(tmp_path: Path) -> None:
    """After `python -m study.cli` the suggestion runs as it stands."""
    spec = tmp_path / "tiny.yaml"
    spec.write_text(WIDE)
    command = [sys.executable, "-m", "study.cli", "analyse", "tiny.yaml", "--home", "h"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    start = done.stdout.strip().partition("start with: ")[2]
    assert start.endswith("-m study.cli launch tiny.yaml --home h")
    helped = subprocess.run(
        [*shlex.split(start), "--help"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert helped.returncode == 0
    assert "Train what is missing" in helped.stdout


def test_a_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is suggested shows no password that was typed, and can be pasted with a file."""
    address = "http://me:hush@tracker:5000/a@b"
    for words in ([f"--tracking-uri={address}"], ["--tracking-uri", address]):
        monkeypatch.setattr(sys, "argv", ["study", "launch", "q", *words])
        assert "hush" not in same_again()
        assert "*" not in same_again()
        assert same_again().replace("=", " ").endswith("launch q --tracking-uri @FILE")
    monkeypatch.setattr(sys, "argv", ["study", "launch", "q", "--tracking-uri", "http://tracker:5000"])
    assert same_again().endswith("--tracking-uri http://tracker:5000")


def test_a_file_of_the_current_folder_has_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell looks for a bare word in its path alone."""
    monkeypatch.chdir(tmp_path)
    assert reachable(tmp_path / "study") == "./study"
    assert re.fullmatch(r"'?[^']*with blank[^']*'?", reachable(tmp_path / "with blank" / "study"))
