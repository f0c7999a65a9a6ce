"""`study plan`: the chance of a verdict before a pilot, and after it what each claim takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search_spaces import Cell
from study.claims.looks import Look
from study.claims.power import EFFECTS, chance, families, looks_of, power_table
from study.measures.estimate import Estimate, pooled
from study.report.terminal.plan import short
from study.spec.read import parse_spec
from tests.command import answer
from tests.command import study as command
from tests.conftest import TINY
from tests.fabricated import UNTRAINED, fabricate

SEVEN = TINY.replace(
    "[none, unit_norm]", "[none, clip_norm, agc, zscore, unit_norm, autoscale, gradient_stabilizer]"
)
WIDE = SEVEN.replace("[1e-3, 1e-2, 30]", "{low: 1e-5, high: 10, points_per_decade: 2}")


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0, 3.0])
def test_the_stated_power_is_that_of_pooled_seeds(effect: float) -> None:
    """A comparison among seven like transforms decides as often as the table says, within 8 points."""
    spec = parse_spec(SEVEN)
    rng = np.random.default_rng(11)
    draws, questions = 400, 8
    for seeds in (3, 5, 10):
        look = Look(seeds, 0.8)
        level = 0.05 * look.share / questions
        found = 0
        for _ in range(draws):
            apart_KS = rng.normal(0, 1, (6, seeds))
            # The differences share the method's own seeds, as real ones do: half of their variance.
            apart_KS = (apart_KS + rng.normal(0, 1, seeds)) / np.sqrt(2)
            apart_KS[0] += effect
            found += (
                pooled({str(k): Estimate(tuple(row)) for k, row in enumerate(apart_KS)})["0"].p(0.0) <= level
            )
        assert chance(effect, look, spec, questions) == pytest.approx(found / draws, abs=0.08)


def test_power_rises_with_seeds_and_effects() -> None:
    """Later looks and larger effects decide more; without looks the study has one, at its own seeds."""
    spec = parse_spec(SEVEN + "verdicts: {looks: [3, 5, 8]}\n")
    table = np.array([power_table(spec)[effect] for effect in EFFECTS])
    assert table.shape == (len(EFFECTS), 3)
    assert (np.diff(table, axis=0) > 0).all()
    # At three seeds an interval is so wide that small effects are found by chance alone.
    assert (np.diff(table[2:], axis=1) > 0).all()
    assert [look.seeds for look in looks_of(spec)] == [3, 5, 8]
    assert [look.seeds for look in looks_of(parse_spec(SEVEN))] == [3]
    # Two optimizers ask every question twice.
    assert families(parse_spec(SEVEN.replace("adamw", "[adamw, sgd]"))) == 2 * families(parse_spec(SEVEN))


def test_before_a_pilot_the_plan_says_the_power(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It states chances, with how many questions share the error, and writes nothing."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(SEVEN + "verdicts: {looks: [3, 5]}\n")
    code, found = answer(capsys, "plan", str(spec), "--home", str(home))
    assert code == 0
    assert isinstance(found, dict)
    assert [row["effect"] for row in found["power"]] == list(EFFECTS)
    assert all(len(row["chances"]) == 2 for row in found["power"])
    assert found["questions"] == families(parse_spec(SEVEN))
    assert command("plan", str(spec), "--home", str(home)) == 0
    said = capsys.readouterr().out
    assert "Chance of a verdict" in said
    assert "3 seeds" in said
    assert "5 seeds" in said
    assert not home.exists()


def noisy(cell: Cell) -> float | None:
    """All transforms train from 10^-4 to about 10^-1; where it ends varies by a third of a decade."""
    at = np.log10(cell.lr)
    edge = -1 + 0.33 * np.random.default_rng([cell.seed, len(cell.transform)]).normal()
    if at < -4.2:
        return UNTRAINED
    return 0.9 if at < edge else None


def test_after_a_pilot_the_plan_says_what_claims_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Per undecided claim: what blocks it, its spread, seeds by verdict, what limits it, and the price."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(WIDE)
    fabricate(spec, home, noisy)
    code, found = answer(capsys, "plan", str(spec), "--home", str(home))
    assert code == 0
    assert isinstance(found, dict)
    taken = {one["id"]: one for one in found["takes"]}
    wider = taken["stabilizer-widens-lr"]
    assert wider["deviation"] > 0
    assert wider["grid"] > 0
    assert wider["axis"] == "lr"
    assert wider["missing"] in ("seeds", "grid")
    assert set(wider["seeds"]) == {"supported", "refuted", "no difference"}
    assert command("plan", str(spec), "--home", str(home), "--price", "2.5") == 0
    said = capsys.readouterr().out
    assert "What undecided claims of tiny take (80% chance)" in said
    assert "money" in said
    for id_ in taken:
        assert f" {id_} " in said


def test_a_plan_of_nothing_open_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a complete seed nothing is known, and one transform alone has nothing to be compared with."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(WIDE)
    fabricate(spec, home, noisy, skip=lambda cell: cell.lr == 1e-3)
    assert command("plan", str(spec), "--home", str(home)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no seed is complete yet" in said
    assert "every claim" not in said
    alone = tmp_path / "alone.yaml"
    alone.write_text(
        WIDE.replace(", clip_norm, agc, zscore, unit_norm, autoscale, gradient_stabilizer", "").replace(
            "name: tiny", "name: alone"
        )
    )
    fabricate(alone, home, noisy)
    assert command("plan", str(alone), "--home", str(home)) == 0
    assert "no claim compares anything here" in " ".join(capsys.readouterr().out.split())


def test_the_cost_is_that_of_the_seeds_which_are_missing(tmp_path: Path) -> None:
    """Cells of one seed times the seeds that are missing, in time of all workers and money of one."""
    from study.home import Home
    from study.plan.preview import preview
    from study.report.terminal.plan import cost
    from study.stored import read, spec_of

    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(WIDE)
    fabricate(spec, home, noisy)
    place = Home(home)
    known = spec_of(str(spec), place)
    analysis, seen = read(known, place), preview(known, place)
    for claim, found in analysis.outlooks.items():
        enough = [count for count in found.seeds.values() if count]
        said = cost(analysis, seen, claim, 3600.0)
        if not enough:
            assert said == ""
            continue
        more = max(min(enough) - 3, 0)
        cells = len(analysis.plan.cells) // 3
        each = {record.seconds for record in analysis.stored.values()}
        assert len(each) == 1
        assert float(said.split(", ")[1].replace(",", "")) == pytest.approx(
            more * cells * each.pop(), rel=0.02, abs=0.01
        )


@pytest.mark.parametrize(
    ("number", "said"), [(None, ""), (0.0, "0"), (1.8e-141, "0"), (0.0216, "0.022"), (3e-5, "3e-05")]
)
def test_what_is_nothing_is_written_so(number: float | None, said: str) -> None:
    """An error that no study could tell from none is 0."""
    assert short(number) == said
