"""What must never be printed.

Verdicts without the comparisons that a sentence names, sizes without bounds, numbers that are not there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from study.claims import judge_claims
from study.claims.verdicts import Claim
from study.errors import UserError
from study.home import Home
from study.measures.estimate import Missing
from study.measures.evidence import gather
from study.measures.landscape import Landscape
from study.measures.regions import Border
from study.measures.windows import windows
from study.plan.cells import make_plan
from study.report.claims_page import shown_estimate
from study.spec.method_choice import with_constants
from study.spec.read import parse_spec, read_spec
from study.spec.tolerances import Tolerances
from tests.command import answer, study
from tests.conftest import TINY
from tests.making import every_format
from tests.planting import evidence, planted
from tracking import Ledger


def verdicts(*landscapes: Landscape) -> dict[str, Claim]:
    return {claim.id: claim for claim in judge_claims([evidence(*landscapes)])}


def stabilizer(high: float) -> Landscape:
    return planted(-3.1, high, seeds=5, method="gradient_stabilizer")


BASE, CLIP = planted(-3.1, -0.9, seeds=5), planted(-3.1, -0.9, seeds=5, method="clip_norm")


def test_no_support_without_what_the_sentence_names() -> None:
    """A sentence about clipping is not supported by a study without clipping, but may be refuted by it."""
    assert verdicts(BASE, CLIP, stabilizer(0.6))["stabilizer-widens-lr"].verdict == "supported"
    claim = verdicts(BASE, stabilizer(0.6))["stabilizer-widens-lr"]
    assert claim.verdict == "inconclusive"
    assert "a clipping method" in claim.reason
    assert verdicts(BASE, stabilizer(-2.4))["stabilizer-widens-lr"].verdict == "refuted"
    assert "unit_norm" in verdicts(BASE, CLIP, stabilizer(0.6))["stabilizer-wd-insensitive"].reason


def test_a_transform_that_learns_nothing_has_no_region_of_its_own() -> None:
    """Noise around the untrained score is near its own best everywhere; that is not a wide stable region."""
    rng = np.random.default_rng(0)
    nothing = stabilizer(-0.9)
    nothing = replace(
        nothing,
        metric_SWL=0.1 + rng.uniform(0, 0.004, nothing.metric_SWL.shape),
        outcome_SWL=np.ones_like(nothing.outcome_SWL),
    )
    found = evidence(BASE, CLIP, nothing)
    assert found.regions["gradient_stabilizer", "trained", "own"].area.mean == 0
    assert verdicts(BASE, CLIP, nothing)["stabilizer-widens-lr"].verdict != "supported"


@pytest.mark.parametrize(("seeds", "bound"), [(1, False), (2, True)])
def test_a_border_that_most_seeds_touch_makes_a_bound(seeds: int, bound: bool) -> None:
    """Sizes are measured per seed: running out of the grid at most seeds makes a lower bound.

    One seed of three moves their mean and is no bound of it.
    """
    base = planted(-3.1, -0.9)
    metric = base.metric_SWL.copy()
    metric[:seeds, :, :9] = 0.9
    found = evidence(replace(base, metric_SWL=metric)).regions["none", "trained", "own"]
    assert not found.inside_WL[:, 0].any()
    assert found.lr_width.lower_bound == bound
    assert (Border("low", "lr") in found.censored) == bound


def test_bounds_are_printed() -> None:
    """A ratio to a region that touches the border carries its sign, in the table and in the reason."""
    claim = verdicts(
        planted(-9, -0.9, seeds=5), planted(-9, -0.9, seeds=5, method="clip_norm"), stabilizer(0.6)
    )["stabilizer-widens-lr"]
    assert claim.upper_bound
    assert shown_estimate(claim).startswith("≤ ")
    assert "≤" in claim.reason
    assert claim.verdict == "inconclusive" or claim.verdict == "refuted"


def test_each_variant_is_asked() -> None:
    """Two variants of a method are two questions, and their labels differ to the last digit."""
    good, bad = stabilizer(0.6), replace(stabilizer(-2.4), transform="gradient_stabilizer(gamma2=0.9)")
    found = [
        claim.verdict
        for claim in judge_claims([evidence(BASE, CLIP, good, bad)])
        if claim.id == "stabilizer-widens-lr"
    ]
    assert found == ["supported", "refuted"]
    assert with_constants("clip_norm", (("max_norm", 0.5),)) != with_constants(
        "clip_norm", (("max_norm", 0.50000001),)
    )


def test_uneven_axes_have_windows_in_decades() -> None:
    """A window reaches as many decades to each side of each seed's region, whatever the spacing.

    Cells at its rim enter in part, and the window of one method is as wide as the other's.
    """
    lr = (1e-5, 1e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1e-2, 0.1, 1.0)
    pair = [
        planted(*ends, method=name, lr=lr) for name, ends in (("none", (-3.1, -1.9)), ("agc", (-2.5, -0.9)))
    ]
    piece = gather(pair, Tolerances())[0]
    regions = [piece.regions[one.transform, "competitive", "own"] for one in pair]
    found = windows(*regions, 1.0)
    assert not isinstance(found, Missing)
    at = np.log10(lr)
    borders = np.concatenate([[-5.5], (at[:-1] + at[1:]) / 2, [0.5]])
    centres = [region.centre_S() for region in regions]
    reach_S = np.min([np.minimum(c + 5.5, 0.5 - c) for c in centres], axis=0)
    for centre_S, weight_SL in zip(centres, (window.weight_SL for window in found), strict=True):
        np.testing.assert_allclose(weight_SL.sum(axis=1), 1.0)
        for c, r, weight_L in zip(centre_S, reach_S, weight_SL, strict=True):
            inside = np.clip(borders[1:], c - r, c + r) - np.clip(borders[:-1], c - r, c + r)
            np.testing.assert_allclose(weight_L, inside / (2 * r))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (TINY.replace("unit_norm", "{name: autoscale, center: 'no'}"), "wanted true or false"),
        (
            TINY.replace("optimizer: adamw", "optimizer: {name: sgd, nesterov: 'false'}"),
            "wanted true or false",
        ),
        (TINY.replace("steps: 20", "steps: 20, explosion_factor: .inf"), "explosion_factor is inf"),
        (TINY.replace("seeds: 3", "seeds: [99999999999999999999]"), "seeds[0]"),
        (
            TINY.replace("[1e-3, 1e-2, 30]", "{low: 1, high: 1" + "0" * 400 + ", points_per_decade: 1}"),
            "too large",
        ),
    ],
)
def test_refused_before_anything_is_trained(text: str, word: str) -> None:
    """What would fail, or mean something else, after hours of training is refused at the start."""
    with pytest.raises(UserError) as caught:
        parse_spec(text)
    assert word in str(caught.value)


def test_homes_that_databases_cannot_name(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home with # in its path is refused, instead of writing beside it."""
    assert study("launch", str(tiny), "--home", str(tmp_path / "a#b"), "--here") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml"]


def test_a_ledger_that_is_none(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in the ledger's place is named, without a traceback, and left alone."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "ledger.sqlite").write_text("not a database, but long enough to look like one " * 50)
    before = (home / "ledger.sqlite").read_bytes()
    for command in ("status", "plan"):
        assert study(command, str(tiny), "--home", str(home)) == 1
        assert "is not a ledger" in capsys.readouterr().err
    assert study("status", "nosuch", "--home", str(home)) == 2
    assert "neither a file nor a shipped spec" in capsys.readouterr().err
    assert (home / "ledger.sqlite").read_bytes() == before
    (home / "ledger.sqlite").unlink()
    (home / "ledger.sqlite").mkdir()
    assert study("status", str(tiny), "--home", str(home)) == 1
    assert "cannot be opened" in capsys.readouterr().err


def test_status_of_a_launched_study_needs_no_torch(tmp_path: Path) -> None:
    """Constants that a study was launched with are not checked again, which would load torch for a second."""
    spec, home = tmp_path / "s.yaml", Home(tmp_path / "home")
    spec.write_text(
        TINY.replace("unit_norm", "{name: clip_norm, max_norm: [0.5, 2]}").replace(
            "model: mlp", "model: {name: mlp, hidden: [8]}"
        )
    )
    program = f"""
import sys
from study.cli import main
sys.argv = ["study", "status", {str(spec)!r}, "--home", {str(home.root)!r}]
try:
    main()
except SystemExit as ended:
    print(ended.code, "torch" in sys.modules)
"""
    ran = []
    for _ in range(2):
        ran.append(
            subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True
            ).stdout.splitlines()
        )
        home.prepare()
        with closing(home.open_ledger()) as ledger:
            plan = make_plan(read_spec(str(spec)), {})
            ledger.note_study("tiny", plan.spec.canonical(), plan.meanings)
    assert [lines[0] for lines in ran] == ["tiny: 0 finished, 0 diverged, 0 failed, 54 pending"] * 2
    assert [lines[-1] for lines in ran] == ["3 True", "3 False"]


def test_a_lost_tracker_gets_everything_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A deleted MLflow database, or another one, is filled from the ledger at the next launch."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(TINY.replace("seeds: 3", "seeds: 1"))
    launch = ("launch", str(spec), "--home", str(home), "--here")
    assert answer(capsys, *launch)[0] == 0
    Home(home).mlflow_database.unlink()
    other = f"sqlite:///{tmp_path / 'other.db'}"
    for arguments in (launch, (*launch, "--tracking-uri", other)):
        _, ended = answer(capsys, *arguments)
        assert isinstance(ended, dict)
        assert (ended["trained_now"], ended["mlflow_runs"]) == (0, 12)


def test_a_remembered_width_is_measured_again_when_more_cells_fit(tmp_path: Path) -> None:
    """A width that was only limited by the number of cells is not a limit for a larger study."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.note_width("s", "m", 4, 4)
    assert ledger.width("s", "m", 4) == 4
    assert ledger.width("s", "m", 40) is None
    ledger.note_width("s", "m", 16, 40)
    assert ledger.width("s", "m", 400) == 16


def test_numbers_of_an_export_are_finite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything diverged, two seeds, one weight decay of 0: every file is written and holds no NaN."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(
        TINY.replace("seeds: 3", "seeds: 2")
        .replace("[1e-3, 1e-2, 30]", "[1e3, 1e4]")
        .replace("[1e-2, 10]", "[0]")
    )
    with every_format():
        assert study("launch", str(spec), "--home", str(home), "--here") == 0
    folder = Home(home).exports("tiny")
    for name in ("regions.json", "claims.json", "provenance.json"):
        text = (folder / name).read_text()
        assert "NaN" not in text
        assert "Infinity" not in text
        json.loads(text)
    kinds = [path.suffix for path in (folder / "heatmaps").iterdir()]
    assert sorted(kinds) == [".csv", ".csv", ".pdf", ".png", ".svg"]
