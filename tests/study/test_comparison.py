"""Two transforms side by side: paired differences, ratios, the map, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from study.comparison import compare
from study.errors import UserError
from study.home import Home
from study.measures.estimate import Estimate
from study.measures.landscape import DIVERGED
from study.report.pictures.difference_map import classes, map_name
from study.report.pictures.shades import difference_of
from study.spec.read import read_spec
from study.stored import read
from tests.command import answer, study
from tests.fabricated import WIDE, fabricate, hill
from tests.making import every_format


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A made-up study of three transforms: its spec and its home."""
    folder = tmp_path_factory.mktemp("stored")
    spec = folder / "s.yaml"
    spec.write_text(WIDE)
    fabricate(spec, folder / "home", hill)
    return spec, folder / "home"


def test_differences_are_paired_by_seed(
    stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each difference is the mean over seeds of paired differences, and what is planted wider is wider."""
    spec, home = stored
    with every_format():
        code, found = answer(capsys, "compare", str(spec), "unit_norm", "none", "--home", str(home))
    assert code == 0
    assert isinstance(found, dict)
    (one,) = found["comparisons"]
    assert one["seeds"] == [0, 1, 2]
    for entry in one["measures"].values():
        if entry["difference"]["estimate"] is not None:
            pairs = zip(entry["a"]["per_seed"], entry["b"]["per_seed"], strict=True)
            assert entry["difference"]["estimate"] == pytest.approx(
                np.mean([a - b for a, b in pairs]), abs=1e-12
            )
            low, high = entry["difference"]["interval"]
            assert low <= entry["difference"]["estimate"] <= high
    assert one["measures"]["divergence share"]["difference"]["estimate"] < 0
    assert one["measures"]["trained lr width (own best)"]["ratio"]["estimate"] > 1
    assert all(Path(path).stat().st_size > 0 for path in found["pictures"])
    assert {Path(path).suffix for path in found["pictures"]} == {".png", ".svg", ".pdf"}
    assert {Path(path).stem for path in found["pictures"]} == {
        "tiny-digits-mlp-adamw-accuracy-unit_norm-vs-none"
    }


def test_a_map_is_named_after_both_studies(stored: tuple[Path, Path]) -> None:
    """Of two studies each has its name in the file's, so that no map replaces another's."""
    analysis = read(read_spec(str(stored[0])), Home(stored[1]))
    spec = analysis.plan.spec.model_copy(update={"name": "other"})
    other = replace(analysis, plan=replace(analysis.plan, spec=spec))
    (found,) = compare(analysis, "none", other, "unit_norm")
    assert map_name(found) == "tiny-digits-mlp-adamw-accuracy-none-vs-other-unit_norm"


def test_a_label_says_nothing_of_the_data(stored: tuple[Path, Path], tmp_path: Path) -> None:
    """The same cells under another label are compared; other data under one label are not."""
    spec, home = stored
    text = WIDE.replace("workload: digits", "workload: {name: digits, label: D}")
    named, other = tmp_path / "named.yaml", tmp_path / "other.yaml"
    named.write_text(text.replace("name: tiny", "name: named"))
    other.write_text(text.replace("name: digits", "name: synthetic").replace("name: tiny", "name: other"))
    fabricate(other, home, hill)
    first, same, apart = (read(read_spec(str(path)), Home(home)) for path in (spec, named, other))
    assert first.plan.keys == same.plan.keys
    (found,) = compare(same, "none", first, "unit_norm")
    assert found.setting == "D/mlp · adamw"
    with pytest.raises(UserError, match="share no workload"):
        compare(same, "none", apart, "none")
    # The same name for other data, as one file name in two folders.
    plan = replace(first.plan, fingerprints=dict.fromkeys(first.plan.fingerprints, "another"))
    moved = replace(first, plan=plan)
    with pytest.raises(UserError, match="digits/mlp · adamw has other data or another network in tiny"):
        compare(first, "none", moved, "unit_norm")


def test_twins_differ_in_nothing(stored: tuple[Path, Path], tmp_path: Path) -> None:
    """One transform in two studies with the same cells has differences of exactly 0 and a map of zeros."""
    spec, home = stored
    other = tmp_path / "twin.yaml"
    other.write_text(
        WIDE.replace("name: tiny", "name: twin").replace("[none, unit_norm, autoscale]", "[none]")
    )
    first, second = (read(read_spec(str(path)), Home(home)) for path in (spec, other))
    (found,) = compare(first, "none", second, "none")
    assert found.a == "tiny: none"
    for one in found.measures:
        if (
            isinstance(one.difference, Estimate)
            and "common" not in one.measure
            and "best after" not in one.measure
        ):
            assert set(one.difference.values_S) == {0.0}, one.measure
    value_WL = difference_of(*found.landscapes)
    assert set(value_WL[np.isfinite(value_WL)].tolist()) == {0.0}


def test_the_same_cells_are_called_so(stored: tuple[Path, Path], tmp_path: Path) -> None:
    """With a second study there is no advice to name one: the words are about its cells."""
    spec, home = stored
    other = tmp_path / "same.yaml"
    other.write_text(WIDE.replace("name: tiny", "name: same"))
    first, second = (read(read_spec(str(path)), Home(home)) for path in (spec, other))
    with pytest.raises(UserError, match="tiny and same have the same cells, so that 'none' is one; give two"):
        compare(first, "none", second, "none")
    with pytest.raises(UserError, match="or another study with --with"):
        compare(first, "none", first, "none")


def test_both_transforms_divergence_is_told_apart(stored: tuple[Path, Path]) -> None:
    """A cell that diverged with one alone is of its class, and has no difference of metrics."""
    spec, home = stored
    analysis = read(read_spec(str(spec)), Home(home))
    (found,) = compare(analysis, "none", analysis, "unit_norm")
    kinds, one = classes(*found.landscapes), found.landscapes[0]
    assert kinds["both"].any()
    assert kinds["a"].any()
    assert not kinds["b"].any()
    assert not (kinds["a"] & kinds["both"]).any()
    assert np.isnan(difference_of(*found.landscapes)[kinds["both"] | kinds["a"] | kinds["b"]]).all()
    assert (kinds["both"] <= (one.outcome_SWL == DIVERGED).any(axis=0)).all()


def test_seeds_that_only_one_has_are_left_out(
    stored: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With two studies of different seeds only the common ones are compared, and the answer says so."""
    spec, home = stored
    other = tmp_path / "fewer.yaml"
    other.write_text(WIDE.replace("name: tiny", "name: fewer").replace("seeds: 3", "seeds: [1, 2]"))
    _, found = answer(
        capsys, "compare", str(spec), "none", "autoscale", "--with", str(other), "--home", str(home)
    )
    assert isinstance(found, dict)
    assert found["comparisons"][0]["seeds"] == [1, 2]
    assert "2 seeds (1, 2)" in found["comparisons"][0]["pairing"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none", "unitnorm"), "did you mean 'unit_norm'"),
        (("nine", "unit_norm"), "did you mean 'none'"),
        (("none", "none"), "--with"),
        (("none", "none", "--with", "no-such-spec"), "shipped"),
    ],
)
def test_wrong_names_are_wrong_input(
    words: tuple[str, ...], said: str, stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown transform or study, or a transform against itself, is exit code 2 with what to do."""
    spec, home = stored
    assert study("compare", str(spec), *words, "--home", str(home)) == 2
    assert said in capsys.readouterr().err


def test_other_grids_are_compared_in_words(
    stored: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Studies on different grids have differences of sizes, and a map that says why it has no cells."""
    spec, home = stored
    other = tmp_path / "other.yaml"
    other.write_text(WIDE.replace("name: tiny", "name: other").replace("[1e-5, 1e-4,", "[1e-4,"))
    fabricate(other, home, hill)
    code, found = answer(
        capsys,
        "compare",
        str(spec),
        "none",
        "none",
        "--with",
        str(other),
        "--home",
        str(home),
        "--out",
        str(tmp_path / "out"),
    )
    assert code == 0
    assert isinstance(found, dict)
    assert "the grids differ" in found["comparisons"][0]["pairing"]
    assert found["pictures"]


def test_a_method_stands_for_its_only_variant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A method's name is enough where the study has one variant of it; else the answer names the variants."""
    home = tmp_path / "home"
    for name, variants, code in (
        ("one", "{name: clip_norm, max_norm: 0.5}", 0),
        ("two", "{name: clip_norm, max_norm: 0.5}, {name: clip_norm, max_norm: 2.0}", 2),
    ):
        spec = tmp_path / f"{name}.yaml"
        spec.write_text(WIDE.replace("name: tiny", f"name: {name}").replace("unit_norm, autoscale", variants))
        fabricate(spec, home, hill)
        assert study("compare", str(spec), "none", "clip_norm", "--home", str(home)) == code
        said = capsys.readouterr()
        assert "clip_norm(max_norm=0.5)" in said.out + said.err
