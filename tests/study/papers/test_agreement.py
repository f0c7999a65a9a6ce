"""Published tables beside studies whose cells are made up.

What agrees, what does not, what cannot be compared, and what was not run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search_spaces import Cell
from study.home import Home
from study.measures.estimate import Estimate
from study.papers.agreement import (
    AGREES,
    DISAGREES,
    NOT_COMPARABLE,
    NOT_RUN,
    UNDECIDED,
    agreement_of,
    printed_cell,
)
from study.papers.recipes import alike, differences, epochs_of, images_of
from study.papers.tables import EXAMPLES, TABLES, USES
from study.plan.cells import settings
from study.report.pictures.panels import place_of
from study.report.pictures.training_curves import chosen_cell
from study.spec.read import parse_spec, read_spec
from study.stored import read
from tests.command import answer, study
from tests.fabricated import fabricate
from tracking import DIVERGED
from trainers.models import MODELS
from trainers.transforms import TRANSFORMS

PAPER = """
name: paper
workload: {name: cifar100, label_smoothing: 0.1, cutmix_probability: 0.5}
model: [resnet20, resnet56]
optimizer: adamw
transforms: [none, zscore, autoscale, {name: autoscale, exponent: 1.0}]
lr: [1e-4, 1e-3]
weight_decay: [5e-5, 5e-3]
seeds: 3
budget: {steps: 39000, batch_size: 256, schedule: step, decay_every: 5850, decay_factor: 0.75}
"""
PRINTED = {(row.model, row.transform): row.value for row in TABLES[0].rows}


def model_of(cell: Cell) -> str:
    return cell.workload.split("/")[1].split("(")[0]


def as_printed(cell: Cell) -> float:
    """The paper's number, a little different for every seed; far from it off the published point."""
    here = (
        PRINTED[model_of(cell), cell.transform]
        if not cell.constants and (cell.lr, cell.weight_decay) == (1e-3, 5e-5)
        else 0.2
    )
    return here + 0.001 * (cell.seed - 1)


def table(
    text: str,
    score: Callable[[Cell], float | None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    **more: Any,
) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows that `study table` gives of a spec whose cells are made up, by network and transform."""
    spec, home = tmp_path / "paper.yaml", tmp_path / "home"
    spec.write_text(text)
    fabricate(spec, home, score, **more)
    code, found = answer(capsys, "table", str(spec), "--home", str(home))
    assert code == (3 if more else 0)
    assert isinstance(found, dict)
    (one,) = found["tables"]
    assert one["seeds"] is None
    assert any("last epoch" in open_question for open_question in one["unknown"])
    assert len(one["rows"]) == len(TABLES[0].rows)
    return {(row["model"], row["transform"]): row for row in one["rows"]}


def test_what_the_paper_printed_agrees_and_what_was_not_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every network and method of the table has a row: it agrees, disagrees, or is not run for a reason."""
    found = table(PAPER, lambda cell: as_printed(cell) - 0.1 * (cell.transform == "zscore"), tmp_path, capsys)
    for model in ("resnet20", "resnet56"):
        for transform in ("none", "autoscale"):
            row = found[model, transform]
            assert (row["agreement"], row["n_seeds"], row["published"]) == (
                AGREES,
                3,
                PRINTED[model, transform],
            )
            assert row["last"]["estimate"] == pytest.approx(PRINTED[model, transform])
            assert row["last"]["interval"][0] < row["published"] < row["last"]["interval"][1]
        assert found[model, "zscore"]["agreement"] == DISAGREES
        assert (found[model, "unit_norm"]["agreement"], found[model, "unit_norm"]["reason"]) == (
            NOT_RUN,
            "unit_norm is not in the spec",
        )
    assert (found["vgg16_bn", "none"]["agreement"], found["vgg16_bn", "none"]["reason"]) == (
        NOT_RUN,
        "vgg16_bn is not in the spec",
    )
    assert study("table", str(tmp_path / "paper.yaml"), "--home", str(tmp_path / "home")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "The margin is 0.005 (fraction of the test images)" in said
    assert "resnet20 AdamW none 0.5932 0.5932 [0.5907, 0.5957] 0.5932 [0.5907, 0.5957] 3 agrees" in said
    assert "no number of seeds" in said
    assert "not run (5 rows): vgg16_bn is not in the spec" in said


def test_a_grid_one_rounding_away_is_the_papers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Axes are computed in decades: the table has its cell wherever the maps have its star."""
    near = PAPER.replace("[1e-4, 1e-3]", f"[1e-4, {math.nextafter(1e-3, 0)!r}]")
    near = near.replace("[5e-5, 5e-3]", f"[{math.nextafter(5e-5, 1)!r}, 5e-3]")
    home = tmp_path / "home"
    found = table(
        near, lambda cell: PRINTED[model_of(cell), cell.transform] + 1e-3 * cell.seed, tmp_path, capsys
    )
    assert found["resnet20", "none"]["n_seeds"] == 3
    analysis = read(read_spec(str(tmp_path / "paper.yaml")), Home(home))
    landscape = analysis.landscapes[0]
    assert printed_cell(analysis, landscape) == (1, 0)
    assert place_of(TABLES[0].recipe, landscape) == (pytest.approx(1.5), pytest.approx(0.5))
    assert chosen_cell(analysis, None, None) == (1, 0, "the published setting")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "budget",
            "{steps: 1560, batch_size: 256, schedule: step, decay_every: 5850, decay_factor: 0.75}",
            "7.99 epochs instead of 200",
        ),
        (
            "budget",
            "{steps: 78000, batch_size: 128, schedule: step, decay_every: 11700, decay_factor: 0.75}",
            "batches of 128 instead of 256",
        ),
        ("budget", "{steps: 39000, batch_size: 256, schedule: cosine}", "schedule cosine instead of step"),
        (
            "budget",
            "{steps: 39000, batch_size: 256, schedule: cosine, warmup: 100}",
            "warmup 100 instead of 0",
        ),
        (
            "budget",
            "{steps: 39000, batch_size: 256, schedule: step, decay_every: 585, decay_factor: 0.75}",
            "lr decays every 3 epochs instead of 30",
        ),
        (
            "budget",
            "{steps: 39000, batch_size: 256, schedule: step, decay_every: 5850, decay_factor: 0.5}",
            "lr decays by 0.5 instead of 0.75",
        ),
        (
            "budget",
            "{steps: 39000, batch_size: 256, schedule: step, decay_every: 5850, decay_factor: 0.75, "
            "loss_scale: 2}",
            "loss_scale 2.0 instead of 1.0",
        ),
        (
            "workload",
            "{name: cifar100, label_smoothing: 0.1, cutmix_probability: 0.5, train_examples: 5000}",
            "5,000 training images instead of 50,000",
        ),
        ("workload", "{name: cifar100, cutmix_probability: 0.5}", "no label smoothing"),
        ("workload", "{name: cifar100, label_smoothing: 0.1}", "no cutmix"),
        (
            "workload",
            "{name: arrays, file: own/cifar100.npz, label_smoothing: 0.1, cutmix_probability: 0.5}",
            "images from own/cifar100.npz (workload arrays) instead of the workload cifar100",
        ),
        ("model", "{name: resnet20, width: 4}", "resnet20(width=4) instead of resnet20"),
        ("optimizer", "adam", "adam instead of adamw"),
    ],
)
def test_another_recipe_is_not_comparable(key: str, value: str, words: str) -> None:
    """Whatever differs from what the paper says is named."""
    lines = [
        line if not line.startswith(f"{key}:") else f"{key}: {value}" for line in PAPER.strip().splitlines()
    ]
    assert words in differences(TABLES[0].recipe, settings(parse_spec("\n".join(lines)))[0])


def test_a_smaller_study_does_not_pretend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The small spec's numbers are not comparable, even where they equal the paper's, and it is said why."""
    said = "; ".join(differences(TABLES[0].recipe, settings(read_spec("autoscale-small"))[0]))
    for words in (
        "cifar100.npz",
        "1,600 training images",
        "1,000 test images",
        "resnet20(width=4)",
        "8 epochs instead of 200",
        "batches of 64",
    ):
        assert words in said, words
    tiny = PAPER.replace("steps: 39000", "steps: 1000")
    assert {row["agreement"] for row in table(tiny, as_printed, tmp_path, capsys).values()} == {
        NOT_COMPARABLE,
        NOT_RUN,
    }


def test_shipped_specs_hold_the_published_points() -> None:
    """Both specs have the published point as a cell, the full one every network and method of the table."""
    (table_1,) = TABLES
    full, small = read_spec("autoscale-cifar100"), read_spec("autoscale-small")
    for setting in settings(full):
        assert differences(table_1.recipe, setting) == ()
    for spec in (full, small):
        assert table_1.recipe.lr in spec.lr
        assert table_1.recipe.weight_decay in spec.weight_decay
        assert {images_of(workload) for workload in spec.workload} == {table_1.recipe.images}
        assert {row.transform for row in table_1.rows} <= {
            one.name for one in spec.transforms if not one.constants
        }
    assert {row.model for row in table_1.rows} == {one.name for one in full.model if not one.constants}
    assert {one.name for one in full.transforms} == set(TRANSFORMS)


def test_published_rows_name_what_exists() -> None:
    """Each row's model and transform are in the trainers' tables, and appear once."""
    for one in TABLES:
        assert {row.model for row in one.rows} <= set(MODELS)
        assert {row.transform for row in one.rows} <= set(TRANSFORMS)
        assert one.recipe.images in EXAMPLES
        assert len({(row.model, row.method) for row in one.rows}) == len(one.rows)
        assert set(one.recipe.uses) <= set(USES)


def test_partial_diverged_and_off_grid_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few seeds are undecided, a diverged seed is reported, untrained or missing cells are not run."""
    (tmp_path / "a").mkdir()
    few = table(
        PAPER,
        as_printed,
        tmp_path / "a",
        capsys,
        skip=lambda cell: cell.transform == "none" or cell.seed == 2,
    )
    assert (few["resnet20", "none"]["agreement"], few["resnet20", "none"]["reason"]) == (
        NOT_RUN,
        "not trained yet",
    )
    assert (few["resnet20", "zscore"]["agreement"], few["resnet20", "zscore"]["n_seeds"]) == (UNDECIDED, 2)
    assert "2 of 3 seeds are trained" in few["resnet20", "zscore"]["reason"]
    (tmp_path / "b").mkdir()
    lost = table(
        PAPER,
        lambda cell: None if cell.seed == 0 or cell.transform == "zscore" else as_printed(cell),
        tmp_path / "b",
        capsys,
    )
    assert (lost["resnet20", "none"]["agreement"], lost["resnet20", "none"]["reason"]) == (
        DIVERGED,
        "1 of 3 seeds diverged",
    )
    assert (lost["resnet20", "zscore"]["agreement"], lost["resnet20", "zscore"]["last"]) == (DIVERGED, None)
    (tmp_path / "c").mkdir()
    off = table(PAPER.replace("[1e-4, 1e-3]", "[1e-4]"), as_printed, tmp_path / "c", capsys)
    assert "no cell of the grid" in off["resnet20", "none"]["reason"]


def test_a_study_of_other_data_has_no_table(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study that no published table is about says so, and which ones there are."""
    fabricate(tiny, tmp_path / "home", lambda cell: 0.5)
    assert answer(capsys, "table", str(tiny), "--home", str(tmp_path / "home")) == (
        0,
        {"study": "tiny", "tables": []},
    )
    assert study("table", str(tiny), "--home", str(tmp_path / "home")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no published table is about the data of tiny" in said
    assert "2509.03677" in said


def test_agreement_is_as_defined() -> None:
    """A whole interval inside the margin agrees, a number outside of a single run's interval disagrees.

    Everything else is undecided. So is everything where there is one seed. A margin that holds the interval
    wins over a difference that seeds can see.
    """
    seen = Estimate((0.50, 0.51, 0.52))
    half = seen.half_width(0.95)
    for margin, distance, wanted in (
        (2 * half, 0.0, AGREES),
        (2 * half, 0.99 * half, AGREES),
        (2 * half, 1.1 * half, UNDECIDED),
        (2 * half, 1.9 * half, UNDECIDED),
        (2 * half, 2.1 * half, DISAGREES),
        (4 * half, 2.1 * half, AGREES),
    ):
        for sign in (1, -1):
            found = agreement_of(seen, 0.51 + sign * distance, 4, 0.95, margin)
            assert found.word == wanted
    same = Estimate((0.5, 0.5, 0.5))
    assert agreement_of(same, 0.50505, 4, 0.95, 0.005).word == AGREES
    assert agreement_of(same, 0.6, 4, 0.95, 0.005).word == UNDECIDED
    assert agreement_of(Estimate((0.5,)), 0.5, 4, 0.95, 0.005).word == UNDECIDED


def test_a_wide_interval_around_the_number_is_undecided() -> None:
    """What is undecided says whether the interval is too wide, or narrow enough but in the wrong place."""
    wide = agreement_of(Estimate((0.50, 0.51, 0.52)), 0.51, 4, 0.95, 0.005)
    assert wide == (UNDECIDED, "the interval is too wide (half-width 0.025, margin 0.005)")
    beside = agreement_of(Estimate((0.509, 0.51, 0.511)), 0.514, 4, 0.95, 0.005)
    assert beside.word == UNDECIDED
    assert beside.reason == (
        "the interval is narrow enough but leaves the margin "
        "(the mean is 0.004 away, half-width 0.0025, margin 0.005)"
    )


def test_a_noisy_study_is_undecided_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds that scatter by several points around the paper's number do not confirm it."""
    found = table(PAPER, lambda cell: as_printed(cell) + 0.03 * (cell.seed - 1), tmp_path, capsys)
    row = found["resnet20", "none"]
    assert row["agreement"] == UNDECIDED
    assert "the interval is too wide (half-width 0.077, margin 0.005)" in row["reason"]


def test_epochs_are_counted_where_the_images_are_known() -> None:
    """Epochs are steps times batch over images; of data of unknown size there are none."""
    setting = settings(parse_spec(PAPER))[0]
    counted = epochs_of(setting, 39000)
    assert counted is not None
    assert alike(counted, 200)
    own = replace(setting, workload=replace(setting.workload, name="arrays", constants=(("file", "x.npz"),)))
    assert epochs_of(own, 100) is None
    assert any("epochs are not known here" in words for words in differences(TABLES[0].recipe, own))
