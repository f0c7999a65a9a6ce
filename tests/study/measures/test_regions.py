"""Regions and measures on planted landscapes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from study.claims import CLAIMS, judge_claims
from study.measures.divergence import divergence_share
from study.measures.landscape import DIVERGED, FINISHED, PENDING
from study.measures.reference import reference_scores
from study.measures.regions import WEIGHT_DECAY, Border, best_cell
from study.measures.sensitivity import lr_sensitivity
from study.measures.tuning import tuned_score
from tests.planting import LR, evidence, planted


def test_width_and_area_of_a_planted_band() -> None:
    """A band from 10^-3.1 to 10^-0.9 on a grid of four per decade holds nine columns.

    They are 2.25 decades long, times four of weight decay.
    """
    region = evidence(planted(-3.1, -0.9)).regions["none", "trained", "own"]
    assert region.lr_width.mean == pytest.approx(2.25, abs=0.01)
    assert region.area.mean == pytest.approx(9.0, abs=0.04)
    assert region.max_lr_W == (0.1,) * 4
    assert set(region.censored) == {Border("low", WEIGHT_DECAY), Border("high", WEIGHT_DECAY)}
    low, high = region.lr_width.interval(0.95) or (0, 0)
    assert low < 2.2 < high


def test_border_is_seen() -> None:
    """A band that runs out of the grid is a lower bound."""
    region = evidence(planted(-9, -1)).regions["none", "trained", "own"]
    assert region.lr_width.lower_bound
    assert Border("low", "lr") in region.censored


@pytest.mark.parametrize("seeds", [3, 5])
def test_width_interval_covers(seeds: int) -> None:
    """The interval of the lr width covers the truth in at least 93 % of 200 landscapes with random edges."""
    rng = np.random.default_rng(seeds)
    covered = 0
    for _ in range(200):
        low, high = -3 + rng.uniform(-0.5, 0.5), -1 + rng.uniform(-0.5, 0.5)
        region = evidence(planted(low, high, seeds=seeds, shift=0.15, rng=rng)).regions[
            "none", "trained", "own"
        ]
        left, right = region.lr_width.interval(0.95) or (0, 0)
        covered += left <= high - low <= right
    assert covered / 200 >= 0.93


def test_reference_does_not_look_at_its_own_seed() -> None:
    """A seed that alone has a lucky cell does not raise its own reference."""
    score = np.full((3, 1, 4), 0.5)
    score[0, 0, 2] = 0.9
    assert reference_scores([score])[0] == pytest.approx(0.5)


def test_diverged_share_and_sensitivity() -> None:
    """A third of the columns diverged is a share of a third; sensitivity counts them as the initial loss."""
    landscape = planted(-3.1, -0.9)
    diverged = sum(value > 10**-0.9 for value in LR) / len(LR)
    assert divergence_share(landscape).mean == pytest.approx(diverged)
    outside = 1 - 9 / len(LR)
    assert lr_sensitivity(landscape).mean == pytest.approx(outside * (2.3 - 0.2))


def test_best_cell_and_tuned_score() -> None:
    """The best cell lies in the band, and the tuned score is its score on seeds that did not choose it."""
    landscape = planted(-3.1, -0.9)
    assert 1e-3 <= LR[best_cell(landscape)[1]] <= 0.1
    assert tuned_score(landscape).mean == pytest.approx(0.9, abs=0.01)


def test_wider_band_supports_and_equal_band_does_not() -> None:
    """A stabilizer planted 1.5 decades wider is supported, an equal one is not, a narrower one is refuted."""
    verdicts = {}
    for name, high in {"wider": 0.6, "equal": -0.9, "narrower": -2.4}.items():
        piece = evidence(
            planted(-3.1, -0.9, seeds=5),
            planted(-3.1, -0.9, seeds=5, method="clip_norm"),
            planted(-3.1, high, seeds=5, method="gradient_stabilizer"),
        )
        verdicts[name] = {claim.id: claim.verdict for claim in judge_claims([piece])}["stabilizer-widens-lr"]
    assert verdicts == {"wider": "supported", "equal": "inconclusive", "narrower": "refuted"}


def test_every_claim_appears_with_a_reason() -> None:
    """A study of the baseline alone decides nothing and says of each claim what is missing."""
    claims = judge_claims([evidence(planted(-3.1, -0.9))])
    assert [claim.id for claim in claims] == list(CLAIMS)
    assert {claim.verdict for claim in claims} == {"inconclusive"}
    assert all("not decidable by this study" in claim.reason for claim in claims)


@pytest.mark.parametrize("outcome", [DIVERGED, FINISHED, PENDING])
@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 5])
def test_degenerate_landscapes_give_words(outcome: int, seeds: int, columns: int) -> None:
    """Numbers stay finite and every claim has a reason on degenerate landscapes.

    All diverged, nothing diverged, nothing stored, one seed, one lr.
    """
    from dataclasses import replace

    both = []
    for method in ("none", "gradient_stabilizer", "clip_norm", "unit_norm", "autoscale"):
        base = planted(-9, 9, seeds=seeds, method=method, lr=LR[:columns])
        both.append(
            replace(
                base,
                outcome_SWL=np.full_like(base.outcome_SWL, outcome),
                metric_SWL=np.where(outcome == FINISHED, base.metric_SWL, np.nan),
            )
        )
    claims = judge_claims([evidence(*both)])
    assert all(claim.reason and "nan" not in claim.reason for claim in claims)
    assert all(claim.estimate is None or np.isfinite(claim.estimate) for claim in claims)
