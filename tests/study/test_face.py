"""What a script or a notebook sees of the package: `import study` and `study.claims`."""

from __future__ import annotations

import csv
import doctest
import json
import math
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from rich.console import Console

import study
import study.claims
from study.analysis import Analysis
from study.claims import Claim
from study.errors import UserError
from study.launch_result import Launch
from study.spec.model import StudySpec
from tests.conftest import ONE_CELL, TINY


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Launch]:
    """A tiny study, launched as a script does it: its spec file, and how the launch ended."""
    folder = tmp_path_factory.mktemp("script")
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    spec = study.read_spec(path)
    return path, study.launch(spec, home=folder / "home", here=True, console=Console(quiet=True))


@pytest.fixture
def analysis(launched: tuple[Path, Launch]) -> Analysis:
    """What the home of the launched study says, read by a script of another day."""
    path, _ = launched
    return study.analyse(study.read_spec(path), home=path.parent / "home")


def test_a_launch_trains_every_cell_once(launched: tuple[Path, Launch]) -> None:
    """The first launch trains all cells of the spec, and the same call again trains none."""
    path, ended = launched
    assert study.read_spec(path).size == ended.trained == 36
    assert (ended.failures, ended.interrupted, ended.mlflow_runs) == ((), False, 36)
    again = study.launch(path, path.parent / "home", here=True, console=Console(quiet=True))
    assert (again.trained, again.mlflow_runs) == (0, 36)


def test_cells_are_the_exported_table(launched: tuple[Path, Launch], analysis: Analysis) -> None:
    """`cells` has the columns and the rows of `cells.csv`."""
    with (launched[1].exports / "cells.csv").open(newline="") as file:
        columns, *rows = csv.reader(file)
    assert list(analysis.cells.columns) == columns
    key = columns.index("key")
    assert list(analysis.cells["key"]) == [row[key] for row in rows]
    assert analysis.counts["pending"] == 0


def test_regions_hold_the_exported_numbers(launched: tuple[Path, Launch], analysis: Analysis) -> None:
    """`regions` has a row per transform, kind and reference, with the sizes that `regions.json` has."""
    assert list(analysis.regions.columns) == [
        *("workload", "optimizer", "condition", "transform", "kind", "reference", "n_seeds"),
        *("area", "area_low", "area_high", "lr_width", "lr_width_low", "lr_width_high"),
        *("wd_width", "wd_width_low", "wd_width_high", "censored", "label"),
    ]
    exported = json.loads((launched[1].exports / "regions.json").read_text())
    (entry,) = (one for one in exported if one["transform"] == "unit_norm")
    (region,) = (one for one in entry["regions"] if (one["kind"], one["reference"]) == ("trained", "own"))
    table = analysis.regions.set_index(["transform", "kind", "reference"])
    row = table.loc[("unit_norm", "trained", "own")]
    size = region["lr_width"]
    assert row["lr_width"] == size["estimate"] > 0
    assert [row["lr_width_low"], row["lr_width_high"]] == size["interval"]
    assert row["censored"] == ", ".join(region["censored"])
    assert len(table) == 2 * 2 * 2


def test_claims_are_the_exported_ledger(launched: tuple[Path, Launch], analysis: Analysis) -> None:
    """`claims` has the claims of `claims.json`, with verdict and reason, and every claim of the catalogue."""
    exported = json.loads((launched[1].exports / "claims.json").read_text())
    assert all(isinstance(claim, Claim) for claim in analysis.claims)
    assert [(claim.id, claim.verdict, claim.reason) for claim in analysis.claims] == [
        (claim["id"], claim["verdict"], claim["reason"]) for claim in exported
    ]
    assert {claim.id for claim in analysis.claims} == set(study.claims.CLAIMS)


def test_one_seed_has_sizes_without_intervals(tmp_path: Path) -> None:
    """With a single seed a size is a number, and the ends of its interval are NaN."""
    spec = tmp_path / "one.yaml"
    spec.write_text(TINY.replace("seeds: 3", "seeds: 1"))
    ended = study.launch(spec, tmp_path / "home", here=True, console=Console(quiet=True))
    row = ended.analysis.regions.iloc[0]
    assert math.isfinite(row["area"])
    assert ended.analysis.regions["area_low"].dtype == float
    assert math.isnan(row["area_low"])
    assert math.isnan(row["area_high"])


def test_a_launch_goes_on_until_its_claims_are_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`until_decided` trains look after look, as the command does: 36 cells, and 12 more."""
    # On so small a grid no verdict is in sight.
    monkeypatch.setattr("study.claims.sequence.HOPELESS", 0.0)
    monkeypatch.setattr("study.run.launch.conclude", lambda *_, **__: None)  # it draws, which takes seconds
    spec, home, quiet = tmp_path / "s.yaml", tmp_path / "home", Console(quiet=True)
    three = TINY.replace("[none, unit_norm]", "[none, gradient_stabilizer]")
    spec.write_text(f"{three}verdicts: {{looks: [3, 4]}}\n")
    ended = study.launch(spec, home, here=True, console=quiet, until_decided=True)
    assert ended.trained == 36 + 12
    assert {claim.standing for claim in ended.analysis.judged} >= {"at the cap"}
    assert "open" not in {claim.standing for claim in study.analyse(spec, home).judged}


def test_a_launch_that_is_to_decide_needs_looks(launched: tuple[Path, Launch], tmp_path: Path) -> None:
    """Without looks `until_decided` is refused before anything is made, with what to write."""
    with pytest.raises(UserError, match="add to the spec"):
        study.launch(launched[0], tmp_path / "home", here=True, until_decided=True)
    assert not (tmp_path / "home").exists()


def test_packages_are_allowed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`allow` of `launch` and `analyse` is `--allow` of the commands: another package is refused."""
    package = tmp_path / "path" / "allowed_by_face"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from study import factory\nfrom trainers import make_transform\n\n\n"
        "@factory\ndef clip():\n    return make_transform('clip_norm')\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(ONE_CELL.replace("[none]", "[{factory: 'allowed_by_face:clip'}]"))
    # What is launched is for the test above; here is what is read before.
    monkeypatch.setattr("study.run.launch.launch", lambda found, *_, **__: found)
    for call in (study.launch, study.analyse):
        with pytest.raises(UserError, match="--allow allowed_by_face"):
            call(spec, home)
    launched = cast(StudySpec, study.launch(spec, home, allow=["allowed_by_face"]))
    assert [one.name for one in launched.transforms] == ["allowed_by_face:clip"]
    assert study.analyse(spec, home, allow=["allowed_by_face"]).counts["pending"] == 1
    del sys.modules["allowed_by_face"]


def test_the_version_is_the_distributions() -> None:
    """`study.__version__` is what the installed package says, and other names are errors."""
    assert study.__version__ == version("stability-study")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        study.nothing  # noqa: B018  # asking for it is the test


@pytest.mark.parametrize("module", [study, study.claims], ids=lambda module: module.__name__)
def test_examples_are_true(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the package print what they say, and reading a home that is not there makes none."""
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
    assert list(tmp_path.iterdir()) == []
