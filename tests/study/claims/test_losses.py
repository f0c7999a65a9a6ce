"""Claims about losses, where lower is better, and spikes of gradient norms, on planted studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from study.claims import judge_claims
from study.claims.verdicts import NO_DIFFERENCE, REFUTED, SUPPORTED, Claim
from study.measures.evidence import gather
from study.measures.landscape import FINISHED, Landscape
from study.measures.spike_score import LEAST, WINDOW
from study.measures.spikes import SPIKE, spikes_of
from study.spec.tolerances import Tolerances
from tests.planting import LR, WD, planted
from tests.study.claims.test_claims import under

METHODS = ("none", "clip_norm", "unit_norm", "gradient_stabilizer")
CLAIMED = ("stabilizer-widens-lr", "stabilizer-fewer-divergences", "stabilizer-wd-insensitive")
CHANCE = np.log(256)


def losses(gain: float, *, method: str, high: float = -0.9, seeds: int = 5) -> Landscape:
    """A validation loss in nats per token: 2 minus a gain between two learning rates, 5 below, lost above."""
    rng = np.random.default_rng([*method.encode()])
    found = planted(-3.1, high, seeds=seeds, method=method, rng=rng)
    best = found.metric_SWL > 0.5
    metric = np.where(best, 2.0 - gain, 5.0) + rng.normal(0, 0.002, found.metric_SWL.shape)
    return replace(
        found,
        metric_name="nats_per_token",
        higher_is_better=False,
        metric_SWL=np.where(found.outcome_SWL == FINISHED, metric, np.nan),
        untrained_S=np.full(seeds, CHANCE),
    )


def ledger(found: Sequence[Landscape]) -> dict[str, Claim]:
    return {claim.id: claim for claim in judge_claims(gather(found, Tolerances()))}


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.1, SUPPORTED), (-0.1, REFUTED), (0.0, NO_DIFFERENCE), (0.005, NO_DIFFERENCE)]
)
@pytest.mark.parametrize("name", ["stabilizer-lower-tuned-loss", "stabilizer-lower-default-loss"])
def test_lower_losses(name: str, gain: float, verdict: str) -> None:
    """Lower is better by what is acted on; the difference has the sign and the unit of the loss."""
    found = [under(losses(gain * (one == METHODS[-1]), method=one)) for one in METHODS]
    claim = ledger(found)[name]
    assert claim.verdict == verdict, claim.reason
    assert claim.estimate == pytest.approx(-gain, abs=0.005)
    assert (claim.unit, claim.above, claim.threshold) == ("nats_per_token", False, 0.0)
    assert "2." in claim.reason or "1.9" in claim.reason


def test_the_default_is_one_cell_that_nobody_chose() -> None:
    """At lr 1e-3 and weight decay 0.01 with AdamW, whatever else the grid has; other optimizers have none."""
    found = [under(losses(0.0, method=one)) for one in METHODS]
    row, column = (
        int(np.argmin(np.abs(np.log10(axis) - np.log10(value)))) for axis, value in ((WD, 0.01), (LR, 1e-3))
    )
    better = found[-1].metric_SWL.copy()
    better[:, row, column] -= 0.3
    one_cell = [*found[:-1], replace(found[-1], metric_SWL=better)]
    assert ledger(one_cell)["stabilizer-lower-default-loss"].estimate == pytest.approx(-0.3, abs=0.01)
    lion = [under(losses(0.0, method=one), optimizer="lion") for one in METHODS]
    assert "adam and adamw" in ledger(lion)["stabilizer-lower-default-loss"].missing


def test_accuracies_have_no_losses() -> None:
    """A study that is measured by accuracy is not asked, so that its verdicts keep their level."""
    found = ledger([under(planted(-3.1, -0.9, seeds=5, method=one)) for one in METHODS])
    for name in ("stabilizer-lower-tuned-loss", "stabilizer-lower-default-loss", "stabilizer-fewer-spikes"):
        assert "measured by a loss" in found[name].missing


def test_claims_are_the_same_where_lower_is_better() -> None:
    """The error of a study in place of its accuracy gives every number, sign and verdict again.

    1 - accuracy is the same fact with the other direction.
    """
    rng = np.random.default_rng(7)
    ends = {"none": -0.9, "clip_norm": -0.7, "unit_norm": -0.5, "gradient_stabilizer": 0.1}
    found = [under(planted(-3.1, ends[one], seeds=5, method=one, shift=0.1, rng=rng)) for one in METHODS]
    mirrored = [
        replace(
            one,
            metric_name="error",
            higher_is_better=False,
            metric_SWL=1 - one.metric_SWL,
            untrained_S=1 - one.untrained_S,
        )
        for one in found
    ]
    as_accuracy, as_error = ledger(found), ledger(mirrored)
    for name in CLAIMED:
        one, other = as_accuracy[name], as_error[name]
        assert one.estimate == pytest.approx(other.estimate, abs=1e-9), name
        assert (one.above, one.threshold, one.unit) == (other.above, other.threshold, other.unit)
        assert (one.missing, one.against) == (other.missing, other.against)
    assert as_error["stabilizer-widens-lr"].estimate > 0  # type: ignore[operator]


def test_harm_is_shown_in_the_metric_s_own_direction() -> None:
    """A method that ends 0.4 nats worse is shown with +0.4, which counts as a lower score does."""
    found = [
        under(
            losses(-0.4 * (one == "zscore"), method=one),
            lambda seed, step: {"gain": {"a": [40.0 + seed] * 100, "b": [1.0] * 100}},
        )
        for one in ("none", "zscore")
    ]
    claim = ledger(found)["zscore-amplifies"]
    assert claim.verdict == SUPPORTED, claim.reason
    assert "against none in tuned score 0.4" in claim.reason


def brute(norms: np.ndarray) -> tuple[int, int]:
    """Spikes and moments of one series, value by value."""
    spikes = moments = 0
    for j in range(LEAST, len(norms)):
        before = norms[max(0, j - WINDOW) : j]
        moments += 1
        mean = sum(before) / len(before)
        deviation = (sum((one - mean) ** 2 for one in before) / len(before)) ** 0.5
        spikes += bool(deviation > 0 and norms[j] > mean + SPIKE * deviation)
    return spikes, moments


def test_spike_scores_count_what_stands_out() -> None:
    """Planted jumps are counted, noise and constant series are not, value by value as a plain loop does."""
    rng = np.random.default_rng(3)
    series = rng.lognormal(0, 0.1, (4, 1_500))
    series[0, [200, 900]] *= 50
    series[1, 10] *= 50  # before enough is known
    series[2] = 1.0
    spikes, moments = spikes_of(series, np.arange(1, 1_501), window=WINDOW, least=LEAST)
    assert spikes.tolist() == [2, 0, 0, 0]
    assert [(int(a), int(b)) for a, b in zip(spikes, moments, strict=True)] == [brute(one) for one in series]


def test_a_skipped_step_hides_no_others() -> None:
    """The norm of a step that float16 skipped is left out; what comes after it counts."""
    series = np.random.default_rng(3).lognormal(0, 0.1, (3, 200))
    series[:, 0] = np.inf
    series[1, 50] = np.nan
    series[2, 100] *= 50
    spikes, moments = spikes_of(series, np.arange(1, 201), window=WINDOW, least=LEAST)
    assert spikes.tolist() == [0, 0, 1]
    assert moments.tolist() == [179, 178, 179]


def test_a_window_with_few_moments_tells_nothing() -> None:
    """Where every hundredth step is recorded, ten moments are too few to count in deviations."""
    series = np.random.default_rng(3).lognormal(0, 0.1, (1, 60))
    assert spikes_of(series, np.arange(1, 6_000, 100), window=WINDOW, least=LEAST)[1].tolist() == [0]
    assert spikes_of(series, np.arange(1, 1_200, 20), window=WINDOW, least=LEAST)[1].tolist() == [40]


@pytest.mark.parametrize(("calm", "verdict"), [(True, SUPPORTED), (False, "inconclusive")])
def test_fewer_spikes(calm: bool, verdict: str) -> None:
    """A method whose norms spike in no run, where those of the others spike five times in every run."""

    def norms(spiking: bool):  # type: ignore[no-untyped-def]
        def of(seed: int, step: np.ndarray) -> dict[str, object]:
            values = np.random.default_rng(seed).lognormal(0, 0.05, len(step))
            return {"grad_norm": np.where(np.isin(step, (30 + seed, 60, 90)) & spiking, 1e3, values)}

        return of

    found = [
        under(losses(0.0, method=one), norms(one != METHODS[-1] or not calm), spike_steps=())
        for one in METHODS
    ]
    claim = ledger(found)["stabilizer-fewer-spikes"]
    assert claim.verdict == verdict, claim.reason
    injected = [under(losses(0.0, method=one), norms(True)) for one in METHODS]
    assert "without injected spikes" in ledger(injected)["stabilizer-fewer-spikes"].missing
