"""The plants against themselves: what they draw, the truths that they state, the records that they make."""

import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tools.plants import (
    EXPLODED,
    INDIFFERENCE,
    MEASURES,
    NORMS,
    PLANTS,
    REASONS,
    SIZES,
    Cells,
    Effected,
    Grid,
    Noise,
    Plant,
    Surface,
    effect,
    exactly,
    fixed_column,
)
from tracking import CellRecord

Array = NDArray[np.float64]
GRID = Grid.standard(3)
MANY = 1500
NAMES = list(PLANTS)
EFFECTED: tuple[Effected, ...] = ("width", "share", "wd", "score")
TRANSFORMS = ("stabilizer", "none", "clip_norm", "clip_value", "autoscale", "zscore", "unit_norm")


def key_of(transform: str, lr: float, weight_decay: float, seed: int) -> str:
    return f"{transform}/{lr!r}/{weight_decay!r}/{seed}"


@lru_cache(maxsize=4)
def drawn(name: str) -> Cells:
    """The method first, then its baseline. The stream depends on the name, so kinds do not fail together."""
    rng = np.random.default_rng(list(name.encode()))
    return PLANTS[name].draw(rng, replace(GRID, seeds=tuple(range(MANY))), [True, False])


def agrees(samples: Array, expected: Array | float) -> None:
    """To 3 standard errors, seeds along the first axis; of many numbers, to what is as rare for them all.

    The last term of Bernstein's bound is granted besides: an event that is rarer than one in a few hundred
    seeds may not occur in the sample, whose standard error is then too small. 1e-7 is for what does not vary.
    """
    mean, error = samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
    chance = 0.0027 / max(np.size(mean), 1)
    limit = statistics.NormalDist().inv_cdf(1.0 - chance / 2)
    rare = np.ptp(samples, axis=0).max() / len(samples) * math.log(2 / chance) / 3
    off = np.abs(mean - expected)
    assert np.all(off <= limit * error + rare + 1e-7), (off / (error + rare + 1e-7)).max()


def widths(cells: Cells, role: int) -> Array:
    return np.where(cells.trains[role], cells.right[role] - cells.left[role], 0.0)


def capped(cells: Cells, role: int) -> Array:
    initial = cells.loss_initial[:, None, None]
    least: Array = np.fmin(cells.loss[role], initial)
    return least


def scores(cells: Cells, role: int) -> Array:
    lost = cells.departed[role] | cells.dead[role]
    return np.where(lost, cells.metric_initial[:, None, None], cells.metric[role])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", [0, 1])
def test_truths_are_the_averages_of_what_is_drawn(name: str, role: int) -> None:
    plant, cells = PLANTS[name], drawn(name)
    truth = plant.truth(GRID)
    known = (truth.method, truth.baseline)[role]
    if known.lr_width is not None and known.area is not None:
        agrees(widths(cells, role), known.lr_width)
        agrees(widths(cells, role).sum(axis=1), known.area)  # rows of the standard grid are a decade high
    assert known.divergence_share is not None
    assert known.departed_share is not None
    assert known.dead_share is not None
    assert known.capped_loss is not None
    assert known.final_loss is not None
    agrees(cells.diverged[role].mean(axis=(1, 2)), known.divergence_share)
    agrees(cells.departed[role].mean(axis=(1, 2)), known.departed_share)
    agrees(cells.dead[role].mean(axis=(1, 2)), known.dead_share)
    loss = capped(cells, role)
    agrees(loss, known.capped_loss)
    agrees(loss.mean(axis=(1, 2)), known.final_loss)
    # The best cell of the expectations is known here, so mean less best is an average over seeds without a
    # bias.
    assert known.lr_sensitivity is not None
    assert known.wd_sensitivity is not None
    best_lr = known.capped_loss.argmin(axis=1)
    agrees(loss.mean(axis=2) - loss[:, np.arange(len(best_lr)), best_lr], known.lr_sensitivity)
    best_wd = known.capped_loss.argmin(axis=0)
    agrees(loss.mean(axis=1) - loss[:, best_wd, np.arange(len(best_wd))], known.wd_sensitivity)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", [0, 1])
def test_scores_are_the_averages_of_what_is_drawn(name: str, role: int) -> None:
    plant, cells = PLANTS[name], drawn(name)
    truth = plant.truth(GRID)
    known = (truth.method, truth.baseline)[role]
    score = scores(cells, role)
    assert known.tuned_score is not None
    if known.score is None:
        agrees(score[:, 2, fixed_column(GRID)], known.tuned_score)
        return
    agrees(score, known.score)
    flat = np.argmax(known.score if plant.metric.direction == "max" else -known.score)
    agrees(score.reshape(len(score), -1)[:, flat], known.tuned_score)


@pytest.mark.parametrize("name", NAMES)
def test_paired_differences_are_the_averages_of_what_is_drawn(name: str) -> None:
    plant, cells = PLANTS[name], drawn(name)
    difference = plant.truth(GRID).difference
    assert difference.divergence_share is not None
    assert difference.capped_loss is not None
    agrees(
        cells.diverged[0].mean(axis=(1, 2)) - cells.diverged[1].mean(axis=(1, 2)), difference.divergence_share
    )
    agrees(capped(cells, 0) - capped(cells, 1), difference.capped_loss)
    if difference.lr_width is not None and difference.mean_width is not None:
        paired = widths(cells, 0) - widths(cells, 1)
        agrees(paired, difference.lr_width)
        agrees(paired[:, cells.trains.any(axis=(0, 1))].mean(axis=1), difference.mean_width)


def same_spread(samples: Array, expected: float) -> None:
    """The variance to its standard error, which the fourth moment gives, and to what is as rare as 3 of them
    among
    all comparisons of variances here: there are four for each kind.
    """
    centred = samples - samples.mean()
    variance = float((centred**2).mean())
    error = math.sqrt(max(float((centred**4).mean()) - variance**2, 0.0) / len(samples))
    limit = statistics.NormalDist().inv_cdf(1.0 - 0.0027 / 2 / (4 * len(PLANTS)))
    assert abs(variance - expected**2) <= limit * error + 1e-12, (variance, expected**2, error)


@pytest.mark.parametrize("name", NAMES)
def test_spreads_are_those_of_paired_differences(name: str) -> None:
    plant, cells = PLANTS[name], drawn(name)
    spread = plant.truth(GRID).spread
    column = fixed_column(GRID)
    if spread.width is not None:
        either = cells.trains.any(axis=(0, 1))
        same_spread((widths(cells, 0) - widths(cells, 1))[:, either].mean(axis=1), spread.width)
    if spread.share is not None and spread.share > 1e-3:
        shares = cells.diverged.mean(axis=(2, 3))
        same_spread(shares[0] - shares[1], spread.share)
    if spread.wd is not None:
        sides = [capped(cells, role)[:, :, column] for role in (0, 1)]
        # The lowest row is the best one in expectation.
        each = [side.mean(axis=1) - side[:, 0] for side in sides]
        same_spread(each[0] - each[1], spread.wd)
    if spread.score is not None and PLANTS[name].metric.examples is None:
        full = np.flatnonzero((cells.gain[:, :, 2, column] > 1.0 - 1e-9).all(axis=0))
        if len(full) > MANY / 2:
            both = cells.metric[:, full, 2, column]
            same_spread(both[0] - both[1], spread.score)


@pytest.mark.parametrize("size", [*SIZES, -0.75, -2.0])
def test_effects_have_the_size_that_they_claim(size: float) -> None:
    for grid in (GRID, Grid.standard(3, rows=5, columns=21)):
        for measure in EFFECTED:
            truth = effect(measure, size).truth(grid)
            gap, spread = truth.difference, truth.spread
            assert gap.wd_sensitivity is not None
            found = {
                "width": (gap.mean_width, spread.width),
                "share": (-(gap.divergence_share or 0.0), spread.share),
                "wd": (-float(gap.wd_sensitivity[fixed_column(grid)]), spread.wd),
                "score": (gap.tuned_score, spread.score),
            }[measure]
            assert found[0] is not None
            assert found[1] is not None
            assert found[0] == pytest.approx(size * found[1], rel=1e-5)


def test_deltas_are_exact() -> None:
    for sign in (1.0, -1.0):
        width = exactly("width", sign * INDIFFERENCE["width"]).truth(GRID)
        method, baseline = width.method.lr_width, width.baseline.lr_width
        assert method is not None
        assert baseline is not None
        trains = baseline > 0
        np.testing.assert_allclose(method[trains] / baseline[trains], 1.0 + 0.1 * sign, rtol=1e-12)
        decades = exactly("width", sign * 0.2, unit="absolute").truth(GRID).difference
        assert decades.mean_width == pytest.approx(sign * 0.2, rel=1e-12)
        share = exactly("share", sign * 0.02).truth(GRID).difference.divergence_share
        assert share == pytest.approx(-sign * 0.02, rel=1e-6)
        score = exactly("score", sign * 0.005).truth(GRID).difference.tuned_score
        assert score == pytest.approx(sign * 0.005, rel=1e-6)
        decay = exactly("wd", sign * 0.02).truth(GRID).difference.wd_sensitivity
        assert decay is not None
        np.testing.assert_allclose(decay[5:10], -sign * 0.02, rtol=1e-4)  # in every column of full gain


def test_an_effect_leaves_what_it_does_not_imply() -> None:
    for size in SIZES:
        width, share, decay, score = (effect(of, size).truth(GRID).difference for of in EFFECTED)
        assert width.divergence_share == share.mean_width == score.mean_width == decay.mean_width == 0.0
        assert score.divergence_share == decay.divergence_share == 0.0
        for other in (width, share, decay):
            assert other.tuned_score == pytest.approx(0.0, abs=1e-6)
        assert score.final_loss == 0.0


@pytest.mark.parametrize("name", ["twins-flat", "twins-empty-rows", "contained", "effect-width-2sd"])
def test_the_trained_region_of_the_scores_has_the_stated_width(name: str) -> None:
    """By the definition of trained, on a fine grid: a tenth of the way from untrained to the seed's best.

    Cell noise is left out, as it blurs where a score crosses.
    """
    plant = PLANTS[name]
    plant = replace(plant, noise=replace(plant.noise, cell_score=0.0))
    fine = Grid.standard(60, rows=6, columns=1301)
    step = 6.5 / 1300
    cells = plant.draw(np.random.default_rng(4), fine, [True, False])
    for role in (0, 1):
        untrained = cells.metric_initial[:, None, None]
        best = np.nanmax(cells.metric[role], axis=(1, 2), keepdims=True)
        alive = ~cells.departed[role] & ~cells.dead[role]
        trained = alive & (cells.metric[role] >= untrained + 0.1 * (best - untrained))
        found = trained.sum(axis=2) * step
        assert np.abs(found - widths(cells, role)).max() < 2.0 * step
        truth = plant.truth(fine)
        stated = (truth.method, truth.baseline)[role].lr_width
        assert stated is not None
        agrees(found + 0.0, stated)


def test_the_contained_region_is_the_one_of_the_audit() -> None:
    truth = PLANTS["contained"].truth(GRID)
    assert truth.method.lr_width is not None
    assert truth.baseline.lr_width is not None
    np.testing.assert_allclose(truth.baseline.lr_width, [4.0, 4.0, 4.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(truth.method.lr_width, [4.4, 4.4, 4.4, 1.7, 1.7, 1.7])
    assert truth.difference.mean_width == pytest.approx(1.05)
    cells = drawn("contained")
    low = cells.trains[1]
    assert np.mean(cells.left[0][low] < cells.left[1][low]) > 0.98
    assert np.mean(cells.right[0][low] > cells.right[1][low]) > 0.98


def test_twins_differ_in_nothing() -> None:
    for plant in PLANTS.values():
        difference = plant.truth(GRID).difference
        values = [getattr(difference, name) for name in MEASURES]
        if plant.twins:
            assert all(value is not None and np.all(value == 0) for value in values)
        else:
            assert any(value is not None and np.any(np.abs(value) > 1e-6) for value in values)


def test_what_a_plant_does_not_know_is_none() -> None:
    for name, plant in PLANTS.items():
        known = plant.truth(GRID).baseline
        assert {measure for measure in MEASURES if getattr(known, measure) is None} == plant.unknown, name


def test_a_shift_by_whole_columns_is_the_same_landscape_further_right() -> None:
    truth = PLANTS["shifted-1"].truth(GRID)
    a, b = truth.method.score, truth.baseline.score
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a[:, 2:], b[:, :-2], atol=1e-9)
    c, d = truth.method.capped_loss, truth.baseline.capped_loss
    assert c is not None
    assert d is not None
    np.testing.assert_allclose(c[:, 2:], d[:, :-2], atol=1e-9)
    moved = PLANTS["effect-share-1sd"].moved(0.2).truth(GRID)
    assert moved.difference.divergence_share == pytest.approx(-(moved.spread.share or 0.0), rel=1e-5)


def test_cut_regions_pass_the_border_and_others_do_not() -> None:
    for name, plant in PLANTS.items():
        censored = plant.truth(GRID).censored
        for sides in censored.values():
            assert ("high lr" in sides) == (name in ("cut-high-lr", "cut-wider"))
            assert ("low lr" in sides) == (name == "cut-low-lr")
            assert "low weight decay" in sides


def test_the_outside_of_the_grid_is_all_that_differs() -> None:
    plant = PLANTS["cut-wider"]
    truth = plant.truth(GRID)
    assert truth.difference.mean_width == pytest.approx(0.8)
    assert truth.difference.divergence_share == pytest.approx(0.0, abs=1e-4)


def test_islands_train_beyond_a_gap() -> None:
    cells = drawn("twins-islands")
    past = -3.25 + 0.5 * np.arange(14) - cells.right[..., None]
    beyond = (past > 0) & (cells.gain > 0.9)
    seen = np.array(beyond.any(axis=3))
    assert seen[cells.trains].mean() == pytest.approx(0.6, abs=0.03)
    assert past[beyond].min() >= 0.8
    assert past[beyond].max() <= 1.6
    assert not (beyond & cells.diverged).any()


def test_rows_train_at_some_seeds_only() -> None:
    trains = drawn("twins-empty-rows").trains
    assert trains[:, :, 0].all()
    assert not trains[:, :, -1].any()
    np.testing.assert_allclose(trains[:, :, 1:-1].mean(axis=(0, 1)), 0.6, atol=0.04)
    assert np.mean(trains[0] != trains[1]) > 0.2


def test_dead_networks_are_one_cluster_that_a_coin_splits() -> None:
    cells = drawn("twins-dead")
    ratio = (cells.loss / cells.loss_initial[:, None, None])[cells.dead]
    assert 0.97 <= ratio.min() < 0.98
    assert 1.008 < ratio.max() <= 1.01
    exploded = cells.diverged[cells.dead]
    np.testing.assert_array_equal(exploded, ratio > EXPLODED)
    assert 0.4 < exploded.mean() < 0.6
    assert np.nanmin((cells.loss / cells.loss_initial[:, None, None])[cells.departed]) > 1.9
    trained = (cells.gain >= 0.1) & ~cells.dead
    assert (cells.loss / cells.loss_initial[:, None, None])[trained].max() < 0.97
    truth = PLANTS["dead-instead"].truth(GRID)
    a, b = truth.method, truth.baseline
    assert (a.departed_share or 0) + (a.dead_share or 0) == pytest.approx((b.departed_share or 0), abs=1e-9)


def test_quantised_scores_tie() -> None:
    cells = drawn("twins-quantised")
    counts = cells.metric[~np.isnan(cells.metric)] * 200
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    column = fixed_column(GRID)
    assert np.mean(cells.metric[0, :, 2, column] == cells.metric[1, :, 2, column]) > 0.3
    still = drawn("twins-no-variance")
    assert np.ptp(np.nanmax(still.metric, axis=(2, 3))) == 0.0


def study(name: str, seeds: int = 3, transforms: Sequence[str] = TRANSFORMS, of: int = 1) -> list[CellRecord]:
    grid = replace(GRID, seeds=tuple(range(seeds)))
    return PLANTS[name].records(np.random.default_rng(of), grid, transforms, key_of=key_of)


@pytest.mark.parametrize("name", NAMES)
def test_records_are_valid(name: str) -> None:
    plant = PLANTS[name]
    records = study(name)
    assert len(records) == 7 * 3 * 6 * 14 == len({r.key for r in records})
    for r in records:
        assert r.key == key_of(r.transform, r.lr, r.weight_decay, r.seed)
        assert type(r.lr) is float
        assert type(r.seed) is int
        assert r.loss_initial is not None
        assert r.metric_initial is not None
        assert r.metric_best is not None
        numbers = (r.loss_initial, r.loss_final, r.metric_initial, r.metric_final, r.metric_best)
        assert all(v is None or (type(v) is float and math.isfinite(v)) for v in numbers)
        if r.diverged:
            assert r.reason in REASONS[1:]
            assert type(r.diverged_step) is int
            assert 1 <= r.diverged_step <= r.steps
        else:
            assert r.finished
            assert r.reason is None
            assert r.diverged_step is None
        # Only what is not finite is missing, and the explosion is the rule of the product.
        assert (r.loss_final is None) == (r.metric_final is None) == (r.reason in REASONS[1:3])
        if r.loss_final is not None:
            assert (r.loss_final > EXPLODED * r.loss_initial) == (r.reason == "loss_exploded")
        assert r.metric_direction == plant.metric.direction
        assert r.metric_name == plant.metric.name
        if r.metric_name == "accuracy":
            assert all(0.0 <= v <= 1.0 for v in numbers[2:] if v is not None)
        assert [p[0] for p in r.curve] == list(range(0, 1001, 100))
        assert r.curve[0] == (0, r.loss_initial, r.metric_initial)
        assert r.curve[-1] == (1000, r.loss_final, r.metric_final)
        for at, loss, metric in r.curve:
            gone = r.loss_final is None and at >= (r.diverged_step or 0)
            assert (loss is None) == (metric is None) == gone
            assert loss is None or (type(loss) is float and math.isfinite(loss))
        seen = [p[2] for p in r.curve if p[2] is not None]
        assert r.metric_best == (max(seen) if r.metric_direction == "max" else min(seen))
    by_seed = defaultdict(set)
    for r in records:
        by_seed[r.seed].add((r.loss_initial, r.metric_initial))
    assert all(len(values) == 1 for values in by_seed.values())  # transforms are paired by seed
    reasons = {r.reason for r in records}
    if not name.startswith("cut-high") and name != "cut-wider":
        assert reasons == set(REASONS)


@pytest.mark.parametrize(
    "name", ["twins-flat", "twins-dead", "universal-0.3", "overflow-norms-0.3", "effect-share-1sd"]
)
def test_records_depend_on_the_rng_alone(name: str) -> None:
    assert study(name) == study(name)
    assert study(name) != study(name, of=2)
    longer = study(name, seeds=5)
    assert [r for r in longer if r.seed < 3] == study(name)


def test_names_and_methods_are_the_caller_s() -> None:
    grid = replace(GRID, seeds=(7, 3))
    plant = exactly("width", 1.0, unit="absolute")
    more: dict[str, str] = {"workload": "w", "optimizer": "o", "setting": "s", "provenance": '{"a": 1}'}
    records = plant.records(
        np.random.default_rng(0),
        grid,
        ("a", "b"),
        key_of=key_of,
        methods=("b",),
        constants={"b": '{"c": 2}'},
        steps=77,
        workload=more["workload"],
        optimizer=more["optimizer"],
        setting=more["setting"],
        provenance=more["provenance"],
    )
    assert {(r.workload, r.optimizer, r.setting, r.provenance, r.steps) for r in records} == {
        ("w", "o", "s", '{"a": 1}', 77)
    }
    assert {(r.transform, r.constants) for r in records} == {("a", "{}"), ("b", '{"c": 2}')}
    assert [r.seed for r in records[:: 6 * 14]] == [7, 3, 7, 3]
    trained = {t: sum(r.transform == t and (r.metric_final or 0) > 0.2 for r in records) for t in "ab"}
    assert trained["b"] > trained["a"]
    with pytest.raises(ValueError, match="not among"):
        plant.records(np.random.default_rng(0), grid, ("a",), key_of=key_of, methods=("z",))


KEYS = (
    *("step", "grad_std", "grad_norm", "scale", "update_ratio", "out_norm", "tensor_norm"),
    *("cosine", "least_cosine", "layer_std", "gain"),
)


def values_of(history: dict[str, Any], key: str) -> list[float]:
    of = history[key]
    lists = list(of.values()) if isinstance(of, dict) else [of]
    return [float(v) for one in lists for v in one]


def obeys(history: dict[str, Any]) -> bool:
    return (
        all(0 < v <= 1 for v in values_of(history, "scale"))
        and all(abs(v - 1) < 1e-6 for v in values_of(history, "least_cosine"))
        and all(v < 1 for v in values_of(history, "out_norm"))
    )


@pytest.mark.parametrize("name", [n for n, p in PLANTS.items() if p.recorded is not None])
def test_recorded_rules_break_in_the_stated_share(name: str) -> None:
    plant = PLANTS[name]
    recorded = plant.recorded
    assert recorded is not None
    seeds = 60
    broken: dict[tuple[str, int], int] = defaultdict(int)
    overflown: dict[int, list[bool]] = defaultdict(list)
    living = [r for r in study(name, seeds, ("a", "b")) if r.finished]
    for r in living:
        history = json.loads(r.dynamics)
        assert tuple(history) == KEYS
        assert all(len(values_of(history, k)) == (24 if k in ("layer_std", "gain") else 8) for k in history)
        bad = [k for k in history if not all(map(math.isfinite, values_of(history, k)))]
        assert set(bad) in (set(), set(recorded.keys))
        overflown[r.seed].append(bool(bad))
        if not bad:
            broken[r.transform, r.seed] += not obeys(history)
            std = history["grad_std"]
            assert std[-1] < std[0]
            assert history["layer_std"]["head"][-1] > history["layer_std"]["head"][0]
    per_seed = np.array([np.mean(v) for v in overflown.values()])
    truth = plant.truth(GRID)
    assert truth.overflow_share is not None
    agrees(per_seed, truth.overflow_share)
    if recorded.overflow:
        assert truth.breaking_share is None
        if recorded.keys == NORMS:
            found = [v for r in living for v in values_of(json.loads(r.dynamics), "out_norm")]
            assert 0.4 < np.isnan(found).sum() / (~np.isfinite(found)).sum() < 0.6
        return
    assert max(broken.values()) <= 1
    runs = np.array(list(broken.values()), dtype=float)
    assert truth.breaking_share is not None
    assert len(runs) == 2 * seeds
    agrees(runs, truth.breaking_share)


def test_cells_that_are_not_finite_have_nan_from_their_step_on() -> None:
    for r in study("universal-0"):
        history = json.loads(r.dynamics)
        lost = r.reason in REASONS[1:3]
        for step, value in zip(history["step"], history["out_norm"], strict=True):
            assert math.isnan(value) == (lost and step >= (r.diverged_step or 0))
    assert {r.dynamics for r in study("twins-flat")} == {"{}"}


def test_grids_and_plants_that_no_truth_fits_are_refused() -> None:
    for axis in ((0.0, 1.0), (1.0,), (2.0, 1.0)):
        with pytest.raises(ValueError, match="ascend"):
            Grid(lr=(0.1, 1.0), weight_decay=axis, seeds=(0,))
    with pytest.raises(ValueError, match="twice"):
        Grid(lr=(0.1, 1.0), weight_decay=(0.1, 1.0), seeds=(0, 0))
    with pytest.raises(ValueError, match="narrow"):
        Plant("p", "", Surface(width=1.0), Surface(width=1.0)).truth(GRID)
    with pytest.raises(ValueError, match="no divergence edge"):
        exactly("share", 0.9).truth(GRID)
    with pytest.raises(ValueError, match="turns the slope"):
        exactly("wd", 5.0).truth(GRID)


def test_a_study_is_made_in_little_time() -> None:
    for name in ("twins-flat", "twins-dead", "universal-0.3"):
        study(name)
        took = []
        for _ in range(5):
            start = time.process_time()
            study(name)
            took.append(time.process_time() - start)
        assert min(took) < 0.05, name


def test_noise_changes_no_truth_but_the_spread() -> None:
    quiet = replace(PLANTS["twins-flat"], noise=Noise(score=0.0, cell_score=0.0, loss=0.0, cell_loss=0.0))
    a, b = quiet.truth(GRID).method, PLANTS["twins-flat"].truth(GRID).method
    assert a.final_loss == b.final_loss
    assert a.mean_width == b.mean_width
