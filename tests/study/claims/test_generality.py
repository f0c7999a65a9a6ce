"""Claims over the settings of several studies: what counts once, what is averaged, what holds in general."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from study.claims import Comparison, Estimate, Finding
from study.claims.finding import either
from study.claims.tasks import Asked, task_of
from study.measures import stratified
from study.spec.tolerances import Tolerances
from tests.planting import planted
from tests.study.claims.asking import NOISE, TASKS, asked, exact, finding, judged, over


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((1.0, 1.1, 0.9, 1.2), "supported"),
        ((-1.0, -1.1, -0.9), "refuted"),
        ((1.0, -1.1, 0.1), "inconclusive"),
        ((1.0, 1.1), "inconclusive"),
    ],
)
def test_the_verdict_in_general(means: Sequence[float], expected: str) -> None:
    """Student's interval of the mean over tasks decides, from three tasks on; heterogeneity keeps it open."""
    assert over(means).verdict == expected


def test_here_and_in_general_are_apart() -> None:
    """A claim may hold in every setting that was tried and be open in general. Any word may be a verdict."""
    found = judged(
        [
            asked(mean, task, said=said)
            for mean, task, said in (
                (9.0, "sgd", "supported"),
                (0.5, "adam", "supported"),
                (0.4, "lion", "no difference"),
            )
        ]
    ).claims[0]
    assert found.here == {"supported": 2, "no difference": 1}
    assert found.verdict == "inconclusive"
    assert "does not lie on one side" in found.reason


def test_few_tasks_say_so() -> None:
    """One setting has a number, no interval, and what is wanted."""
    found = over([1.0])
    assert found.verdict == "inconclusive"
    assert found.reason == "against none: 1 decades in 1 task. Too few tasks (1); wanted at least 3"


def test_variants_and_budgets_of_a_task_count_once() -> None:
    """Ten variants with one network and its data are one task, and no evidence about others."""
    found = judged([asked(1.0 + k / 10, "adamw", own=[f"k{k}"]) for k in range(10)]).claims[0]
    assert (sum(found.here.values()), len(found.hardest.tasks), found.verdict) == (10, 1, "inconclusive")
    # They share their task's weight, so that nine settings of one task do not outvote another's.
    mixed = judged([*[asked(0.0, "adamw", own=[f"k{k}"]) for k in range(9)], asked(1.0, "sgd")]).claims[0]
    assert mixed.hardest.effects is not None
    assert mixed.hardest.effects.mean == pytest.approx(0.5)
    assert mixed.hardest.effect is not None
    assert mixed.hardest.effect.value == pytest.approx(0.5)


def test_a_setting_of_two_studies_counts_once() -> None:
    """The one with more cells stays, and the other is named; variants that share a baseline's cells stay."""
    small = asked(5.0, source=0, own=["a", "b"])
    large = asked(1.0, source=1, own=["a", "b", "c"])
    other = asked(1.0, source=2, own=["d"])
    found = judged([small, large, other])
    assert [one.study for one in found.claims[0].asked] == ["study1", "study2"]
    assert [(one.left_out.study, one.counted.study) for one in found.repeated] == [("study0", "study1")]
    same = judged([small, replace(small, source=1, study="again")])
    assert [one.study for one in same.claims[0].asked] == ["study0"]
    # What one study asks twice of the same cells it asks of different baselines or conditions.
    assert not judged([small, small]).repeated


def test_a_claim_that_names_no_cells() -> None:
    """Its setting stands for the task, so that it may be counted twice but is never lost."""
    assert task_of([], "w · sgd", 3)[0] == "w · sgd"
    found = judged([asked(1.0, source=0), asked(1.0, source=1)])
    assert len(found.claims[0].asked) == 2


def test_losses_are_shares_of_the_untrained_loss_of_the_seeds_that_were_judged() -> None:
    """As thresholds are. Seeds of a later look would make equal shares look different."""
    one = replace(planted(-3.1, -0.9, seeds=5), loss_initial_S=np.array([2.0, 2.2, 2.4, 9.0, np.nan]))
    assert task_of([one], "w · sgd", 3)[1] == pytest.approx(2.2)
    assert task_of([one], "w · sgd", 5)[1] == pytest.approx(3.9)


def test_every_comparison_must_hold() -> None:
    """The weakest decides support, one refutes, and one that too few tasks make keeps it open."""
    both = [finding({"none": 1.0, "clip_norm": 1.0 + k / 20}) for k in range(4)]
    assert over(both).verdict == "supported"
    weak = over([finding({"none": 1.0 + k / 20, "clip_norm": (-1.0) ** k}) for k in range(4)])
    assert (weak.verdict, weak.hardest.place) == ("inconclusive", "against clip_norm")
    against = over([finding({"none": 1.0 + k / 20, "clip_norm": -1.0 - k / 20}) for k in range(4)])
    assert (against.verdict, against.hardest.place) == ("refuted", "against clip_norm")
    few = over([*both[:3], finding({"none": 1.0, "clip_norm": 1.0, "zclip": 1.0})])
    assert few.verdict == "inconclusive"
    assert "Too few tasks against zclip (1); wanted at least 3" in few.reason


def test_the_best_of_several_refutations_counts_for_all() -> None:
    """What refutes at 4 % alone does not beside a second comparison (Bonferroni)."""
    means = (-0.4, -1.2, -0.5, -1.4)
    alone = over([finding({"none": mean}) for mean in means])
    beside = over([finding({"none": mean, "clip_norm": 1.0}) for mean in means])
    assert 0.025 < alone.comparisons[0].p_refute < 0.05
    assert (alone.verdict, beside.verdict) == ("refuted", "inconclusive")
    assert beside.comparisons[0].p_refute == pytest.approx(alone.comparisons[0].p_refute)


def test_no_difference_in_general() -> None:
    """The interval of the mean over tasks lies within what every setting calls no difference."""

    def small(mean: float, slight: float) -> Finding:
        found = finding({"none": mean})
        (one,) = found.comparisons
        return replace(found, comparisons=(replace(one, indifference=slight),))

    means = (0.01, -0.02, 0.015, -0.01)
    found = over([small(mean, 0.5) for mean in means])
    assert found.verdict == "no difference"
    assert "less than which counts as no difference" in found.reason
    interval = found.shown.effects.interval(found.confidence) if found.shown.effects else None
    assert interval
    assert -0.5 < interval[0] < interval[1] < 0.5
    # One setting that minds smaller differences is enough to keep it open.
    assert over([small(mean, 0.5 if k else 0.001) for k, mean in enumerate(means)]).verdict == "inconclusive"


def test_variants_of_a_study_make_no_interval_shorter() -> None:
    """They share the seeds of one baseline, and two equal ones say what one says."""
    one, two = asked(1.0, own=["a"]), asked(1.0, own=["b"])

    def length(*found: Asked) -> float:
        effect = judged(found).claims[0].hardest.effect
        return effect.high - effect.low if effect else np.nan

    assert length(one, two) == pytest.approx(length(one))
    assert length(one, replace(two, source=1)) < 0.9 * length(one)


def test_partial_evidence_cannot_support() -> None:
    """It can refute. One study that lacks nothing is enough to support."""
    lacking = {"partial": True, "missing": "it lacks clipping"}
    means = (1.0, 1.1, 0.9, 1.2)
    assert over([finding({"none": mean}, **lacking) for mean in means]).verdict == "inconclusive"
    assert over([finding({"none": -mean}, **lacking) for mean in means]).verdict == "refuted"
    mixed = [finding({"none": mean}, **(lacking if k else {})) for k, mean in enumerate(means)]
    assert over(mixed).verdict == "supported"


def test_rules_about_every_step() -> None:
    """One setting that breaks them refutes; that none does shows little about others with few tasks."""
    broken = over([exact(1.0), exact(-1.0), exact(1.0)])
    assert broken.verdict == "refuted"
    assert "broken in 1 of 9 runs, those of study0: w · adam" in broken.reason
    kept = over([exact(1.0)] * 3)
    assert kept.verdict == "inconclusive"
    assert "not contradicted in 9 runs of 3 tasks; at most 63.2% of tasks break it (95%)" in kept.reason
    many = judged([asked(exact(1.0), f"o{k}") for k in range(29)]).claims[0]
    assert many.verdict == "supported"
    assert over([exact(np.inf), exact(-np.inf), exact(1.0)]).verdict == "refuted"


def test_numbers_in_different_units_are_not_averaged() -> None:
    """The reason names the units, and no mean is given."""
    units = ("decades", "fraction", "decades")
    found = over([finding({"none": 1.0}, unit=unit) for unit in units])
    assert found.verdict == "inconclusive"
    assert found.hardest.effect is None
    assert "cannot be averaged: decades, fraction" in found.reason


def test_thresholds_that_differ() -> None:
    """Each setting is beside a limit of its own, so no mean has one."""
    moved = [
        Finding("m", "x", (Comparison("none", Estimate((1.0, 2.0, 3.0)), limit, True),))
        for limit in (0, 1, 1)
    ]
    assert "thresholds differ between settings: 0.0, 1.0" in over(moved).reason


def test_thresholds_of_the_studies_that_differ() -> None:
    """A width at another `trained` is another number; another confidence only asks for more of it."""
    found = [asked(1.0 + k / 20, task) for k, task in enumerate(TASKS[:4])]
    surer = replace(found[0], region=Tolerances(confidence=0.99, least_seeds=4))
    assert judged([surer, *found[1:]]).claims[0].verdict == "supported"
    other = replace(found[0], region=Tolerances(trained=0.9, departed=3.0))
    reason = judged([other, *found[1:]]).claims[0].reason
    assert "studies with different thresholds (region: trained 0.1, 0.9; departed 2, 3)" in reason


def test_losses_are_shares_of_the_untrained_loss() -> None:
    """A loss of 2 that begins at 4 is one of 50 that begins at 100, and limits scale with it."""
    found = (
        judged(
            [
                asked(Finding("m", "loss units", (one,)), task, loss=loss)
                for task, loss in (("sgd", 4.0), ("adam", 100.0), ("lion", 1.0))
                for one in (
                    Comparison("none", Estimate((0.4 * loss, 0.5 * loss, 0.6 * loss)), 0.05 * loss, True),
                )
            ]
        )
        .claims[0]
        .hardest
    )
    assert (found.unit, found.threshold) == ("of the untrained loss", pytest.approx(0.05))
    assert found.effect is not None
    assert found.effect.value == pytest.approx(0.5)
    unknown = judged(
        [
            asked(
                Finding("m", "loss units", (Comparison("none", Estimate((1.0, 2.0)), 0.0, True),)),
                loss=np.nan,
            )
        ]
    )
    assert "cannot be averaged: loss units" in unknown.claims[0].reason


def test_bounds_and_common_columns_keep_it_open() -> None:
    """A number that may move to the other side, or does at common learning rates, decides nothing."""

    def with_(**more: object) -> list[Finding]:
        found = []
        for k in range(4):
            one = Comparison("none", Estimate((1.0 + k / 20, 1.1, 1.2)), 0.0, True)
            found.append(Finding("m", "", (replace(one, **more),)))  # type: ignore[arg-type]
        return found

    assert over(with_()).verdict == "supported"
    cut = replace(Estimate((1.0, 1.1, 1.2)), upper_bound=True)
    assert "only a bound" in over([*with_()[:3], *with_(estimate=cut)[:1]]).reason
    more = replace(Estimate((1.0, 1.1, 1.2)), lower_bound=True)
    assert over([*with_()[:3], *with_(estimate=more)[:1]]).verdict == "supported"
    turned = over(with_(common=Estimate((-1.0, -1.1, -1.2))))
    assert turned.verdict == "inconclusive"
    assert "at common learning rates" in turned.reason.lower()


def test_one_or_the_other() -> None:
    """A sentence that needs one of two is supported by one, and refuted by both alone."""

    def two(first: float, second: float) -> list[Finding]:
        found = []
        for k in range(4):
            one, other = (
                Comparison(name, Estimate(tuple(mean + k / 20 + noise for noise in NOISE)), 0.0, True)
                for name, mean in (("score", first), ("loss", second))
            )
            found.append(Finding("m", "", (either(one, other),)))
        return found

    assert over(two(1.0, -1.0)).verdict == "supported"
    assert over(two(-1.0, -1.0)).verdict == "refuted"
    assert len(over(two(1.0, -1.0)).comparisons) == 1


def test_too_few_seeds() -> None:
    """Settings without the seeds of a verdict have no part in the numbers."""
    short = [replace(asked(1.0, task), enough=False) for task in TASKS]
    assert "too few complete seeds in 5 of 5 settings" in judged(short).claims[0].reason
    mixed = judged([*short[:2], asked(-1.0, "lion")]).claims[0]
    assert len(mixed.hardest.tasks) == 1


def test_claims_are_corrected_together() -> None:
    """Each further claim that chance could decide makes every interval wider; others do not."""
    sure = [asked(mean, task) for mean, task in zip((1.0, 1.4, 0.6, 1.5), TASKS, strict=False)]
    more = [replace(one, claim=replace(one.claim, id="stabilizer-fewer-divergences")) for one in sure]
    once = [replace(one, claim=replace(one.claim, id="plug-in")) for one in sure[:1]]
    assert judged(sure).claims[0].confidence == pytest.approx(0.95)
    assert judged([*sure, *once]).together == 1
    assert judged([*sure, *more, *once]).claims[0].confidence == pytest.approx(0.975)


def test_optimizers_of_one_workload_are_no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects that go with the workload, whose mean is 0, seen with three optimizers each; n = 300.

    Three workloads at 5 %, of which 10 % are contradicted at 99.9 %. As nine tasks, 27 % would err.
    """
    monkeypatch.setattr(stratified, "DRAWS", 4)  # no verdict rests on the bootstrap
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        settings = []
        for workload in TASKS[:3]:
            effect = rng.normal()
            for optimizer in ("sgd", "adamw", "lion"):
                here = rng.normal(effect, 0.5)
                one = Comparison("none", Estimate(tuple(rng.normal(here, 0.35, 3).tolist())), 0.0, True)
                found = asked(Finding("m", "decades", (one,)), workload, own=[f"{workload}{optimizer}"])
                settings.append(found)
        wrong += judged(settings).claims[0].verdict != "inconclusive"
    assert wrong / 300 < 0.10


def test_false_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks around a mean on the threshold: any of three claims gets a false verdict in at most 5 %; n = 500.

    5 % are contradicted at 99.9 % by a share above 8.2 %.
    """
    monkeypatch.setattr(stratified, "DRAWS", 4)  # no verdict rests on the bootstrap
    rng = np.random.default_rng(0)
    names = ("stabilizer-widens-lr", "stabilizer-fewer-divergences", "plug-in")
    wrong = 0
    for _ in range(500):
        settings = []
        for name in names:
            for task in TASKS[:4]:
                values = rng.normal(rng.normal(0, 0.5), rng.choice([0.2, 1.0]), 3)
                one = Comparison("none", Estimate(tuple(values.tolist())), 0.0, True)
                settings.append(asked(Finding("m", "decades", (one,)), task, name=name))
        wrong += any(one.verdict != "inconclusive" for one in judged(settings).claims)
    assert wrong / 500 < 0.082
