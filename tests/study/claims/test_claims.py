"""Each claim on planted records whose truth is known.

Supported where it holds, refuted where it does not, and in words where it cannot be decided.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from study.claims import CLAIMS, judge_claims
from study.claims.finding import Comparison, either
from study.claims.gradients import FEWEST, trend
from study.claims.recovery import recovery
from study.claims.spikes import bound
from study.claims.verdicts import INCONCLUSIVE, REFUTED, SUPPORTED, Claim, percent
from study.measures.catalogue import cases, measured
from study.measures.dynamics import ranks, series
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import gather
from study.measures.landscape import DIVERGED, Landscape, objects
from study.plan.cells import Setting
from study.spec.conditions import Condition
from study.spec.method_choice import Choice
from study.spec.tolerances import Tolerances
from tests.making import RECORD
from tests.planting import LR, planted
from trainers.budget import Budget
from trainers.spikes import spiked_steps

STEPS = tuple(range(1, 101))
BUDGET = Budget(steps=100, batch_size=8, spike_steps=(50,), dynamics=1)
Seen = Callable[[int, np.ndarray], dict[str, Any]]
"""What a cell recorded, from its seed and the steps."""
CALM: Seen = lambda seed, step: {}  # noqa: E731  # a table of what is planted


def under(
    landscape: Landscape, seen: Seen = CALM, *, optimizer: str = "adamw", **varied: float | str
) -> Landscape:
    """The landscape with planted records, in a setting of this optimizer and condition."""
    layers = {name: {"a": [1.0] * len(STEPS), "b": [1.0] * len(STEPS)} for name in ("layer_std", "gain")}
    ordinary = {
        name: [1.0] * len(STEPS)
        for name in (
            "grad_std",
            "grad_norm",
            "scale",
            "update_ratio",
            "out_norm",
            "tensor_norm",
            "cosine",
            "least_cosine",
        )
    }
    rng = np.random.default_rng(0)
    cells = []
    for s, seed in enumerate(landscape.seeds):
        found = seen(seed, np.array(STEPS))
        text = json.dumps({"step": list(STEPS), **ordinary, **layers, **found}, default=np.ndarray.tolist)
        cells += [
            replace(RECORD, key=f"{landscape.transform}{s}/{rng.integers(2**40)}", dynamics=text)
            for _ in range(landscape.outcome_SWL[s].size)
        ]
    condition = Condition(tuple(varied.items()), replace(BUDGET, **varied))  # type: ignore[arg-type]
    origin = Setting(Choice("w"), Choice("m"), Choice(optimizer), condition)
    return replace(
        landscape,
        optimizer=optimizer,
        condition=condition.label,
        origin=origin,
        record_SWL=objects(cells).reshape(landscape.outcome_SWL.shape),
    )


def ledger(*landscapes: Landscape) -> dict[str, Claim]:
    return {claim.id: claim for claim in judge_claims(gather(landscapes, Tolerances()))}


def named_method(method: str, high: float = -0.9, **more: Any) -> Landscape:
    return planted(-3.1, high, seeds=5, method=method, **more)


@pytest.mark.parametrize(
    ("scale", "verdict"),
    [
        (0.5, INCONCLUSIVE),
        (1.0, INCONCLUSIVE),
        (1.01, REFUTED),
        (1e9, REFUTED),
        (np.inf, REFUTED),
        (np.nan, REFUTED),
    ],
)
def test_one_step_above_one_refutes(scale: float, verdict: str) -> None:
    """A single step of a single seed whose scale exceeds 1, or is not finite, refutes.

    None in five runs does not support: up to 54 % of runs could break the rule, at the level of the verdict.
    """
    claim = ledger(
        under(
            named_method("autoscale"),
            lambda seed, step: {"scale": np.where((step == 7) & (seed == 3), scale, 0.5)},
        )
    )["autoscale-never-amplifies"]
    assert claim.verdict == verdict
    assert ("in 1 of 5 runs a step contradicts it" in claim.reason) == (verdict == REFUTED)
    assert ("at most 54% of runs break it (98%)" in claim.reason) == (verdict == INCONCLUSIVE)
    assert ("recorded steps of 5 runs" in claim.reason) == (verdict == INCONCLUSIVE)
    assert claim.threshold == pytest.approx(1.0, rel=1e-4)


def test_rules_about_every_step_are_supported_up_to_a_share() -> None:
    """No counterexample supports where the share of runs that may break the rule is small by then.

    With 5 runs and a share of 70 % that is a chance of 0.3^5 = 0.2 %, with a tenth 59 %.
    """
    calm = under(named_method("autoscale"), lambda seed, step: {"scale": np.full(100, 0.5)})
    for breaking, verdict in ((0.7, SUPPORTED), (0.1, INCONCLUSIVE)):
        claims = judge_claims(gather([calm], Tolerances(breaking=breaking)))
        claim = next(claim for claim in claims if claim.id == "autoscale-never-amplifies")
        assert claim.verdict == verdict
        assert claim.interval is None


@pytest.mark.parametrize(
    ("precision", "grad_norm", "verdict"),
    [
        ("float16", math.inf, INCONCLUSIVE),
        ("float32", math.inf, REFUTED),
        ("float16", 1.0, REFUTED),
    ],
)
def test_a_step_that_float16_skips_is_no_evidence(precision: str, grad_norm: float, verdict: str) -> None:
    """Where the loss scale made the incoming gradient overflow, nothing was done with the outgoing one.

    In other precisions, or where the incoming one is finite, it is the method that broke.
    """

    def seen(seed: int, step: np.ndarray) -> dict[str, Any]:
        first = step == 1
        return {
            "grad_norm": np.where(first, grad_norm, 1.0),
            **{name: np.where(first, math.nan, 0.5) for name in ("out_norm", "scale")},
            **{name: np.where(first, math.nan, 1.0) for name in ("least_cosine", "cosine")},
        }

    for method, names in {
        "gradient_stabilizer": ("stabilizer-keeps-direction", "stabilizer-keeps-whole-direction"),
        "autoscale": ("autoscale-never-amplifies",),
    }.items():
        claims = ledger(under(named_method(method), seen, precision=precision))
        assert {claims[name].verdict for name in names} == {verdict}


@pytest.mark.parametrize(("cosine", "verdict"), [(1 - 1e-7, INCONCLUSIVE), (0.999, REFUTED), (-1.0, REFUTED)])
def test_direction_per_tensor(cosine: float, verdict: str) -> None:
    """A cosine of 1 up to rounding keeps a tensor's direction; the whole gradient's is a claim of its own."""
    claims = ledger(
        under(
            named_method("gradient_stabilizer"),
            lambda seed, step: {"least_cosine": np.full(100, cosine), "cosine": np.full(100, 0.8)},
        )
    )
    assert claims["stabilizer-keeps-direction"].verdict == verdict
    assert claims["stabilizer-keeps-whole-direction"].verdict == REFUTED
    assert "the cosine is 0.8 on average" in claims["stabilizer-keeps-whole-direction"].reason


@pytest.mark.parametrize(
    ("overall", "layer", "verdict", "of_layer"),
    [
        (-1, 1, SUPPORTED, SUPPORTED),
        (1, 1, REFUTED, SUPPORTED),
        (-1, -1, SUPPORTED, REFUTED),
        (0, 1, INCONCLUSIVE, SUPPORTED),
    ],
    ids=["falls and rises", "rises", "all fall", "neither"],
)
def test_deviation_over_training(overall: int, layer: int, verdict: str, of_layer: str) -> None:
    """The trend of all weights together and that of the layer that rises most are two sentences."""

    def seen(seed: int, step: np.ndarray) -> dict[str, Any]:
        noise = np.random.default_rng(seed).normal(0, 5, (3, len(step)))
        return {
            "grad_std": 200 + overall * step + noise[0],
            "layer_std": {"a": 200 - step + noise[1], "b": 200 + layer * step + noise[2]},
        }

    claims = ledger(under(named_method("autoscale"), seen), under(named_method("none"), seen))
    assert claims["global-std-decreases"].verdict == verdict
    assert claims["layer-std-rises"].verdict == of_layer
    assert "with none" in claims["global-std-decreases"].reason


@pytest.mark.parametrize(
    ("gain", "high", "verdict"), [(100.0, -1.9, SUPPORTED), (2.0, -1.9, REFUTED), (100.0, -0.9, INCONCLUSIVE)]
)
def test_zscore_needs_gain_and_harm(gain: float, high: float, verdict: str) -> None:
    """A large gain with an earlier edge of divergence supports, a small gain refutes, no harm is open."""

    def seen(seed: int, step: np.ndarray) -> dict[str, Any]:
        return {
            "gain": {"a": np.full(100, 1.0), "b": gain * (1 + 0.01 * np.random.default_rng(seed).random(100))}
        }

    base = under(named_method("none"))
    harmed = planted(-3.1, high, seeds=5, method="zscore", shift=0.05)
    own = under(harmed if high < -0.9 else replace(base, method="zscore", transform="zscore"), seen)
    assert ledger(base, own)["zscore-amplifies"].verdict == verdict


def test_bound_of_the_paper() -> None:
    """The bound is that of Lemma 3.6 at constants whose bound is known, and smaller early with correction."""
    plain = {"gamma1": 0.6, "gamma2": 0.999, "bias_correction": False}
    assert bound(10, plain) == pytest.approx(15.82, abs=0.01)
    assert bound(10, {"gamma1": 0.7, "gamma2": 0.9, "bias_correction": False}) == pytest.approx(
        1.406, abs=0.001
    )
    assert bound(100, plain | {"bias_correction": True}) == pytest.approx(
        15.82 * math.sqrt(1 - 0.999**100), abs=0.01
    )


@pytest.mark.parametrize(
    ("outgoing", "verdict"), [(3.0, INCONCLUSIVE), (4.0, REFUTED), (np.inf, REFUTED), (np.nan, REFUTED)]
)
def test_spikes_against_the_bound(outgoing: float, verdict: str) -> None:
    """Outgoing norms below the bound in five runs are open; above it at one size, or not finite, they refute.

    The recovery is reported in steps.
    """
    at = bound(50, {"gamma1": 0.6, "gamma2": 0.999, "bias_correction": True})
    assert 3.0 < at < 4.0

    def seen(worst: float) -> Seen:
        return lambda seed, step: {
            "tensor_norm": np.where(step == 50, worst, np.where((step > 50) & (step < 62), 0.1, 1.0))
        }

    calm = under(named_method("gradient_stabilizer"), spike_size=1.0)
    claim = ledger(
        calm, under(calm, seen(2.0), spike_size=10.0), under(calm, seen(outgoing), spike_size=1e8)
    )["stabilizer-bounded-on-spikes"]
    assert claim.verdict == verdict
    assert "at spikes of size 10 " in claim.reason
    assert "at spikes of size 1e+08 " in claim.reason
    assert claim.reason.count("after 12 steps (median of 500 of 500 cells") == 2
    assert len(claim.cells) == 2 * calm.outcome_SWL.size


def test_spikes_drawn_per_seed() -> None:
    """Where spikes are drawn, seeds recorded different steps: each is judged and has its level at its own."""
    budget = replace(BUDGET, spike_steps=(), spike_probability=0.03, spike_size=10.0, dynamics=10)
    calm = under(named_method("gradient_stabilizer"), spike_size=10.0)
    assert calm.record_SWL is not None
    assert calm.origin is not None
    steps = {seed: sorted({*range(1, 101, 10), *spiked_steps(budget, seed)}) for seed in calm.seeds}
    assert len({tuple(own) for own in steps.values()}) == len(steps)
    cells = []
    for seed, record_WL in zip(calm.seeds, calm.record_SWL, strict=True):
        norms = [2.0 if step in spiked_steps(budget, seed) else 1.0 for step in steps[seed]]
        ended = replace(
            RECORD,
            dynamics=json.dumps({"step": steps[seed], "layer_std": {"a": norms}, "tensor_norm": norms}),
        )
        cells += [ended] * record_WL.size
    origin = replace(calm.origin, condition=Condition((("spike_size", 10.0),), budget))
    own = replace(calm, origin=origin, record_SWL=objects(cells).reshape(calm.record_SWL.shape))
    assert own.series is not None
    for s, seed in enumerate(own.seeds):
        assert [
            own.series.step_J[j]
            for j in np.flatnonzero(np.isfinite(own.series.values["tensor_norm"][s, 0, 0]))
        ] == steps[seed]
        waited = recovery(own.series, s, sorted(spiked_steps(budget, seed)), "tensor_norm")
        assert len(waited) == own.outcome_SWL[s].size
    claim = ledger(own)["stabilizer-bounded-on-spikes"]
    assert claim.verdict == INCONCLUSIVE
    assert "Not contradicted" in claim.reason
    assert "largest norm 2," in claim.reason
    cells = [
        replace(record, dynamics=json.dumps({"step": [1], "layer_std": {"a": [1.0]}, "tensor_norm": [1.0]}))
        for record in cells
    ]
    dead = ledger(replace(own, record_SWL=objects(cells).reshape(calm.record_SWL.shape)))[
        "stabilizer-bounded-on-spikes"
    ]
    assert "no cell lived to see a spike at some seed" in dead.reason


def test_trends_are_over_each_cells_own_moments() -> None:
    """What other seeds recorded, or a cell lacks, changes no trend; fewer than three moments give none."""
    steps = np.arange(1.0, 6.0)
    series_SWLJ = np.array(
        [
            [[[5, np.nan, 4, 3, np.nan], [1, 2, 4, np.nan, np.nan]]],
            [[[np.nan, 1, np.nan, 3, 2], [np.nan] * 5]],
        ]
    )
    known = np.isfinite(series_SWLJ)
    assert trend(series_SWLJ, known.sum(axis=3) >= FEWEST, known).tolist() == pytest.approx([0.0, 0.5])
    whole = np.random.default_rng(0).integers(0, 4, (2, 1, 1, 5)).astype(float)
    expected = [spearmanr(row, steps).statistic for row in whole[:, 0, 0]]
    assert trend(
        whole, np.ones((2, 1, 1), dtype=bool), np.ones(whole.shape, dtype=bool)
    ).tolist() == pytest.approx(expected)

    def seen(seed: int, step: np.ndarray) -> dict[str, Any]:
        lives = step % 5 != seed  # each seed lacks moments of its own
        noise = np.random.default_rng(seed).normal(0, 5, len(step))
        falling, rising = (
            np.where(lives, values, np.nan) for values in (200.0 - step + noise, 200.0 + step + noise)
        )
        return {"grad_std": falling, "layer_std": {"a": falling, "b": rising}}

    found = ledger(under(named_method("autoscale"), seen), under(named_method("none"), seen))[
        "global-std-decreases"
    ]
    assert found.verdict == SUPPORTED
    assert "with none -0.9" in found.reason
    short = ledger(
        under(named_method("autoscale"), lambda seed, step: {"grad_std": np.where(step > 2, np.nan, 1.0)})
    )["global-std-decreases"]
    assert "with 3 moments or more" in short.reason


def test_without_spikes_it_is_said() -> None:
    """A study without spikes, or with records of an older format, says what it needs."""
    calm = under(named_method("gradient_stabilizer"))
    old = calm.record_SWL
    assert old is not None
    stripped = []
    for record in old.ravel():
        seen = json.loads(record.dynamics)
        kept = {name: seen[name] for name in ("step", "grad_std", "layer_std", "scale")}
        stripped.append(replace(record, dynamics=json.dumps(kept)))
    found = ledger(replace(calm, record_SWL=objects(stripped).reshape(old.shape)))
    assert "injected spikes" in found["stabilizer-bounded-on-spikes"].reason
    assert "cosine between incoming and outgoing gradient" in found["stabilizer-keeps-direction"].reason


def scaled(shift: float, c: float, method: str) -> Landscape:
    rng = np.random.default_rng(int(1000 * c))
    return under(
        planted(-3.1 + shift, -0.9 + shift, seeds=5, method=method, shift=0.02, rng=rng), loss_scale=c
    )


@pytest.mark.parametrize(("decades", "verdict"), [(0.0, INCONCLUSIVE), (1.0, REFUTED), (-1.0, REFUTED)])
def test_regions_that_move_with_the_loss_scale(decades: float, verdict: str) -> None:
    """A region that moves by a decade when the loss is multiplied by 100 refutes.

    One that stays cannot support alone, because constants are missing.
    """
    pieces = [
        scaled(decades * math.log10(c) / 2, c, method)
        for c in (0.01, 1.0, 100.0)
        for method in ("none", "autoscale")
    ]
    claims = [
        claim
        for claim in judge_claims(gather(pieces, Tolerances()))
        if claim.id == "autoscale-hyperparameter-free"
    ]
    assert [claim.verdict for claim in claims] == [verdict]
    assert "constant sensitivity takes an axis of a constant" in claims[0].reason
    assert "in the region's shift at loss scale 0.01" in claims[0].reason
    assert ("downward" in claims[0].reason) == (decades != 0 or "downward" in claims[0].reason)
    if decades:
        assert (claims[0].estimate, claims[0].unit) == (pytest.approx(1.0, abs=0.15), "decades")


@pytest.mark.parametrize(("worse", "above"), [(0.0, False), (1.0, True)])
def test_sensitivity_to_constants(worse: float, above: bool) -> None:
    """Losses that differ along a constant count against being free of it.

    The axis is the default and the values that differ in this constant alone.
    """
    base, plain = under(named_method("none")), under(named_method("autoscale"))
    other = replace(
        plain,
        transform="autoscale(numerator=8)",
        constants=(("numerator", 8.0),),
        loss_SWL=plain.loss_SWL + worse,
    )
    claim = ledger(base, plain, other)["autoscale-hyperparameter-free"]
    assert "numerator default, 8.0" in claim.reason
    assert ("along numerator 0.5" in claim.reason) == above


@pytest.mark.parametrize(
    ("confidence", "said"),
    [(0.9, "90%"), (0.95, "95%"), (0.99, "99%"), (0.9967, "99.7%"), (0.99967, "99.97%")],
)
def test_a_confidence_is_never_all(confidence: float, said: str) -> None:
    """As many decimals are written as tell it from 100 %."""
    assert percent(confidence) == said


@pytest.mark.parametrize(("apart", "verdict"), [(0.0, INCONCLUSIVE), (2.0, REFUTED)])
def test_regret_over_workloads(apart: float, verdict: str) -> None:
    """Optima of two workloads that lie apart for the method, and together for the baseline, refute.

    The table of measures has the same regret.
    """
    pieces = []
    for workload, at in (("w", 0.0), ("v", apart)):
        for method, low in (("none", -3.1), ("autoscale", -3.1 + at)):
            made = planted(low, low + 1.2, seeds=5, method=method, rng=np.random.default_rng(len(pieces)))
            pieces.append(under(replace(made, workload=workload, transform=method)))
    evidence = gather(pieces, Tolerances())
    claim = next(claim for claim in judge_claims(evidence) if claim.id == "autoscale-hyperparameter-free")
    assert claim.verdict == verdict
    assert "in shared-default regret" in claim.reason
    assert "in effective dimension" in claim.reason
    case = next(case for case in cases(evidence, {}) if case.landscape.method == "autoscale")
    regret = measured(case, "shared-default regret")
    assert isinstance(regret, Estimate)
    assert (regret.mean > 0.2) == (apart > 0)


def test_measures_know_constants_and_loss_scales() -> None:
    """The table of measures has the mean over constants, and the shift from the least loss scale to the most.

    The one stands at the default variant, the other at loss scale 1; other rows say where it stands.
    """
    pieces = [
        scaled(math.log10(c) / 2, c, method) for c in (0.01, 1.0, 100.0) for method in ("none", "autoscale")
    ]
    found = [
        (case, measured(case, "gradient-scale shift"))
        for case in cases(gather(pieces, Tolerances()), {})
        if case.landscape.method == "autoscale"
    ]
    assert [len(case.workloads) for case, _ in found] == [1, 1, 1]  # a condition is no workload
    assert [isinstance(value, Estimate) for _, value in found] == [False, True, False]
    assert isinstance(found[1][1], Estimate)
    assert found[1][1].mean == pytest.approx(2.0, abs=0.15)
    plain = under(named_method("autoscale"))
    worse = replace(
        plain, transform="autoscale(eps=1)", constants=(("eps", 1.0),), loss_SWL=plain.loss_SWL + 0.5
    )
    values = [
        measured(case, "constant sensitivity") for case in cases(gather([plain, worse], Tolerances()), {})
    ]
    assert isinstance(values[0], Estimate)
    assert values[0].mean == pytest.approx(0.25)
    assert values[1] == Missing("stands at the variant that the others differ from")


def test_plug_in_compares_optimizers() -> None:
    """Accuracy kept with every optimizer supports, lost with one it refutes; all of them are one question."""

    def study(loses: float) -> list[Claim]:
        pieces: list[Landscape] = []
        for k, optimizer in enumerate(("sgd", "adam", "rmsprop")):
            rng = np.random.default_rng(k)
            for method, drop in (
                ("none", 0.0),
                ("gradient_stabilizer", loses if optimizer == "adam" else -0.02),
            ):
                made = named_method(method, rng=rng)
                pieces.append(under(replace(made, metric_SWL=made.metric_SWL - drop), optimizer=optimizer))
        return [claim for claim in judge_claims(gather(pieces, Tolerances())) if claim.id == "plug-in"]

    assert [claim.verdict for claim in study(-0.02)] == [SUPPORTED]
    assert [(claim.verdict, claim.against, claim.setting) for claim in study(0.2)] == [
        (REFUTED, "with adam", "w")
    ]


def test_claims_are_asked_of_the_ordinary_condition() -> None:
    """A claim that does not compare conditions is one question, at the condition without stress."""
    pieces = [
        under(named_method(method), loss_scale=c)
        for c in (100.0, 1.0)
        for method in ("none", "clip_norm", "gradient_stabilizer")
    ]
    claims = [
        claim for claim in judge_claims(gather(pieces, Tolerances())) if claim.id == "stabilizer-widens-lr"
    ]
    assert [claim.setting for claim in claims] == ["w · adamw · loss_scale=1"]


def comparison(*values: float, exact: bool = False, above: bool = True) -> Comparison:
    return Comparison("a", Estimate(values), 0.0, above, exact=exact)


def test_exact_comparisons_count() -> None:
    """A single seed off the side refutes, whatever the spread.

    All seeds on it (or on the threshold) leave the chance of missing a tenth of breaking runs as p.
    """
    held, broken = comparison(0.0, 5.0, exact=True), comparison(-1e-9, 5.0, exact=True)
    assert (held.p_support, held.p_refute) == (pytest.approx(0.9**2), 1.0)
    assert (broken.p_support, broken.p_refute) == (1.0, 0.0)
    assert (held.number, broken.number) == (0.0, -1e-9)


def test_one_of_two_is_enough() -> None:
    """Of alternatives the likelier one is shown, its p is doubled, and only both together refute."""
    good, bad = comparison(1.0, 1.1, 0.9), comparison(-1.0, -1.1, -0.9)
    assert either(good, bad).p_support == pytest.approx(2 * good.p_support)
    assert either(good, bad).estimate == good.estimate
    assert either(good, bad).p_refute == 1.0
    assert either(bad, bad).p_refute == bad.p_refute < 0.05


def test_series_of_cells_that_ended() -> None:
    """Cells that recorded less, or nothing, leave NaN; ranks are shared by equal numbers."""
    short = replace(RECORD, dynamics=json.dumps({"step": [1], "scale": [2.0], "layer_std": {"a": [None]}}))
    whole = replace(
        RECORD, dynamics=json.dumps({"step": [1, 2], "scale": [3.0, 4.0], "layer_std": {"a": [1.0, 2.0]}})
    )
    found = series(objects([short, None, whole]).reshape(1, 1, 3))
    assert found is not None
    np.testing.assert_equal(found.values["scale"][0, 0], [[2, np.nan], [np.nan, np.nan], [3, 4]])
    np.testing.assert_equal(
        found.values["layer_std"][0, 0, :, :, 0], [[np.nan, np.nan], [np.nan, np.nan], [1, 2]]
    )
    assert found.recorded_SWLJ[0, 0].tolist() == [[True, False], [False, False], [True, True]]
    assert ranks(np.array([[3.0, 1.0, 3.0, 0.0]])).tolist() == [[2.5, 1.0, 2.5, 0.0]]
    assert ranks(np.array([[np.nan, 1.0, np.nan, 0.0], [np.nan] * 4])).tolist() == [
        [2.5, 1.0, 2.5, 0.0],
        [1.5] * 4,
    ]


def test_series_stand_at_their_own_steps() -> None:
    """Cells that recorded other steps than each other stand at those, in order, NaN at the others'."""
    one = replace(
        RECORD,
        dynamics=json.dumps(
            {"step": [1, 4, 5], "scale": [1.0, 4.0, None], "layer_std": {"a": [1.0, 4.0, 5.0]}}
        ),
    )
    two = replace(
        RECORD,
        dynamics=json.dumps(
            {
                "step": [1, 3, 5, 7],
                "scale": [10.0, 30.0, 50.0, 70.0],
                "layer_std": {"a": [10.0, 30.0, 50.0, 70.0]},
            }
        ),
    )
    found = series(objects([one, two]).reshape(2, 1, 1))
    assert found is not None
    assert found.step_J == (1, 3, 4, 5, 7)
    np.testing.assert_equal(
        found.values["scale"][:, 0, 0], [[1, np.nan, 4, np.nan, np.nan], [10, 30, np.nan, 50, 70]]
    )
    np.testing.assert_equal(
        found.values["layer_std"][:, 0, 0, :, 0], [[1, np.nan, 4, 5, np.nan], [10, 30, np.nan, 50, 70]]
    )
    assert found.recorded_SWLJ[0, 0, 0].tolist() == [True, False, True, True, False]


def test_every_claim_survives_degenerate_records() -> None:
    """Everything diverged, or nothing recorded: each claim has a reason and no number that is not finite."""
    methods = dict.fromkeys(rule.method for rule in CLAIMS.values())
    for outcome in (DIVERGED, 1):
        pieces = []
        for size in (1.0, 10.0):
            pieces.append(under(named_method("none", lr=LR[:4]), spike_size=size))
            for method in methods:
                made = replace(named_method(method, lr=LR[:4]), outcome_SWL=np.full((5, 4, 4), outcome))
                pieces.append(under(made, spike_size=size))
        for claim in judge_claims(gather(pieces, Tolerances())):
            assert claim.reason
            assert claim.estimate is None or math.isfinite(claim.estimate)
