"""Looks: shares that add up, verdicts that stay, and seeds for those that need them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.claims.catalogue import questions_of
from study.claims.finding import Comparison, Finding, either
from study.claims.foresight import Future, chance, needed, outlook
from study.claims.looks import FIRST, by_hand, planned
from study.claims.sequence import CAP, DECIDED, FUTILE, OPEN, Judgement, judge_in_sequence
from study.claims.verdicts import NO_DIFFERENCE, REFUTED, SUPPORTED, Claim, Question, judge
from study.measures.estimate import Estimate, pooled
from study.measures.evidence import Evidence, gather
from study.measures.grid_error import GridError
from study.measures.landscape import Landscape
from study.measures.prior import CAUTION, NO_PRIOR, prior_of
from study.report.outlook import takes
from study.spec.claim_rule import Rule
from study.spec.indifference import NEGLIGIBLE
from study.spec.tolerances import Tolerances
from tests.planting import planted

LOOKS = (3, 5, 8, 12)


def test_the_looks_of_a_study_share_its_error() -> None:
    """Named looks spend in proportion to the seeds they add, and all of it; those by hand never more."""
    shares = [look.share for look in planned(LOOKS).looks]
    assert shares == pytest.approx([3 / 12, 2 / 12, 3 / 12, 4 / 12])
    alone = by_hand((), 5).looks
    assert [(look.seeds, look.share) for look in alone] == [(5, FIRST)]
    many = by_hand(range(2, 60), 60).looks
    assert [look.share for look in many[:3]] == pytest.approx([0.8, 0.1, 0.05])
    assert sum(look.share for look in many) <= 1
    # A look keeps the share that it was taken with, whatever came before it has fewer or more seeds.
    (again,) = by_hand((9, 5), 5).looks
    assert (again.seeds, again.share) == (5, pytest.approx(0.1))
    assert by_hand((3,), 5).last_share == pytest.approx(0.05)
    assert planned(LOOKS).last_share == planned(LOOKS).looks[-1].share


def test_peeking_costs_no_error() -> None:
    """Looks after 3, 5, 8 and 12 seeds give twins a verdict in at most 5 %; at 5 % each it were over 10."""
    rng = np.random.default_rng(1)
    draws = 20_000
    values = rng.normal(0, 1, (draws, LOOKS[-1]))
    p = np.stack([stats.ttest_1samp(values[:, :n], 0, axis=1).pvalue for n in LOOKS], axis=1)
    level = 0.05 * np.array([look.share for look in planned(LOOKS).looks])
    assert (p <= 0.05).any(axis=1).mean() > 0.10
    assert (p <= level).any(axis=1).mean() <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / draws)


def study(gap: float, seeds: int = LOOKS[-1], draw: int = 0, *more: str) -> list[Landscape]:
    """A baseline, clipping and the method, whose region ends so many decades further right."""
    highs = {"none": -0.9, "clip_norm": -0.9, "gradient_stabilizer": -0.9 + gap} | dict.fromkeys(more, -0.9)
    return [
        planted(
            -3.1, high, seeds=seeds, method=name, shift=0.15, rng=np.random.default_rng([draw, len(name)])
        )
        for name, high in highs.items()
    ]


def after(landscapes: list[Landscape], seeds: int) -> list[Landscape]:
    """What a study has when so many seeds are complete."""
    return [one.at_seeds(np.arange(len(one.seeds)) < seeds) for one in landscapes]


def judged(landscapes: list[Landscape], *, looks: tuple[int, ...] = LOOKS) -> Judgement:
    return judge_in_sequence(landscapes, planned(looks), Tolerances(), NEGLIGIBLE)


def claim(found: Judgement, name: str = "stabilizer-widens-lr") -> Claim:
    return next(one for one in found.claims if one.id == name)


def test_a_verdict_stays_whatever_comes_later() -> None:
    """A clear difference is decided early; seeds that contradict it later change nothing."""
    landscapes = study(1.5)
    first = next(n for n in LOOKS if claim(judged(after(landscapes, n))).standing == DECIDED)
    assert first < LOOKS[-1]
    early = claim(judged(after(landscapes, first)))
    assert (early.verdict, early.n_seeds) == (SUPPORTED, first)
    # From then on the method's region is that of the baseline.
    spoilt = [
        replace(one, metric_SWL=np.where(np.arange(LOOKS[-1])[:, None, None] < first, one.metric_SWL, 0.1))
        for one in landscapes
    ]
    assert claim(judged(spoilt)) == early


def test_a_look_sees_its_own_seeds_alone() -> None:
    """Whoever judges later gets what was said at each look, of every claim."""
    for draw in range(4):
        landscapes = study(0.2, LOOKS[-1], draw)
        whole = {one.id: one for one in judged(landscapes).claims}
        for seeds in LOOKS:
            for one in judged(after(landscapes, seeds)).claims:
                if one.standing in (DECIDED, FUTILE):
                    assert whole[one.id] == one


def test_a_damaged_seed_brings_no_other_into_a_look() -> None:
    """The look at three by hand had seeds 0, 1 and 2. Without seed 1 it has two, and not 0, 2 and 3."""
    landscapes = after(study(1.5), 4)
    whole = judge_in_sequence(landscapes, by_hand((3,), 4), Tolerances(), NEGLIGIBLE)
    assert claim(whole).n_seeds == 3
    damaged = [replace(one, outcome_SWL=one.outcome_SWL.copy()) for one in landscapes]
    for one in damaged:
        one.outcome_SWL[1, 0, 0] = 0
    pieces = gather(damaged, Tolerances(), NEGLIGIBLE, 3)
    assert pieces[0].landscapes["none"].seeds == (0, 2)


def test_between_looks_nothing_is_decided() -> None:
    """Four seeds are the look after three; two are none, and then every claim says what it waits for."""
    landscapes = study(1.5)
    assert judged(after(landscapes, 4)).claims == judged(after(landscapes, 3)).claims
    few = judged(after(landscapes, 2))
    assert few.look is None
    assert few.next == planned(LOOKS).looks[0]
    assert {one.verdict for one in few.claims} == {"inconclusive"}
    assert {one.standing for one in few.claims} == {OPEN, ""}
    assert "2 of 2 seeds are complete and a verdict needs at least 3" in claim(few).reason


def test_seeds_go_to_what_open_claims_compare() -> None:
    """The next look needs the transforms of open claims, and so many others that spreads can be pooled."""
    landscapes = study(0.1, LOOKS[-1], 0, "adagc", "agc", "centralization", "autoclip", "zclip")
    found = judged(after(landscapes, 3))
    assert found.next
    needed_ = {label for _, label in found.needed}
    named = {one.transform for one in landscapes} - {"centralization"}
    still = [one for one in found.claims if one.standing == OPEN]
    assert still
    # No sentence about the method names centralization.
    assert needed_ == named


def elsewhere(landscapes: list[Landscape], **setting: str) -> list[Landscape]:
    """The same cells in another setting, under keys of their own."""
    mark = "".join(setting.values())
    return [
        replace(one, key_SWL=np.char.add(f"{mark} ", one.key_SWL.astype(str)), **setting)  # type: ignore[arg-type]
        for one in landscapes
    ]


def test_what_is_asked_no_more_needs_no_cells() -> None:
    """A setting that lost the method since its claims ended does not disturb those of another setting."""
    here = study(0.3, 5)
    there = [one for one in elsewhere(here, optimizer="sgd") if one.method != "gradient_stabilizer"]
    open_ = {("stabilizer-widens-lr", "w · adamw")}
    (question,) = questions_of(gather([*here, *there], Tolerances()), wanted=open_)
    assert (question.id, question.setting) in open_
    assert question.finding.comparisons


def test_a_claim_over_workloads_names_the_cells_of_all() -> None:
    """Otherwise the next look would lack what its regret and dimension are computed from."""
    here = [
        planted(-3.1, -0.9, seeds=3, method=name, rng=np.random.default_rng(k))
        for k, name in enumerate(("none", "autoscale"))
    ]
    there = elsewhere(here, workload="v")
    open_ = {("autoscale-hyperparameter-free", "w · adamw")}
    (question,) = questions_of(gather([*here, *there], Tolerances()), wanted=open_)
    assert "regret" in " ".join(one.place for one in question.finding.comparisons)
    for one in (*here, *there):
        assert one.key_SWL.flat[0] in question.finding.keys


def test_a_claim_of_the_users_own_keeps_all_transforms() -> None:
    """Which cells it reads is not known, so that none is left out of the next look."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        values = tuple(0.4 * (-1.0) ** k + 0.1 for k in range(evidence.n_seeds))
        return Finding("m", "u", (Comparison("x", Estimate(values), 0.0, True),))

    rules = {"mine": Rule("s", "t", "gradient_stabilizer", decide)}
    landscapes = study(0.0, 12, 0, "adagc", "agc", "centralization", "autoclip", "zclip")
    found = judge_in_sequence(after(landscapes, 5), planned(LOOKS), Tolerances(), NEGLIGIBLE, rules)
    mine = claim(found, "mine")
    assert (mine.standing, mine.n_seeds) in ((OPEN, 5), (FUTILE, 3), (FUTILE, 5))
    if found.next is not None and mine.standing == OPEN:
        assert {label for _, label in found.needed} == {one.transform for one in landscapes}


def test_a_rule_that_wants_more_seeds_is_asked_again() -> None:
    """A user's rule that compares nothing before five seeds is judged at five, and costs no seeds before."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        if evidence.n_seeds < 5:
            return Finding("m", "u", (), missing="five seeds")
        values = tuple(1 + k / 100 for k in range(evidence.n_seeds))
        return Finding("m", "u", (Comparison("x", Estimate(values), 0.0, True),))

    def judge_after(seeds: int, rule: Rule, gap: float = 0.0) -> Judgement:
        some = after(study(gap), seeds)
        return judge_in_sequence(some, planned(LOOKS), Tolerances(), NEGLIGIBLE, {"mine": rule})

    mine = Rule("s", "t", "gradient_stabilizer", decide)
    assert claim(judge_after(3, mine), "mine").standing == ""
    later = claim(judge_after(5, mine), "mine")
    assert (later.verdict, later.standing, later.n_seeds) == (SUPPORTED, DECIDED, 5)
    # No seeds are trained for a rule that nothing answers, where all others have ended.
    never = replace(mine, decide=lambda *_: Finding("m", "u", (), missing="luck"))
    for seeds in LOOKS:
        found = judge_after(seeds, never, gap=1.5)
        others = [one.standing for one in found.claims if one.id != "mine"]
        assert (found.next is not None) == (OPEN in others)


def test_a_look_by_hand_keeps_its_level_whatever_comes_later() -> None:
    """Rules about every step count from the start, though few seeds leave nothing to chance."""

    def decide(evidence: Evidence, own: Landscape) -> Finding:
        values = Estimate((1.0,) * evidence.n_seeds)
        return Finding("m", "", (Comparison("steps", values, 0.0, True, exact=True),))

    rules = {"steps": Rule("s", "t", "gradient_stabilizer", decide)}
    landscapes = study(0.0, 40)
    levels = [
        judge_in_sequence(
            after(landscapes, seeds), by_hand((5,), seeds), Tolerances(), NEGLIGIBLE, rules
        ).levels[5]
        for seeds in (5, 28, 29, 40)
    ]
    assert len(set(levels)) == 1


def test_the_interval_that_is_shown_decides() -> None:
    """One of several comparisons is enough to refute, so its interval has a part of the level."""
    far = tuple(-0.3 + 0.1 * np.array([-1.0, 0.0, 1.0, 0.5, -0.5]))
    near = tuple(0.02 + 0.1 * np.array([-1.0, 0.0, 1.0, 0.5, -0.5]))
    comparisons = tuple(Comparison(name, Estimate(v), 0.0, True) for name, v in (("a", far), ("b", near)))
    (found,) = judge([Question("q", "", "", "", 5, 5, Finding("m", "u", comparisons))], 0.95, 3)
    assert (found.verdict, found.against) == (REFUTED, "against a")
    assert found.confidence == pytest.approx(1 - 0.05 / 2)
    assert found.interval == pytest.approx(Estimate(far).interval(1 - 0.05 / 2))
    # With a tenth of the level it is below 0 by itself, and one of two might be so by chance.
    level = 1.5 * Estimate(far).p(0.0)
    (open_,) = judge([Question("q", "", "", "", 5, 5, Finding("m", "u", comparisons))], 1 - level, 3)
    assert open_.verdict == "inconclusive"
    assert "One of 2 comparisons alone would decide it" in open_.reason


def test_a_hopeless_claim_is_given_up_and_one_in_sight_is_not() -> None:
    """Where no verdict is in sight by the last look, no further seeds are asked for."""
    question = Question("a", "", "", "", 5, 5, Finding("m", "u", (Comparison("x", NOISE, 0.0, True),)))
    assert chance(question, 12, 0.01) < 0.10
    near = replace(question, finding=Finding("m", "u", (Comparison("x", CLEAR, 0.0, True),)))
    assert chance(near, 12, 0.01) > 0.5
    standings = {one.standing for one in judged(study(0.0)).claims if one.estimate is not None}
    assert standings <= {DECIDED, FUTILE, CAP}


NOISE = Estimate((1.0, -1.1, 0.4, -0.5, 0.2))
CLEAR = Estimate((1.0, 1.4, 0.6, 1.2, 0.1))


@pytest.mark.parametrize("effect", [0.0, 0.8])
def test_the_predicted_chance_is_that_of_what_comes(effect: float) -> None:
    """Averaged over pilots, the predicted chance of a verdict is how often one comes, within 4 points."""
    rng = np.random.default_rng(3)
    level, now, later = 0.02, 5, 12
    told, came = [], []
    for _ in range(1500):
        # A flat prior of the mean, as the prediction has it: any truth, seen through the pilot.
        values = rng.normal(effect, 1, now)
        pilot = Comparison("x", Estimate(tuple(values)), 0.0, above=True, indifference=0.8)
        told.append(sum(Future(pilot, later, level).predicted().values()))
        sd = values.std(ddof=1) * np.sqrt((now - 1) / rng.chisquare(now - 1))
        mean = values.mean() + sd * rng.normal() / np.sqrt(now)
        grown = Estimate((*values, *rng.normal(mean, sd, later - now)))
        one = replace(pilot, estimate=grown)
        came.append(min(one.p_support, one.p_refute, one.p_equal) <= level)
    assert np.mean(told) == pytest.approx(np.mean(came), abs=0.04)


def test_the_seeds_that_are_said_to_be_enough_are() -> None:
    """So many seeds give the verdict in about 80 % of new studies, and half as many seldom."""
    rng = np.random.default_rng(4)
    pilot = rng.normal(0, 1, 6)
    pilot = 0.7 + (pilot - pilot.mean()) / pilot.std(ddof=1)
    one = Comparison("x", Estimate(tuple(pilot)), 0.0, above=True)
    enough = needed(one, SUPPORTED, 0.01)
    assert enough
    for seeds, low, high in ((enough, 0.74, 0.90), (enough // 2, 0.0, 0.45)):
        share = (stats.ttest_1samp(rng.normal(0.7, 1, (2000, seeds)), 0, axis=1).pvalue <= 0.01).mean()
        assert low <= share <= high
    assert needed(one, REFUTED, 0.01) is None


def test_of_alternatives_the_best_supports_and_the_worst_refutes() -> None:
    """One is enough for the claim, at its part of the level; all must contradict it."""
    clear, noise = (Comparison("x", one, 0.0, True) for one in (CLEAR, NOISE))
    both = Future(either(clear, noise), 40, 0.01)
    for of in (Future.power, Future.predicted):
        alone = of(Future(clear, 40, 0.005))
        assert of(both)[SUPPORTED] == pytest.approx(alone[SUPPORTED])
        assert of(both)[REFUTED] == min(of(Future(one, 40, 0.01))[REFUTED] for one in (clear, noise))


def test_what_limits_a_claim_is_named() -> None:
    """A grid's error is not mended by seeds; a bound takes a wider axis; noise takes seeds."""

    def limit(estimate: Estimate, **more: float) -> str:
        comparison = Comparison("x", estimate, 0.0, above=True, **more)  # type: ignore[arg-type]
        found = outlook(Question("a", "", "", "", 5, 5, Finding("m", "u", (comparison,))), 0.01)
        assert found
        return found.missing

    values = (0.10, 0.12, 0.09, 0.11, 0.10)
    assert limit(Estimate(values)) == "seeds"
    assert limit(Estimate(values, GridError(0.2, 0.4))) == "grid"
    assert limit(Estimate(values, upper_bound=True)) == "axis"
    clear = Comparison("x", Estimate(values), 0.0, above=True)
    alone = Finding("m", "u", (clear,), missing="the sentence compares with clipping", partial=True)
    found = outlook(Question("a", "", "", "", 5, 5, alone), 0.01)
    assert found
    assert (found.missing, found.lack) == ("lack", "the sentence compares with clipping")
    assert takes(found) == "no number of seeds, because the sentence compares with clipping (against x)"
    coarse = Comparison("x", Estimate(values, GridError(0.2)), 0.0, above=True)
    found = outlook(Question("a", "", "", "", 5, 5, Finding("m", "u", (coarse,))), 0.01)
    assert found
    assert found.grid
    assert found.points == pytest.approx(2 * found.grid / 0.104, rel=1e-3)


def test_no_difference_lies_inside_of_the_band() -> None:
    """The interval at the verdict's level lies within ± the indifference, for one of the comparisons."""

    def verdict(spread: float, mean: float = 0.0, band: float = 1.0, *, bound: bool = False) -> str:
        values = tuple(mean + spread * np.array([-1.0, 0.0, 1.0, 0.5, -0.5]))
        inside = Comparison("x", Estimate(values, lower_bound=bound), 0.0, True, indifference=band)
        far = Comparison("y", Estimate(tuple(5 + np.array(values))), 0.0, True, indifference=band)
        (found,) = judge([Question("a", "", "", "", 5, 5, Finding("m", "u", (inside, far)))], 0.95, 3)
        if found.verdict == NO_DIFFERENCE:
            assert found.against == "against x"
            assert found.interval
            assert -band < found.interval[0] < found.interval[1] < band
        return found.verdict

    assert verdict(0.3) == NO_DIFFERENCE
    assert verdict(0.3, bound=True) == "inconclusive"
    assert verdict(0.3, band=0.0) == "inconclusive"
    assert verdict(3.0) == "inconclusive"
    # A small difference that is certain is one.
    assert verdict(0.001, mean=0.1) == SUPPORTED


def test_a_prior_comes_from_the_others_alone() -> None:
    """What all differences share is no part of it; it trusts the others less, the more the pair varies."""
    rng = np.random.default_rng(5)
    own_S, others_MS = rng.normal(0, 1, 8), rng.normal(0, 0.3, (5, 8))
    found = prior_of(own_S - others_MS, 0.01)
    again = prior_of(100 * own_S - others_MS, 0.01)
    assert found.variance == pytest.approx(again.variance)
    rest = others_MS - others_MS.mean(axis=0) - others_MS.mean(axis=1)[:, None] + others_MS.mean()
    assert found.variance == pytest.approx(CAUTION * 2 * (rest**2).sum() / (4 * 7))
    assert found.df == 7
    assert prior_of(own_S - others_MS, found.variance).df == pytest.approx(3.5)
    assert prior_of(own_S - others_MS, 1.5 * found.variance).df == 0
    # Two others at eight seeds say no more than the pair's own seven degrees of freedom.
    assert prior_of(others_MS[:2], 0.0).df == 7
    for nothing in (others_MS[:1], others_MS[:, :3], np.ones((5, 8)), np.full((5, 8), np.inf)):
        with np.errstate(invalid="ignore"):
            assert prior_of(nothing, 0.1) == NO_PRIOR


@pytest.mark.parametrize(
    ("spreads", "most"),
    [((1, 1, 1, 1, 1, 1, 1), 1.0), ((1, 5, 1, 1, 1, 1, 1), 1.6), ((5, 1, 1, 1), 1.6), ((1, 1, 5, 1), 1.0)],
)
def test_pooled_spreads_err_little_more_where_they_differ(spreads: tuple[float, ...], most: float) -> None:
    """At 1 % and five seeds: no more where all vary alike, under 1.6 times with one of the pair beyond."""
    rng = np.random.default_rng(6)
    draws, level, wrong = 4000, 0.01, 0
    for _ in range(draws):
        value_KS = rng.normal(0, 1, (len(spreads), 5)) * np.array(spreads)[:, None]
        apart = {str(k): Estimate(tuple(value_KS[0] - value_KS[k])) for k in range(1, len(spreads))}
        one = pooled(apart)["1"]
        wrong += abs(one.mean) > one.half_width(1 - level)
    assert wrong / draws < level * most + 2.6 * np.sqrt(level * most / draws)


def test_pooled_spreads_find_more() -> None:
    """With five seeds and seven like transforms, 3 sd are found more often by a quarter."""
    rng = np.random.default_rng(7)
    found = {"alone": 0, "pooled": 0}
    for _ in range(1500):
        value_KS = rng.normal(0, 1, (7, 5))
        value_KS[0] += 3 * np.sqrt(2)
        apart = {str(k): Estimate(tuple(value_KS[0] - value_KS[k])) for k in range(1, 7)}
        for name, one in (("alone", apart["1"]), ("pooled", pooled(apart)["1"])):
            found[name] += one.mean > one.half_width(1 - 0.002)
    assert found["pooled"] > 1.25 * found["alone"]
