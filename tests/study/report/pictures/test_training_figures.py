"""Figures of training, of made-up records whose series are known.

What is drawn is what was recorded, and what is missing is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_spaces import Cell
from study.errors import UserError
from study.file_names import file_name, tag_name
from study.home import Home
from study.plan.cells import make_plan, settings
from study.report.export import export
from study.report.pictures.training_curves import tracks
from study.report.pictures.training_figures import FIGURES, draw_figures
from study.spec.read import read_spec
from study.stored import read
from tests.command import answer, study
from tests.fabricated import Score, hill, record_of
from tests.study.report.pictures import inked

TEXT = """
name: figs
workload: digits
model: mlp
optimizer: adamw
transforms: [none, autoscale, {name: autoscale, exponent: 1.0}]
lr: [1e-3, 1e-2, 1]
weight_decay: [1e-2, 1]
seeds: 3
budget: {steps: 100, batch_size: 32, dynamics: 20}
"""
PAPER = (
    TEXT.replace("workload: digits", "workload: {name: cifar100, label_smoothing: 0.1}")
    .replace("model: mlp", "model: resnet20")
    .replace("[1e-2, 1]", "[5e-5, 1e-2]")
)
STEPS = [1, 21, 41, 61, 81]
Seen = Callable[[Cell], dict[str, Any]]


def seen(cell: Cell) -> dict[str, Any]:
    """Deviations of two layers that fall with the step, e^-(2 + seed) at first.

    A diverged cell ends after the second moment.
    """
    std: list[float | None] = [float(np.exp(-(2 + cell.seed) - j)) for j in range(len(STEPS))]
    if hill(cell) is None:
        std[2:] = [None] * 3
    return {
        "step": STEPS,
        "grad_std": std,
        "scale": [0.5] * 5,
        "update_ratio": [1e-3] * 5,
        "layer_std": {"a": std, "b": std},
        "gain": {"a": [1.0] * 5, "b": [1.0] * 5},
    }


def store(
    text: str,
    folder: Path,
    score: Score = hill,
    dynamics: Seen = seen,
    skip: Callable[[Cell], bool] = lambda cell: False,
) -> tuple[str, str]:
    """A study whose records are made up: its spec and home."""
    path, home = folder / "figs.yaml", folder / "home"
    path.write_text(text)
    spec, place = read_spec(str(path)), Home(home)
    place.prepare()
    with closing(place.open_ledger()) as ledger:
        prints = {setting.name: "made up" for setting in settings(spec)}
        ledger.note_fingerprints(spec.name, prints)
        cells = [cell for cell in make_plan(spec, prints).cells if not skip(cell)]
        ledger.add(
            replace(
                record_of(cell, score(cell)),
                constants=json.dumps(dict(cell.constants)),
                dynamics=json.dumps(dynamics(cell)),
            )
            for cell in cells
        )
    return str(path), str(home)


def test_bands_are_what_was_recorded(tmp_path: Path) -> None:
    """Mean, least and greatest over the seeds at every moment.

    The computed scale factor is the formula of the recorded deviation.
    """
    spec, home = store(TEXT, tmp_path)
    (group,) = tracks(read(read_spec(spec), Home(Path(home))), 1e-2, 1.0)
    assert [track.landscape.transform for track in group] == ["none", "autoscale", "autoscale(exponent=1.0)"]
    band = group[1].recorded("grad_std")
    assert band is not None
    assert band.at_J == tuple(STEPS)
    assert band.high_J == pytest.approx(np.exp(-2.0 - np.arange(5)))
    assert band.low_J == pytest.approx(np.exp(-4.0 - np.arange(5)))
    assert band.mean_J == pytest.approx(np.mean([np.exp(-2.0 - s - np.arange(5)) for s in range(3)], axis=0))
    assert list(group[0].layers("layer_std")) == ["a", "b"]
    squared = group[1].scale_with(2.0)
    assert squared is not None
    assert squared.high_J[0] == pytest.approx((4 / 2) ** 2)
    metric = group[0].metric()
    assert metric is not None
    assert (metric.at_J[-1], metric.mean_J[-1]) == (
        100,
        pytest.approx(np.mean([hill(replace_seed(group[0], s)) for s in range(3)])),
    )


def replace_seed(track: Any, seed: int) -> Cell:
    """The cell of a track at a seed."""
    landscape = track.landscape
    return Cell(
        "w",
        "adamw",
        landscape.method,
        landscape.constants,
        landscape.lr[track.column],
        landscape.weight_decay[track.row],
        seed,
        "",
    )


def test_the_cell_that_is_drawn(tmp_path: Path) -> None:
    """The published setting where the grid has it, counted in epochs, else each transform's best.

    What is asked for comes first, and must be on the grid.
    """
    (tmp_path / "paper").mkdir()
    spec, home = store(PAPER, tmp_path / "paper")
    (group,) = tracks(read(read_spec(spec), Home(Path(home))))
    assert {(track.place, track.chosen, track.unit) for track in group} == {
        ("lr 0.001, weight decay 5e-05", "the published setting", "epoch")
    }
    spec, home = store(TEXT, tmp_path)
    analysis = read(read_spec(spec), Home(Path(home)))
    (group,) = tracks(analysis)
    assert all(
        track.place.startswith("lr 0.01,")
        and track.chosen == "each transform's best cell"
        and track.unit == "step"
        for track in group
    )
    assert tracks(analysis, 1e-3)[0][0].place.startswith("lr 0.001,")
    with pytest.raises(UserError, match=r"--lr 0.5 is not on the study's grid; wanted one of 0.001, 0.01, 1"):
        tracks(analysis, 0.5)


@dataclass(frozen=True)
class Case:
    """Records, and how many figures they give; words of what is missing."""

    text: str = TEXT
    score: Score = hill
    dynamics: Seen = seen
    skip: Callable[[Cell], bool] = lambda cell: False
    figures: int = len(FIGURES)
    words: str = ""
    code: int = 0


CASES = {
    "ordinary": Case(),
    "one seed": Case(text=TEXT.replace("seeds: 3", "seeds: 1")),
    "everything diverged": Case(score=lambda cell: None),
    "diverged in the first step": Case(
        score=lambda cell: None,
        dynamics=lambda cell: seen(cell) | {name: [None] * 5 for name in ("grad_std", "scale")},
        figures=2,
    ),
    "no dynamics": Case(
        text=TEXT.replace(", dynamics: 20", ""),
        dynamics=lambda cell: {},
        figures=1,
        words="needs recorded dynamics (budget: dynamics)",
    ),
    "deviations of zero": Case(
        dynamics=lambda cell: (
            seen(cell) | {"grad_std": [0.0] * 5, "layer_std": {"a": [0.0] * 5, "b": [0.0] * 5}}
        )
    ),
    "without autoscale": Case(
        text=TEXT.replace(", autoscale, {name: autoscale, exponent: 1.0}", ", zscore"),
        figures=3,
        words="needs the transform autoscale",
    ),
    "a seed is missing": Case(skip=lambda cell: cell.seed == 2, code=3),
    "nothing stored": Case(skip=lambda cell: True, figures=0, words="needs trained cells", code=3),
}


@pytest.mark.parametrize("name", CASES)
def test_figures_are_drawn_or_their_lack_is_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However little is stored: pictures with ink, or words. Nothing is both drawn and missing."""
    case = CASES[name]
    spec, home = store(case.text, tmp_path, case.score, case.dynamics, case.skip)
    code, found = answer(capsys, "figures", spec, "--home", home, "--out", str(tmp_path / "out"))
    assert code == case.code
    assert isinstance(found, dict)
    assert len(found["figures"]) == case.figures
    assert len(found["figures"]) + len(found["missing"]) == len(FIGURES)
    assert case.words in " ".join(found["missing"].values())
    assert all(inked(Path(path)) for path in found["figures"])


def test_bands_have_the_moments_of_all_seeds(tmp_path: Path) -> None:
    """Where seeds recorded steps of their own, a band has those of all seeds that still train.

    A seed that diverged removes no step after its end.
    """

    def spiked(cell: Cell) -> dict[str, Any]:
        steps = sorted([*STEPS, 30 + cell.seed])[: 3 if cell.seed == 2 else 6]
        std = [float(step) for step in steps]
        return {"step": steps, "grad_std": std, "layer_std": {"a": std}}

    spec, home = store(TEXT, tmp_path, lambda cell: None if cell.seed == 2 else 0.5, spiked)
    (group,) = tracks(read(read_spec(spec), Home(Path(home))), 1e-2, 1.0)
    band = group[0].recorded("grad_std")
    assert band is not None
    assert band.at_J == tuple(STEPS)
    for values in (band.mean_J, band.low_J, band.high_J):
        assert values.tolist() == STEPS
    squared = group[1].scale_with(2.0)
    assert squared is not None
    assert squared.at_J == tuple(STEPS)


def test_what_is_missing_before_and_after_training(tmp_path: Path) -> None:
    """Without a cell, trained cells are missing, and not the dynamics that the spec has.

    Where cells ended at once, finite numbers are missing.
    """
    spec, home = store(TEXT, tmp_path, skip=lambda cell: True)
    found = draw_figures(read(read_spec(spec), Home(Path(home))), tmp_path / "out")
    assert set(found[1].values()) == {"needs trained cells"}
    ended = tmp_path / "ended"
    ended.mkdir()
    spec, home = store(
        TEXT,
        ended,
        lambda cell: None,
        lambda cell: seen(cell) | {name: [None] * 5 for name in ("grad_std", "scale")},
    )
    found = draw_figures(read(read_spec(spec), Home(Path(home))), ended / "out")
    assert set(found[1].values()) == {"needs finite numbers: the cells ended before one was recorded"}


def test_long_names_stay_apart(tmp_path: Path) -> None:
    """Names up to 180 characters stay. Longer ones fit everywhere, and differ where their ends do."""
    assert file_name("score-digits (mlp)+1_2.5") == "score-digits--mlp-+1_2.5"
    assert file_name("a" * 180) == "a" * 180
    long = [file_name("a" * 400 + end) for end in "bc"]
    assert long[0] != long[1]
    assert {name[:171] for name in long} == {"a" * 170 + "-"}
    assert {len(name) for name in long} == {179}
    assert len(file_name("ä" * 180).encode()) <= 180
    tags = [tag_name("w" * 400 + end) for end in "bc"]
    assert tags[0] != tags[1]
    assert max(map(len, tags)) <= 180
    assert tag_name("digits · adamw") == "digits.adamw"


def test_networks_with_long_names_have_figures_each(tmp_path: Path) -> None:
    """Workloads whose labels are too long for a file's name, and end differently, all have pictures."""
    place = "/".join(["a" * 60] * 5)
    long = f"workload: {{name: arrays, file: {place}/cifar.npz, label_smoothing: [0.1, 0.2]}}"
    spec, home = store(TEXT.replace("workload: digits", long), tmp_path)
    written = export(read(read_spec(spec), Home(Path(home))), tmp_path / "out")
    for folder, count in (("figures", 2 * (len(FIGURES) + 4)), ("heatmaps", 6)):
        names = [path.name for path in written if path.parent.name == folder]
        assert len(set(names)) == len(names) == count
        assert len(list((tmp_path / "out" / folder).iterdir())) == count
        assert max(map(len, names)) <= 184


DRAWN = {"forest", "slices"}
"""Plots of every export."""


def test_exports_have_figures_where_dynamics_were_recorded(tmp_path: Path) -> None:
    """A study that records dynamics exports its figures beside its heatmaps; another does not."""
    spec, home = store(TEXT, tmp_path)
    written = export(read(read_spec(spec), Home(Path(home))), tmp_path / "out")
    assert kinds(written) == {*FIGURES, *DRAWN}
    plain = tmp_path / "plain"
    plain.mkdir()
    spec, home = store(TEXT.replace(", dynamics: 20", ""), plain, dynamics=lambda cell: {})
    assert kinds(export(read(read_spec(spec), Home(Path(home))), plain / "out")) == DRAWN


def kinds(written: list[Path]) -> set[str]:
    """What the figures of an export are of."""
    return {path.name.split("-digits")[0] for path in written if path.parent.name == "figures"}


def test_a_place_off_the_grid_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and the weight decays that there are."""
    spec, home = store(TEXT, tmp_path)
    assert study("figures", spec, "--home", home, "--weight-decay", "3") == 2
    assert "--weight-decay 3 is not on the study's grid; wanted one of 0.01, 1" in " ".join(
        capsys.readouterr().err.split()
    )
