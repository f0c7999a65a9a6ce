"""Twins: one transform's disjoint seeds under several names, judged as a study is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Cell
from study.claims import Comparison, Estimate, Evidence, Finding, Landscape, Rule
from study.claims.false_verdicts import is_false
from study.claims.finding import either
from study.claims.twin_seeds import BASELINES, METHODS, Source, twin_study
from study.claims.twin_worth import worth
from study.claims.twins import Rate, Twins, measure_twins
from study.errors import UserError
from study.report.terminal.twins import lines
from study.spec.tolerances import Tolerances
from tests.command import answer, study
from tests.conftest import TINY
from tests.fabricated import fabricate, hill
from tests.planting import planted

CLEAR = (1.0, 1.1, 0.9, 1.05)
"""Values of seeds that lie above 0 beyond doubt."""


def source(seeds: int) -> Landscape:
    """A landscape of few columns, whose edges move with the seed."""
    rng = np.random.default_rng(1)
    return planted(-3, -1.1, seeds=seeds, shift=0.1, rng=rng, lr=(1e-4, 1e-3, 1e-2, 1e-1, 1.0))


def test_twins_share_no_seed() -> None:
    """No cell stands under two names, all names have the same seeds, and roles and baselines vary."""
    landscape, rng = source(13), np.random.default_rng(0)
    casts = set()
    for _ in range(20):
        twins = twin_study(Source((landscape,), 4), 3, METHODS, rng)
        keys = [set(one.key_SWL.ravel()) for one in twins]
        assert sum(map(len, keys)) == len(set().union(*keys)) == 4 * 3 * landscape.key_SWL[0].size
        assert set().union(*keys) <= set(landscape.key_SWL.ravel())
        assert {one.seeds for one in twins} == {(0, 1, 2)}
        names = [one.method for one in twins]
        assert names[0] in METHODS
        assert set(names[1:]) < set(BASELINES)
        assert len(set(names)) == 4
        casts.add(frozenset(names))
    assert len(casts) > 5


def finding(threshold: float, *, above: bool, exact: bool = False) -> Finding:
    """One comparison whose estimate lies clearly above 0."""
    return Finding("m", "", (Comparison("none", Estimate(CLEAR), threshold, above, exact=exact),))


@pytest.mark.parametrize(
    ("found", "supported", "refuted"),
    [
        (finding(0.0, above=True), True, True),
        (finding(0.0, above=False), True, True),
        (finding(-0.005, above=True), False, True),
        (finding(0.5, above=False), False, True),
        (finding(0.5, above=True), True, False),
        (finding(10.0, above=True, exact=True), False, False),
        (finding(0.5, above=True, exact=True), False, True),
    ],
)
def test_what_is_false_follows_from_the_threshold(found: Finding, supported: bool, refuted: bool) -> None:
    """At a threshold of 0 either verdict is false, with a margin only that which contradicts a 0.

    An exact comparison is about the method's own steps: what it supports or refutes is not wrong of twins.
    """
    assert is_false("supported", found) is supported
    assert is_false("refuted", found) is refuted
    assert not is_false("inconclusive", found)


def test_one_of_two_holds() -> None:
    """A claim that needs one of two holds for twins where one of them does."""
    loose = Comparison("a", Estimate(CLEAR), -1.0, True)
    strict = Comparison("b", Estimate(CLEAR), 0.0, True)
    found = Finding("m", "", (either(loose, strict),))
    assert not is_false("supported", found)
    assert is_false("refuted", found)


def own(decide_threshold: float, *, absolute: bool = False) -> Rule:
    """A claim of a user's own that is supported by any cells."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        return finding(decide_threshold, above=True)

    return Rule("always above", "this test", "mine", decide, absolute=absolute)


def measured(landscapes: list[Landscape], rules: dict[str, Rule], replicates: int = 12) -> Twins:
    return measure_twins(landscapes, Tolerances(), rules, study="s", replicates=replicates)


def test_false_verdicts_are_counted() -> None:
    """A claim that is always supported errs at a threshold of 0, not at -1, and not about its own numbers."""
    rules = {"errs": own(0.0), "holds": own(-1.0), "about itself": own(0.0, absolute=True)}
    found = measured([source(8)], rules)
    assert found.claims["errs"].asked == found.claims["errs"].false > 0
    assert found.verdicts["errs"] == {"supported": found.claims["errs"].false}
    assert (found.claims["holds"].asked, found.claims["holds"].false) == (found.claims["errs"].asked, 0)
    assert "about itself" not in found.claims
    assert found.overall.false >= found.claims["errs"].false


def made_of(sources: int, seeds: int, false: Sequence[int], asked: int) -> float:
    """What the shares of several transforms are worth, with two names of three seeds."""
    made = [Source((source(seeds),), 2)] * sources
    return worth(np.asarray(false, dtype=float), np.full(sources, float(asked)), made, 3, 0.95)


def test_one_transform_is_worth_its_disjoint_studies() -> None:
    """Nothing shows how its share varies, so that more replicates make no interval shorter."""
    assert [made_of(1, seeds, [1], 100) for seeds in (6, 12, 24, 48)] == [1, 2, 4, 8]
    # Clopper and Pearson at 0 of 8: 1 - 0.025^(1/8).
    assert Rate(0, 8, 8, 0.95).interval == pytest.approx((0, 1 - 0.025 ** (1 / 8)))
    assert Rate(8, 8, 8, 0.95).interval == pytest.approx((0.025 ** (1 / 8), 1))


def test_transforms_that_differ_are_worth_less() -> None:
    """The more the shares differ, the fewer studies they are worth; at most as many as there are seeds."""
    alike, apart, far = ([2, 2, 2, 2, 2, 2], [1, 2, 3, 1, 2, 3], [12, 0, 0, 0, 0, 0])
    found = [made_of(6, 60, false, 30) for false in (alike, apart, far)]
    assert found == sorted(found, reverse=True)
    # Korn and Graubard with t of 179 and 5 degrees of freedom, as if replicates were independent.
    assert found[0] == pytest.approx(180 * (1.97331 / 2.57058) ** 2, rel=1e-4)
    # All false verdicts are one transform's: at least, there are ten disjoint studies of each.
    assert found[2] == pytest.approx(60 / (1 + 5 * 0.21**2))
    assert made_of(6, 6, alike, 30) == 36
    assert made_of(6, 60, [0] * 6, 1) == 6


@pytest.mark.parametrize(("seeds", "per_name", "names"), [(6, 3, 2), (11, 3, 3), (13, 3, 4), (20, 5, 4)])
def test_as_many_names_as_seeds_allow(seeds: int, per_name: int, names: int) -> None:
    """Two names at least and four where seeds allow; a verdict's seeds for each come first."""
    found = measured([source(seeds)], {}, 1)
    assert (found.seeds, found.sources[0].names) == (per_name, names)


def test_transforms_with_few_seeds_are_left_out() -> None:
    """They are named with their seeds, and the others make twins."""
    short = replace(source(4), method="zclip", transform="zclip")
    found = measured([source(6), short], {}, 2)
    assert [one.transform for one in found.sources] == ["none"]
    assert found.left_out == {"zclip": 4}


def test_a_twin_study_spans_all_settings() -> None:
    """A name has the same seeds in every setting, and claims across optimizers are asked.

    A setting that lacks seeds is left out, and a seed that one setting lacks is used in none.
    """
    adamw = source(8)
    sgd = replace(adamw, optimizer="sgd", key_SWL=np.char.add("sgd ", adamw.key_SWL))
    sgd = sgd.at_seeds(np.arange(8) != 3)
    late = replace(source(2), optimizer="lion")
    asked: list[list[str]] = []

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        asked.append([piece.optimizer for piece in evidence.study])
        return finding(0.0, above=True)

    rules = {"across": Rule("all optimizers", "this test", METHODS[0], decide, ("optimizer",))}
    found = measured([adamw, sgd, late], rules)
    (one,) = found.sources
    assert (one.seeds, one.settings) == (7, ["w · adamw", "w · sgd"])
    assert found.left_out == {"w · lion · none": 2}
    assert asked
    assert all(settings == ["adamw", "sgd"] for settings in asked)
    assert len(asked) == found.claims["across"].asked
    assert {seed for part in one.landscapes for seed in part.seeds} == {0, 1, 2, 4, 5, 6, 7}

    twins = twin_study(one, 3, METHODS, np.random.default_rng(0))
    keys = {(part.transform, part.optimizer): part.key_SWL for part in twins}
    assert len(keys) == 4
    for (name, optimizer), key_SWL in keys.items():
        if optimizer == "adamw":
            assert (np.char.add("sgd ", key_SWL) == keys[name, "sgd"]).all()


def test_what_time_did_not_allow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transforms whose turn never came are named, and their seeds are worth nothing."""
    passed = iter([0.0, 0.0, 1000.0])
    monkeypatch.setattr("study.claims.twins.time.monotonic", lambda: next(passed))
    other = replace(source(6), method="zclip", transform="zclip")
    found = measured([source(6), other], {})
    monkeypatch.undo()
    said = " ".join(lines(found))
    assert found.replicates == 1
    assert found.overall.independent == 1
    assert "12 twin studies were asked for. Not reached: zclip" in said


def test_edge_seeking_studies_are_refused() -> None:
    """They train a part of the cells, and the message says what to do."""
    landscape = source(6)
    partial = replace(landscape, class_SWL=np.zeros(landscape.key_SWL.shape, dtype=np.int64))
    with pytest.raises(UserError, match="set design: grid"):
        measured([partial], {})


def test_too_few_seeds(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with how many there are, how many it takes and how to add them."""
    where = (str(tiny), "--home", str(tmp_path / "home"))
    assert study("twins", *where) == 2
    assert "has 0; twins need at least 6" in " ".join(capsys.readouterr().err.split())
    fabricate(tiny, tmp_path / "home", hill)
    assert study("twins", *where) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for words in ("tiny: ", "has 3; twins need at least 6", "set seeds: 6 or more in the spec"):
        assert words in " ".join(said.err.split())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table or JSON on standard output alone; 3 while cells are missing; the same numbers each time."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(TINY.replace("seeds: 3", "seeds: 7"))

    def late(cell: Cell) -> bool:
        return cell.seed == 6

    fabricate(spec, home, hill, skip=late)
    where = (str(spec), "--home", str(home), "--replicates", "6")
    assert study("twins", *where) == 3
    said = capsys.readouterr().out
    assert "6 twin studies: 3 seeds under each of 2 names, of 2 transforms in turn" in " ".join(said.split())
    fabricate(spec, home, hill, skip=lambda cell: not late(cell))
    first, second = (answer(capsys, "twins", *where) for _ in range(2))
    assert first == second
    code, found = first
    assert code == 0
    assert isinstance(found, dict)
    assert (found["seeds_per_name"], found["replicates"]) == (3, 6)
    # Two names are often none that any claim compares.
    assert 0 < found["any"]["asked"] <= 6
    assert [one["seeds"] for one in found["sources"]] == [7, 7]
    for seeds in ("2", "4"):
        assert study("twins", *where, "--seeds", seeds) == 2
        assert "give 3 to 3" in " ".join(capsys.readouterr().err.split())
