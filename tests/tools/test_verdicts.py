"""The calibration of verdicts in its short form: what is true, what counts as false, and what is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from study.claims import catalogue
from study.claims.verdicts import INCONCLUSIVE, REFUTED, SUPPORTED, Claim
from study.measures.catalogue import MEASURES
from study.measures.evidence import Evidence
from tests.tools.plants import PLANTS, Grid, fixed_column
from tests.tools.verdicts import (
    KINDS,
    RULES,
    TABLE,
    TRUE_VALUES,
    UNSCORED,
    Drawn,
    Is,
    Tally,
    calibrate,
    draw,
    interval,
    rejected,
    scored,
    tables,
    truths_of,
)


@pytest.fixture(scope="module")
def twins() -> Drawn:
    """One study of twins with five seeds."""
    return draw("twins-flat", 0, 5)


@pytest.fixture(scope="module")
def claims(twins: Drawn) -> list[Claim]:
    """Its ledger at three seeds."""
    return catalogue.judge_claims(twins.evidence(3))


def test_every_claim_has_a_truth() -> None:
    """Each claim of the ledger has a row in the table of truths, or a reason why it has none."""
    known = {id_ for kind in KINDS.values() for id_ in kind.truths} | set(UNSCORED)
    assert set(catalogue.CLAIMS) - known == set()
    assert all(is_.why for row in TABLE.values() for is_ in row.values())


def test_every_claim_is_asked() -> None:
    """Each claim of the ledger has something to compare in at least one layout."""
    kinds = (
        "universal-0",
        "optimizers/twins-flat",
        "free/twins-flat",
        "spikes/universal-0",
        "smooth/loose",
        "warmup/twins",
        "schedule/twins",
    )
    found = {
        claim.id
        for name in kinds
        for claim in catalogue.judge_claims(draw(name, 0, 3).evidence(3))
        if not claim.missing
    }
    assert set(catalogue.CLAIMS) - set(UNSCORED) - found == set()


def test_every_plant_has_a_row() -> None:
    """Every kind of plant stands in the table, and none that is added can be forgotten."""
    assert all(truths_of(name) for name in PLANTS)
    with pytest.raises(KeyError, match="add one"):
        truths_of("unheard-of")


def test_truths_are_those_of_the_plants() -> None:
    """Known cases: equal, better, broken rarely and often, at the limit of the band."""
    assert truths_of("twins-flat")["stabilizer-widens-lr"].of(SUPPORTED) is False
    assert truths_of("twins-flat")["stabilizer-widens-lr"].of("no difference") is True
    assert truths_of("contained")["stabilizer-widens-lr"].of(REFUTED) is False
    assert truths_of("contained")["stabilizer-fewer-divergences"].of(SUPPORTED) is None
    assert truths_of("effect-score-2sd")["autoscale-accuracy-improved"].of(SUPPORTED) is True
    assert truths_of("delta-score")["autoscale-accuracy-improved"].of("no difference") is False
    assert truths_of("delta-score")["stabilizer-widens-lr"].of("no difference") is True
    for name, supported, refuted in (("0", True, False), ("0.05", True, True), ("0.3", False, True)):
        for id_ in RULES:
            is_ = truths_of(f"universal-{name}")[id_]
            assert (is_.supported, is_.refuted) == (supported, refuted)


@pytest.mark.parametrize(
    "name",
    ["contained", "cut-wider", "shifted-1", "dead-instead", "effect-width-1sd", "effect-wd-1sd", "delta-wd"],
)
def test_the_table_agrees_with_the_plants(name: str) -> None:
    """Where the plant knows a difference, its sign is the one that the table states."""
    truth, row = PLANTS[name].truth(Grid.standard(3)), truths_of(name)
    assert truth.difference.mean_width is not None
    assert truth.difference.tuned_score is not None
    assert row["stabilizer-widens-lr"].supported == (truth.difference.mean_width > 1e-9)
    assert row["autoscale-accuracy-improved"].supported == (truth.difference.tuned_score > 1e-9)
    assert row["autoscale-accuracy-maintained"].supported == (truth.difference.tuned_score > -0.005)
    assert truth.method.wd_sensitivity is not None
    known = row["stabilizer-wd-insensitive"].supported
    if known is not None:
        column = fixed_column(Grid.standard(3))
        # A shift by whole columns moves the column with it.
        moved = column + 2 * (name == "shifted-1")
        assert truth.baseline.wd_sensitivity is not None
        gain = truth.baseline.wd_sensitivity[column] - truth.method.wd_sensitivity[moved]
        assert known == (gain > 1e-6)


def test_verdicts_are_scored(claims: list[Claim]) -> None:
    """A verdict counts as false, true or not scored by the table; inconclusive is never false."""
    one = claims[0]
    row = {one.id: Is(False, True, "made up")}
    for verdict, what in (
        (SUPPORTED, "false supported"),
        (REFUTED, "true refuted"),
        (INCONCLUSIVE, "inconclusive"),
        ("no difference", "not scored no difference"),
    ):
        assert list(scored([replace(one, verdict=verdict)], row)) == [(one.id, what)]
    unknown = replace(one, id="added-tomorrow", verdict=SUPPORTED)
    assert list(scored([unknown], row)) == [("added-tomorrow", "not scored supported")]


def test_a_study_errs_once(claims: list[Claim]) -> None:
    """The unit is the study: two false verdicts in one study are one study that errs."""
    tally = Tally()
    tally.add([replace(claim, verdict=SUPPORTED) for claim in claims], KINDS["twins-flat"].truths)
    tally.add([replace(claim, verdict=INCONCLUSIVE) for claim in claims], KINDS["twins-flat"].truths)
    assert (tally.wrong, tally.studies) == (1, 2)
    assert sum(tally.wrong_in.values()) > 1


def test_a_shorter_study_is_the_first_seeds_of_a_longer_one(claims: list[Claim]) -> None:
    """Three of five drawn seeds give the ledger of a study that was planned with three."""
    assert catalogue.judge_claims(draw("twins-flat", 0, 3).evidence(3)) == claims


def test_the_count_runs_through() -> None:
    """A few studies of several kinds give a row for each number of seeds, with intervals and times."""
    kinds = ("twins-flat", "smooth/tight")
    rows = calibrate(2, (3, 5), kinds)
    assert [(row["kind"], row["n_seeds"]) for row in rows] == [(k, s) for k in kinds for s in (3, 5)]
    assert all(row["studies"] == 2 and row["ms per study"]["judging"] > 0 for row in rows)
    assert {"trained lr width (own best)", "difference of tuned score"} <= set(rows[0]["coverage"])
    assert len(tables(rows)) == 3


def test_measures_that_are_covered_exist() -> None:
    """The table of true values names measures of the study."""
    assert set(TRUE_VALUES) <= set(MEASURES)


def test_a_judge_that_supports_everything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every claim supported, every study of twins errs, and the rate of 5 % is rejected."""
    real = catalogue.judge_claims

    def generous(evidence: Sequence[Evidence]) -> list[Claim]:
        return [replace(claim, verdict=SUPPORTED) for claim in real(evidence)]

    monkeypatch.setattr(catalogue, "judge_claims", generous)
    (row,) = calibrate(3, (3,), ("twins-curved",), covers=False)
    assert row["share"] == 1.0
    assert row["rejected"]
    assert row["claims"]["stabilizer-widens-lr"]["false supported"] == 3


def test_an_unknown_claim_is_reported_as_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that is added to the ledger without a row in the table counts, and never as an error."""
    real = catalogue.judge_claims

    def longer(evidence: Sequence[Evidence]) -> list[Claim]:
        found = real(evidence)
        return [*found, replace(found[0], id="added-tomorrow", verdict=REFUTED)]

    monkeypatch.setattr(catalogue, "judge_claims", longer)
    (row,) = calibrate(1, (3,), ("twins-curved",), covers=False)
    assert row["claims"]["added-tomorrow"]["truth"].startswith("not scored")
    assert row["claims"]["added-tomorrow"]["false refuted"] == 0


def test_limits_are_the_binomial_ones() -> None:
    """At 1,000 studies 5 % is rejected from 67 errors on; the interval is Clopper and Pearson's."""
    assert not rejected(66, 1000)
    assert rejected(68, 1000)
    assert interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert interval(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
