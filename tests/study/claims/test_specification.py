"""Verdicts under other thresholds: computed from the same cells, and said where they flip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import study
from search_spaces import Cell
from study.analysis import Analysis
from study.claims.specification import GRID, variations
from study.report.claims_page import claims_page
from study.report.plain.claims import claims
from study.spec.read import parse_stored
from study.spec.tolerances import Tolerances
from tests.command import answer
from tests.command import study as command
from tests.conftest import TINY
from tests.fabricated import UNTRAINED, fabricate

OWN = "tests.study.claims.rules:WIDER"
SPEC = (
    TINY.replace("[1e-3, 1e-2, 30]", "{low: 1e-5, high: 10, points_per_decade: 4}")
    .replace("[1e-2, 10]", "[1e-3, 1e-2, 1e-1]")
    .replace("seeds: 3", "seeds: 5")
    + f"claims: ['{OWN}']\n"
)


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule lies in a package and not beside the specs, so the user names it, and Python finds it here."""
    monkeypatch.setenv("STABILITY_STUDY_ALLOW", "tests")
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def half_trained(cell: Cell) -> float | None:
    """All train from 10^-4 to 10^-2. Two decades more of unit_norm go 15 % of the way; then all diverge."""
    at = np.log10(cell.lr)
    edge = 0.03 * np.sin(7 * cell.seed + 3 * (cell.transform == "none"))
    if at < -4 + edge:
        return UNTRAINED
    if at < -2 + edge:
        return 0.9
    return UNTRAINED + 0.15 * 0.8 if at < edge and cell.transform == "unit_norm" else None


def clear(cell: Cell) -> float | None:
    """The same, but those two decades are trained by any threshold."""
    found = half_trained(cell)
    return 0.9 if found is not None and found > UNTRAINED else found


def analysed(folder: Path, score: object) -> Analysis:
    spec = folder / "s.yaml"
    spec.write_text(SPEC)
    fabricate(spec, folder / "home", score)  # type: ignore[arg-type]
    return study.analyse(spec, folder / "home")


def test_a_threshold_flips_a_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells at 15 % of the way are trained at 10 % and not at 20 %, and the verdict says so everywhere.

    That holds for a claim of the user's own too.
    """
    analysis = analysed(tmp_path, half_trained)
    claim = next(claim for claim in analysis.claims if claim.id == OWN)
    assert claim.verdict == "supported"
    warning = "Not robust: inconclusive where trained is 0.2, or all thresholds are strict."
    assert claim.reason.endswith(f". {warning}")
    where = (str(tmp_path / "s.yaml"), "--home", str(tmp_path / "home"))
    assert command("analyse", *where) == 0
    assert f"{OWN}: {warning}" in " ".join(capsys.readouterr().out.split())
    assert warning in claims_page(analysis, {"trained_by": []})
    written = claims(analysis)
    for entry in written:
        assert list(entry)[-2:] == ["specification", "takes"]
        assert (entry["specification"] is None) == (entry["verdict"] == "inconclusive")
        assert entry["takes"] is None or entry["verdict"] == "inconclusive"
    varied = next(entry["specification"] for entry in written if entry["id"] == OWN)
    (flipped,) = (one for one in varied if one["changed"] == {"trained": 0.2})
    assert flipped["verdict"] == "inconclusive"
    assert flipped["estimate"] == pytest.approx(1, abs=0.05)


def test_a_verdict_that_holds_is_left_alone(tmp_path: Path) -> None:
    """Where every variation gives the same verdict, the reason has no warning, and all of them agree."""
    analysis = analysed(tmp_path, clear)
    (own,) = (one for one in analysis.specification if one.claim.id == OWN)
    assert own.claim.verdict == "supported"
    assert own.agreeing == len(own.varied) == len(variations(Tolerances()))
    assert analysis.claims == analysis.judged


def test_nothing_decided_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a decided claim no other threshold is tried, but `--specification` tries them all the same."""
    analysis = analysed(tmp_path, lambda cell: 0.9)
    assert {claim.verdict for claim in analysis.judged} == {"inconclusive"}
    with monkeypatch.context() as patch:
        patch.setattr("study.analysis.specify", lambda *_: pytest.fail("other thresholds were tried"))
        assert {claim.verdict for claim in analysis.claims} == {"inconclusive"}
    assert any(one.varied for one in analysis.specification)


@pytest.mark.parametrize("name", GRID)
def test_a_variation_is_an_analysis_with_that_threshold(name: str, tmp_path: Path) -> None:
    """Sharing landscapes changes nothing: another spec, analysed from the start, gives the same claims."""
    analysis = analysed(tmp_path, half_trained)
    plan = analysis.plan
    for value in GRID[name]:
        region = Tolerances(**{name: value})  # type: ignore[arg-type]
        fresh = Analysis(replace(plan, spec=plan.spec.model_copy(update={"region": region})), analysis.stored)
        assert analysis.judged_under(region) == [replace(one, standing="") for one in fresh.judged]


def test_variations_leave_the_spec_out() -> None:
    """Each threshold's other values alone, then both ends of all. A value off the grid has all as others."""
    words = [one.words for one in variations(Tolerances(trained=0.15))]
    assert words[:3] == ["trained is 0.05", "trained is 0.1", "trained is 0.2"]
    assert words[-2:] == ["all thresholds are loose", "all thresholds are strict"]
    ends = {name: values[0] for name, values in GRID.items()}
    assert "all thresholds are loose" not in [one.words for one in variations(Tolerances(**ends))]  # type: ignore[arg-type]


def test_the_table_and_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--specification` has a letter and an entry for every variation of every claim with a number."""
    analysed(tmp_path, half_trained)
    where = (str(tmp_path / "s.yaml"), "--home", str(tmp_path / "home"), "--specification")
    assert command("analyse", *where) == 0
    said = capsys.readouterr().out
    assert "specification curve" in said
    assert "10 of 12" in said
    code, found = answer(capsys, "analyse", *where)
    assert code == 0
    assert isinstance(found, dict)
    (own,) = (one for one in found["specification"] if one["id"] == OWN)
    assert own["agreeing"] == 10
    assert len(own["variations"]) == 12
    assert own["least_estimate"] < 1.1 < 1.5 < own["largest_estimate"]


def test_edge_seeking_designs_have_no_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their cells are those of their own thresholds, and the command says so."""
    spec = tmp_path / "s.yaml"
    spec.write_text(SPEC + "design: edges\n")
    fabricate(spec, tmp_path / "home", half_trained)
    assert command("analyse", str(spec), "--home", str(tmp_path / "home"), "--specification") == 0
    assert "No specification curve: an edge-seeking design" in " ".join(capsys.readouterr().out.split())


def test_a_claim_that_is_not_run_keeps_its_share_of_the_error(tmp_path: Path) -> None:
    """Read by the name of the study its own claim has no number, and no other verdict is bolder for it."""
    full = analysed(tmp_path, clear)
    spec = parse_stored(full.plan.spec.remembered(), "tiny")
    unread = Analysis(replace(full.plan, spec=spec), full.stored)
    assert unread.judgement.levels == full.judgement.levels
    there, here = ({one.id: one for one in found.judged} for found in (full, unread))
    assert (there[OWN].verdict, here[OWN].verdict) == ("supported", "inconclusive")
    assert here[OWN].missing.startswith("code that a home names is not run")
    assert {**there, OWN: None} == {**here, OWN: None}
