"""Intervals that cover, verdicts that do not overclaim."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.claims.finding import Comparison, Finding, either
from study.claims.verdicts import INCONCLUSIVE, REFUTED, SUPPORTED, Question, answered, families_of, judge
from study.measures.estimate import Estimate, difference, pooled, ratio, worded
from study.measures.grid_error import GridError
from study.report.claims_page import sentence, shown_estimate


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_students_interval_covers(seeds: int) -> None:
    """On normal draws the 95 % interval covers the truth in 93 to 97 % of 2,000 draws."""
    rng = np.random.default_rng(seeds)
    covered = 0
    for _ in range(2000):
        low, high = Estimate(tuple(rng.normal(3.0, 0.7, seeds))).interval(0.95) or (0, 0)
        covered += low <= 3.0 <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_what_is_both_bounds_is_said_in_words_once() -> None:
    """A number whose truth may be larger and smaller carries one phrase and not two signs."""
    for lower, upper, before in (
        (False, False, ""),
        (True, False, "≥ "),
        (False, True, "≤ "),
        (True, True, "above or below "),
    ):
        found = Estimate((1.0, 1.0, 1.0), lower_bound=lower, upper_bound=upper)
        assert worded(found, 0.95) == f"{before}1 [1, 1]"
        comparison = Comparison("none", found, 0.0, above=True)
        question = Question("a", "a sentence", "a source", "", 3, 3, Finding("m", "x", (comparison,)))
        (claim,) = judge([question], 0.95, 3)
        assert shown_estimate(claim) == f"{before}1 [1, 1] x"
        said = {"≥ ": "at least ", "≤ ": "at most "}.get(before, before)
        assert f"it is {said}1 [1, 1] x over 3 seeds" in sentence(claim)


def test_interval_of_one_seed_is_none() -> None:
    """One seed has no interval and decides nothing."""
    assert Estimate((1.0,)).interval(0.95) is None
    assert Estimate((1.0,)).p(0.0) == 1.0


def test_p_is_where_the_interval_touches() -> None:
    """The interval at confidence 1 - p has the threshold on its border."""
    estimate = Estimate((1.0, 1.3, 0.8, 1.1), grid=GridError(0.1))
    p = estimate.p(0.5)
    low, _ = estimate.interval(1 - p) or (0, 0)
    assert low == pytest.approx(0.5, abs=1e-6)


def test_equal_values_without_lattice_decide_nothing() -> None:
    """Seeds that agree to the last digit exclude no threshold.

    They show that a measure is coarse, not that it is exact.
    """
    assert Estimate((2.0, 2.0, 2.0)).p(1.0) == 1.0
    assert Estimate((2.0, 2.0, 2.0)).p(2.0) == 1.0
    assert Estimate((2.0, 2.0, 2.0), grid=GridError(0.1)).p(1.0) < 1e-6


def test_intervals_of_sizes_end_at_zero() -> None:
    """A size cannot be negative, and neither can the low end of its interval."""
    low, high = Estimate((0.1, 2.0, 4.0), least=0.0).interval(0.95) or (1, 1)
    assert low == 0.0 < high


def test_pairs_and_bounds() -> None:
    """Differences and ratios are paired by seed, add up the grid's errors, and know which side is a bound."""
    a, b = Estimate((2.0, 4.0), GridError(0.3), lower_bound=True), Estimate((1.0, 2.0), GridError(0.4))
    assert difference(a, b).values_S == (1.0, 2.0)
    assert difference(a, b).grid.sd == pytest.approx(0.5)
    assert difference(a, b).lower_bound
    assert not difference(a, b).upper_bound
    assert difference(b, a).upper_bound
    assert (ratio(a, b) or a).values_S == pytest.approx((np.log(2), np.log(2)))
    assert ratio(a, Estimate((0.0, 1.0))) is None


def test_questions_share_the_error() -> None:
    """Each family has an equal part, and one that chance cannot answer has none."""
    several = [replace(question(CLEAR), id=name) for name in "abc"]
    assert families_of(several, 0.95) == 3
    assert families_of([replace(one, family="accuracy") for one in several], 0.95) == 1
    empty = replace(several[0], id="empty", finding=Finding("m", "u", missing="a baseline"))
    rule = Comparison("steps", Estimate((1.0,) * 5), 0.0, above=True, exact=True)
    exact = replace(several[0], id="exact", finding=Finding("m", "u", (rule,)))
    assert families_of([*several, empty, exact], 0.95) == 3
    # With enough runs chance could support it.
    assert families_of([*several, replace(exact, seeds_asked=40)], 0.95) == 4


def test_a_part_of_the_error_is_what_decides() -> None:
    """A question is decided by its family's equal part, and a look by its share of that part."""
    one = question((1.0, 1.6, 0.4, 1.2, 0.8))
    (comparison,) = one.finding.comparisons
    p = comparison.estimate.p(0.0)

    def verdicts(families: int, share: float) -> set[str]:
        several = [replace(one, id=str(i), family=str(i)) for i in range(families)]
        return {claim.verdict for claim in judge(several, 0.95, 3, share)}

    assert 0.05 / 9 < p < 0.05 / 6, "the example lies between the two levels"
    assert verdicts(6, 1.0) == {SUPPORTED}
    assert verdicts(9, 1.0) == {INCONCLUSIVE}
    assert verdicts(6, 0.6) == {INCONCLUSIVE}


def question(
    values: tuple[float, ...], *, above: bool = True, n_seeds: int = 5, **estimate: object
) -> Question:
    comparison = Comparison("none", Estimate(values, **estimate), 0.0, above=above)  # type: ignore[arg-type]
    return Question("id", "sentence", "source", "w", n_seeds, n_seeds, Finding("m", "u", (comparison,)))


CLEAR = (1.0, 1.1, 0.9, 1.05, 0.95)


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (question(CLEAR), SUPPORTED),
        (question(CLEAR, above=False), REFUTED),
        (question((1.0, -1.0, 0.5, -0.5, 0.2)), INCONCLUSIVE),
        (question(CLEAR, n_seeds=2), INCONCLUSIVE),
        (question(CLEAR, upper_bound=True), INCONCLUSIVE),
        (question(CLEAR, lower_bound=True), SUPPORTED),
        (question(CLEAR, above=False, lower_bound=True), REFUTED),
        (question(CLEAR, above=False, upper_bound=True), INCONCLUSIVE),
    ],
)
def test_verdicts(asked: Question, verdict: str) -> None:
    """A verdict needs enough seeds and the whole interval on one side.

    And no censored region may hide the opposite.
    """
    (claim,) = judge([asked], 0.95, 3)
    assert claim.verdict == verdict
    assert claim.reason


def test_identical_twins_are_inconclusive() -> None:
    """Of studies whose two transforms are equal, at most 5 % (and sampling error) reach a verdict."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        questions = [question(tuple(rng.normal(0, 1, 3)), n_seeds=3) for _ in range(6)]
        claims = judge([replace(one, id=str(k)) for k, one in enumerate(questions)], 0.95, 3)
        wrong += any(claim.verdict != INCONCLUSIVE for claim in claims)
    assert wrong / 400 <= 0.075


def test_every_comparison_must_hold() -> None:
    """One comparison on the wrong side is enough to keep a claim from being supported."""
    good, bad = (
        Comparison("a", Estimate(CLEAR), 0.0, above=True),
        Comparison("b", Estimate((0.1, -0.1, 0.2, -0.2, 0.0)), 0.0, above=True),
    )
    (claim,) = judge([Question("id", "s", "s", "w", 5, 5, Finding("m", "u", (good, bad)))], 0.95, 3)
    assert claim.verdict == INCONCLUSIVE
    assert claim.against == "against b"


def test_what_is_shown_lies_within_its_interval() -> None:
    """A mean beyond what values can be is shown at that end, where its interval ends too."""
    below, above = Estimate((-0.3, -0.1, -0.2), least=0.0), Estimate((1.1, 1.3, 1.2), most=1.0)
    for one, end in ((below, 0.0), (above, 1.0)):
        low, high = one.interval(0.95) or (math.nan, math.nan)
        assert low <= one.shown == end <= high
    assert below.mean == pytest.approx(-0.2)
    assert Estimate((-0.21, -0.19, -0.2), least=0.0).interval(0.95) == (0.0, 0.0)
    assert worded(below, 0.95).startswith("0 [0, ")
    assert Estimate((0.2, 0.4)).shown == pytest.approx(0.3)


def test_the_interval_of_one_or_the_other_decides() -> None:
    """Each of two alternatives has half of the level, and the interval that is shown is that one."""
    near, far = (
        Comparison(name, Estimate(values), 0.0, True)
        for name, values in (("score", (0.2, 0.5, 0.4)), ("loss", (-1.0, 0.2, 0.1)))
    )
    asked = Question("a", "s", "t", "w", 3, 3, Finding("m", "u", (either(near, far),)))
    p = near.p_support
    for level in (1.5 * p, 2.5 * p):
        found = answered(asked, level, 3)
        assert found.interval
        assert (found.verdict == SUPPORTED) == (found.interval[0] > 0)
        assert "only a bound" not in found.reason
    assert answered(asked, 1.5 * p, 3).verdict == INCONCLUSIVE
    assert "the interval does not lie on one side" in answered(asked, 1.5 * p, 3).reason.lower()


@pytest.mark.parametrize(("seeds", "others", "times"), [(4, 5, 8.0), (5, 2, 5.0), (12, 5, 3.0)])
@pytest.mark.parametrize("level", [0.05, 2e-3, 1e-4])
def test_a_wrong_prior_doubles_the_error_at_most(seeds: int, others: int, times: float, level: float) -> None:
    """One of a pair varies more than all others, so that the prior is too small.

    The interval is no shorter than Student's of the seeds at twice the error, whose coverage is known.
    """
    rng = np.random.default_rng(5)
    shorter = 0
    for _ in range(60):
        noisy, rest = times * rng.normal(size=seeds), rng.normal(size=(others + 1, seeds))
        found = pooled({str(k): Estimate(tuple(noisy - one)) for k, one in enumerate(rest)})["0"]
        alone = stats.ttest_1samp(found.values_S, 0.0).confidence_interval(1 - min(2 * level, 1.0))
        assert found.half_width(1 - level) >= (alone.high - alone.low) / 2 * (1 - 1e-9)
        shorter += found.half_width(1 - level) < Estimate(found.values_S).half_width(1 - level)
    if level > 1e-3 and others > 2:
        assert shorter, "the prior shortens no interval, so that nothing is shown"


def test_differences_that_cancel_have_mean_zero() -> None:
    """Decimal fractions whose sum is zero leave no rounding behind; small means stay."""
    values = (0.3, -0.1, -0.2)
    assert sum(values) != 0
    assert Estimate(values).mean == 0
    assert Estimate((1e-9, 1e-9, 1e-9)).mean == pytest.approx(1e-9)
    assert Estimate((np.inf, 1.0)).mean == np.inf
    assert math.isnan(Estimate((np.nan, 1.0)).mean)
