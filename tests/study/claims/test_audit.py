"""Verdicts that an audit found to be false, each as the smallest case that shows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.claims import judge_claims
from study.claims.finding import Comparison, Finding
from study.claims.robustness import lost_apart
from study.claims.verdicts import REFUTED, SUPPORTED, Claim, Question, judge
from study.measures.divergence import divergence_share, lost_share
from study.measures.estimate import Estimate, difference
from study.measures.evidence import Evidence, gather
from study.measures.landscape import DIVERGED, FINISHED, Landscape
from study.measures.minimum import least
from study.measures.regions import best_cell
from study.measures.sensitivity import lr_sensitivity, wd_difference, wd_sensitivity
from study.measures.tuning import effective_dimension, tuned_score
from study.spec.tolerances import Tolerances
from tests.planting import LR, evidence, planted

SEEDS = 5


def verdicts(*landscapes: Landscape) -> dict[str, Claim]:
    return {claim.id: claim for claim in judge_claims([evidence(*landscapes)])}


def method(name: str, landscape: Landscape) -> Landscape:
    """The same landscape under another name."""
    return replace(landscape, method=name, transform=name)


def test_one_image_moves_no_window_by_a_column() -> None:
    """Where the optimum is flat, the column that is best on the mean of all seeds is luck.

    One image at one seed moves it by a decade, and no comparison of windows.
    """
    base, own = (planted(-3.1, -0.9, seeds=SEEDS, method=name) for name in ("none", "gradient_stabilizer"))
    metric = np.where(own.metric_SWL > 0.5, 0.9, 0.1)
    left, right = metric.copy(), metric.copy()
    left[0, 1, LR.index(1e-3)] += 1 / 360
    right[0, 1, LR.index(1e-1)] += 1 / 360
    columns, shares = [], []
    for one in (left, right):
        landscape = replace(own, metric_SWL=one)
        columns.append(best_cell(landscape)[1])
        (found,) = lost_apart(evidence(base, landscape), landscape, [base])
        assert found.estimate
        shares.append(found.estimate.mean)
    assert columns[1] - columns[0] == 8
    assert shares[0] == pytest.approx(shares[1], abs=1e-3)


def test_a_region_that_contains_the_baselines_is_wider() -> None:
    """A method that trains at weight decays where the baseline never does is not narrower for it.

    Its median over its own rows was, as it counted rows that the baseline's median left out.
    """
    base = planted(-3.1, -0.9, seeds=SEEDS)
    gone = base.outcome_SWL.copy()
    gone[:, 2:] = DIVERGED
    half = replace(
        base,
        outcome_SWL=gone,
        metric_SWL=np.where(gone == DIVERGED, np.nan, base.metric_SWL),
        loss_SWL=np.where(gone == DIVERGED, np.nan, base.loss_SWL),
    )
    wider = planted(-3.2, -0.6, seeds=SEEDS, method="gradient_stabilizer")
    short = planted(-1.7, -0.9, seeds=SEEDS)
    # As wide as `wider` in the rows that the baseline trains in, and short in the others.
    upper = np.arange(len(wider.weight_decay))[:, None] >= 2
    own = replace(
        wider,
        outcome_SWL=np.where(upper, short.outcome_SWL, wider.outcome_SWL),
        metric_SWL=np.where(upper, short.metric_SWL, wider.metric_SWL),
        loss_SWL=np.where(upper, short.loss_SWL, wider.loss_SWL),
    )
    claim = verdicts(half, method("clip_norm", half), own)["stabilizer-widens-lr"]
    assert claim.verdict == SUPPORTED
    assert claim.unit == "decades"
    assert claim.estimate is not None
    assert claim.estimate > 0.3


@pytest.mark.parametrize("limit", [0.98, 1.0, 1.02])
def test_no_limit_splits_the_networks_that_died_at_chance(limit: float) -> None:
    """The share of lost cells is the same wherever the trainer's limit of an exploded loss lies."""
    base = planted(-3.1, -0.9, seeds=SEEDS)
    rng = np.random.default_rng(0)
    above = base.outcome_SWL == DIVERGED
    ratio = rng.uniform(0.991, 1.004, above.shape)
    recorded = np.where(above & (ratio > limit), DIVERGED, FINISHED)
    dead = replace(
        base,
        outcome_SWL=recorded,
        loss_SWL=np.where(above, ratio * 2.3, base.loss_SWL),
        metric_SWL=np.where(recorded == DIVERGED, np.nan, np.where(above, 0.1, base.metric_SWL)),
    )
    assert lost_share(dead).values_S == lost_share(base).values_S
    assert divergence_share(dead).mean == 0
    assert divergence_share(base).mean == lost_share(base).mean
    regions = [evidence(one).regions["none", "trained", "own"] for one in (dead, base)]
    assert regions[0].lr_width.mean == pytest.approx(regions[1].lr_width.mean)


def test_cells_left_of_the_optimum_have_not_collapsed() -> None:
    """A network that has learned nothing because lr is too small is no dead one."""
    base = planted(-3.1, -0.9)
    small = np.log10(LR) < -3.1
    assert (base.loss_SWL[..., small] == base.loss_initial_S[0]).all()
    assert not base.collapsed_SWL.any()
    assert not base.lost_SWL[..., small].any()


def test_an_identical_copy_maintains_accuracy() -> None:
    """Differences of 0 at every seed are known to about one example, not to nothing."""
    counts = np.round(planted(-3.1, -0.9, seeds=SEEDS).metric_SWL * 1000) / 1000
    base = replace(planted(-3.1, -0.9, seeds=SEEDS), metric_SWL=counts)
    names = ("centralization", "zscore", "unit_norm", "autoscale")
    found = verdicts(base, *(method(name, base) for name in names))
    assert found["autoscale-accuracy-maintained"].verdict == SUPPORTED
    assert found["autoscale-accuracy-improved"].verdict == "no difference"
    apart = difference(tuned_score(base), tuned_score(base))
    assert apart.resolution == pytest.approx(0.001)
    assert apart.interval(0.95) == pytest.approx((-0.00062, 0.00062), abs=1e-5)


def test_agreement_counts_for_more_than_one_seed_that_is_worse() -> None:
    """Counts that agree at ten of ten seeds speak more clearly than counts with one seed off."""
    same, worse = (Estimate((*[0.0] * 9, last), resolution=1.0) for last in (0.0, 1.0))
    assert same.p(0.5) < 0.05
    assert same.p(0.5) < worse.p(0.5)
    score_SEWL = np.broadcast_to(np.linspace(0, 1, 6).reshape(1, 1, 2, 3), (10, 2, 2, 3))
    assert effective_dimension(score_SEWL).resolution == 1.0


def test_the_least_of_noisy_losses_is_not_biased() -> None:
    """Mean less least of a flat noisy loss is 0, at three seeds as at thirty."""
    rng = np.random.default_rng(0)
    for seeds, draws in ((3, 400), (30, 60)):
        found = []
        for _ in range(draws):
            loss = 1.0 + rng.normal(0, 0.05, (seeds, 14))
            found.append((loss.mean(axis=1) - least(loss)).mean())
        error = np.std(found) / np.sqrt(draws)
        assert abs(np.mean(found)) < 4 * error
        assert error < 0.005
    base = planted(-3.1, -0.9, seeds=10)
    noisy = replace(base, loss_SWL=base.loss_SWL + rng.normal(0, 0.02, base.loss_SWL.shape))
    low, high = lr_sensitivity(noisy).interval(0.95) or (0, 0)
    assert low <= lr_sensitivity(base).mean <= high


def test_what_the_grid_hides_of_both_cancels() -> None:
    """Two profiles that jump between the same two weight decays differ by nothing that the grid hides."""
    base = planted(-3.1, -0.9, seeds=SEEDS)
    loss = base.loss_SWL.copy()
    loss[:, -1] = np.maximum(loss[:, -1], 1.0)
    jumps = replace(base, loss_SWL=loss)
    columns = evidence(jumps).near_lr("none")
    alone = wd_sensitivity(jumps, columns)
    assert alone.grid.sd > 0.05
    assert wd_difference(jumps, method("twin", jumps), columns, columns).grid.sd == 0
    flat = wd_difference(jumps, base, columns, columns)
    assert flat.grid.sd == pytest.approx(alone.grid.sd)


def test_a_sign_that_depends_on_the_learning_rate_decides_nothing() -> None:
    """Supported at each method's own optimum and the other way at common learning rates is neither."""
    own, common = Estimate((-1.0, -1.1, -0.9, -1.0)), Estimate((0.1, 0.2, 0.1, 0.1))
    plain = Comparison("none", own, 0.0, above=False)
    assert plain.p_support < 0.01
    torn = replace(plain, common=common)
    assert torn.depends
    assert (torn.p_support, torn.p_refute) == (1.0, 1.0)
    assert replace(plain, common=own).p_support == plain.p_support


def test_the_blocking_comparison_is_shown() -> None:
    """A small difference that is known well stands more clearly than a large one that is not."""
    sure = Comparison("a", Estimate((0.1, 0.11, 0.09, 0.1)), 0.0, above=True)
    unsure = Comparison("b", Estimate((3.0, -1.0, 2.0, 1.0)), 0.0, above=True)
    assert Finding("", "", (sure, unsure)).hardest == unsure
    assert sure.estimate
    assert unsure.estimate
    assert sure.estimate.mean < unsure.estimate.mean


def test_a_scale_that_overflows_in_a_lost_cell_says_nothing() -> None:
    """Only competitive cells count, so that a cell at lr 30 refutes nothing."""
    piece = evidence(planted(-3.1, -0.9))
    assert isinstance(piece, Evidence)
    inside = piece.regions["none", "competitive", "own"].inside_SWL
    assert not (inside & piece.landscapes["none"].lost_SWL).any()


def test_twins_with_flat_optima_rarely_get_a_verdict() -> None:
    """Seven equal transforms with a flat top and a loss that depends on lr · wd: at most a few err.

    It was two of three studies.
    """
    names = ("none", "clip_norm", "centralization", "zscore", "unit_norm", "autoscale", "gradient_stabilizer")
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(12):
        twins = []
        for name in names:
            one = planted(-3.1, -0.9, seeds=SEEDS, method=name, shift=0.15, rng=rng)
            at = np.log10(one.lr)[None] + np.log10(one.weight_decay)[:, None]
            loss = one.loss_SWL + 0.05 / (1 + 10.0**-at) + rng.normal(0, 0.03, one.loss_SWL.shape)
            twins.append(replace(one, loss_SWL=np.where(one.outcome_SWL == DIVERGED, np.nan, loss)))
        claims = {claim.id: claim.verdict for claim in judge_claims(gather(twins, Tolerances()))}
        asked = ("stabilizer-fewer-divergences", "stabilizer-wd-insensitive")
        wrong += any(claims[name] in (SUPPORTED, REFUTED) for name in asked)
    assert wrong <= 2


def test_a_rule_that_cannot_be_supported_yet_weakens_no_other_claim() -> None:
    """Questions share the error that chance could make. Five runs support no rule about every step.

    A counterexample refutes it all the same.
    """

    def question(name: str, comparison: Comparison) -> Question:
        return Question(name, "", "", "", SEEDS, SEEDS, Finding("", "", (comparison,)))

    clear = question("clear", Comparison("a", Estimate((1.0, 1.4, 0.8, 1.2, 1.1)), 0.5, above=True))
    (comparison,) = clear.finding.comparisons
    assert 0.003 < comparison.p_support < 0.05
    kept = [
        question(f"rule {k}", Comparison("steps", Estimate((0.5,) * SEEDS), 1.0, above=False, exact=True))
        for k in range(20)
    ]
    broken = question(
        "broken", Comparison("steps", Estimate((0.5, 0.5, 0.5, 0.5, 2.0)), 1.0, above=False, exact=True)
    )
    found = {claim.id: claim.verdict for claim in judge([clear, broken, *kept], 0.95, 3)}
    assert found["clear"] == SUPPORTED
    assert found["broken"] == REFUTED
    assert {found[question.id] for question in kept} == {"inconclusive"}
