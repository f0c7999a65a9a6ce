"""The numbers behind heatmaps: shades, classes, edges, differences and tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.measures.estimate import Missing
from study.measures.landscape import DIVERGED, FAILED, FINISHED, INFERRED, PENDING, Landscape
from study.measures.lr_limits import edges_by_row, largest_lr, only_row, smallest_lr
from study.papers.tables import Recipe
from study.report.pictures.cells import GROUNDS
from study.report.pictures.geometry import at_column, borders, runs
from study.report.pictures.panels import NO_BETTER, Heatmap, edge_table, page, table_of
from study.report.pictures.quantities import QUANTITIES
from study.report.pictures.shades import Scale, scale_of
from tests.planting import evidence, planted

SIDES = {"low": smallest_lr, "high": largest_lr}


def shown(*landscapes: Landscape, name: str = "score", **more: object) -> Heatmap:
    found = page(landscapes, evidence(*landscapes), "title", name, **more)  # type: ignore[arg-type]
    assert isinstance(found, Heatmap)
    return found


def lightness(shade: float) -> float:
    """CIE L* of a shade, 0 black to 100 white."""
    from matplotlib import colormaps

    rgb = np.array(colormaps["viridis"](float(shade))[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return float(116 * np.cbrt(luminance) - 16 if luminance > 0.008856 else 903.3 * luminance)


def test_scores_where_methods_differ_have_different_colours() -> None:
    """Between 0.90 and 0.98 lie more than 15 units of lightness, of which a linear scale has 7."""
    scale = Scale(0.1, 0.98)
    ends = [lightness(float(scale.shade(np.array(value)))) for value in (0.90, 0.98)]
    assert ends[1] - ends[0] > 15
    straight = [lightness((value - 0.1) / 0.88) for value in (0.90, 0.98)]
    assert straight[1] - straight[0] < 8
    steps = [lightness(shade) for shade in np.linspace(0, 1, 50)]
    assert (np.diff(steps) > 0).all()


@pytest.mark.parametrize(("start", "best"), [(0.1, 0.98), (2.3, 0.05), (0.0, 1e-3)])
def test_a_scale_is_undone_and_its_numbers_are_honest(start: float, best: float) -> None:
    """Shades run from the untrained to the best, both ways, and each number stands at its own shade."""
    scale = Scale(start, best)
    at = np.linspace(0, 1, 11)
    np.testing.assert_allclose(scale.shade(scale.value(at)), at, atol=1e-9)
    assert scale.shade(np.array([start, best])).tolist() == [0.0, 1.0]
    assert len(scale.ticks) >= 3
    for shade, word in scale.ticks:
        assert shade == pytest.approx(float(scale.shade(np.array(float(word)))))


def test_a_few_bad_cells_take_no_colours() -> None:
    """A cell far worse than untrained has the lowest shade, and changes no other."""
    good, bad = planted(-3, -1), planted(-3, -1)
    bad.metric_SWL[:, 0, 0] = -50.0
    one, other = (scale_of([landscape]) for landscape in (good, bad))
    assert (one.start, one.best) == (other.start, other.best)
    panel = shown(bad).panels[0]
    assert panel.shade_WL[0, 0] == 0.0
    assert panel.classes[NO_BETTER][0, 0]
    np.testing.assert_array_equal(panel.shade_WL[1:], shown(good).panels[0].shade_WL[1:])


def test_all_panels_share_one_scale() -> None:
    """The best of all transforms is the lightest, and a worse one's best is darker."""
    best, worse = planted(-3, -1), planted(-3, -1, method="clip_norm")
    worse.metric_SWL[worse.metric_SWL > 0.5] = 0.6
    one, other = shown(best, worse).panels
    assert np.nanmax(one.shade_WL) == 1.0
    assert np.nanmax(other.shade_WL) < 0.5


def test_every_class_has_a_hatch_of_its_own() -> None:
    """A grey print tells classes by their hatch; only a ground that is as light as paper has none."""
    hatches = [ground.hatch for ground in GROUNDS.values()]
    assert len(set(hatches)) == len(hatches)
    assert [name for name, ground in GROUNDS.items() if not ground.hatch] == ["no seed diverged"]


def test_a_mean_of_fewer_seeds_is_said() -> None:
    """Where a seed of a cell was lost, the words do not claim a mean over all of them."""
    one = planted(-3, -1)
    n = len(one.seeds)
    alone = QUANTITIES["score"]([one], evidence(one))
    assert not isinstance(alone, Missing)
    assert f"mean over {n} seeds," in alone[-1]
    at = tuple(np.argwhere(one.outcome_SWL == FINISHED)[0])
    one.outcome_SWL[at] = DIVERGED
    fewer = QUANTITIES["score"]([one], evidence(one))
    assert not isinstance(fewer, Missing)
    assert f"mean over those of {n} seeds that finished," in fewer[-1]


def test_classes_of_cells() -> None:
    """Each cell is shown as exactly one of value, diverged, failed, pending and inferred."""
    one = planted(-3, -1)
    outcome = one.outcome_SWL
    outcome[0, 0, 0], outcome[1, 0, 1], outcome[:, 0, 2], outcome[0, 0, 3] = (
        PENDING,
        FAILED,
        INFERRED,
        DIVERGED,
    )
    classes = np.full(outcome.shape, 0)
    panel = shown(replace(one, class_SWL=classes, sought=("competitive",))).panels[0]
    names = {c: [name for name, place in panel.classes.items() if place[0, c]] for c in range(4)}
    assert names == {0: ["pending"], 1: ["failed"], 2: ["inferred outside"], 3: ["no better than untrained"]}
    assert panel.dots[0, 3]
    known = np.isfinite(panel.value_WL)
    others = [place for name, place in panel.classes.items() if name != NO_BETTER]
    assert (known.astype(int) + np.sum(others, axis=0) == 1).all()


def test_edges_are_those_of_the_measures() -> None:
    """Row by row the edges and intervals equal `smallest_lr` and `largest_lr`, which are calibrated."""
    one = planted(-3.1, -0.9, seeds=5, shift=0.2)
    one.outcome_SWL[2, 1] = DIVERGED
    one.metric_SWL[2, 1] = np.nan
    one.loss_SWL[2, 1] = np.nan
    piece = evidence(one)
    region = piece.regions["none", "trained", "own"]
    for end, of in SIDES.items():
        found = edges_by_row(region, last=end == "high")
        for row, estimate in enumerate(found):
            assert estimate == of(region, only_row(region, row))
    edges = [edge for edge in shown(one).panels[0].edges if edge.kind == "trained"]
    assert [edge.place is None for edge in edges if edge.end == "low"] == [False, True, False, False]
    low, high = (next(e for e in edges if e.row == 0 and e.end == end) for end in SIDES)
    assert low.interval is not None
    assert high.interval is not None
    assert low.interval[0] < (low.place or 0) < (high.place or 0) < high.interval[1]
    assert not high.beyond


def test_an_edge_beyond_the_grid_says_so() -> None:
    """Where a region runs out of the grid its edge is a bound."""
    edges = shown(planted(-9, 9)).panels[0].edges
    assert {edge.beyond for edge in edges if edge.kind == "trained"} == {True}


def test_an_empty_region_is_said() -> None:
    """Where everything diverged there is no region, and the panel and its caption say so."""
    panel = shown(planted(-9, -8)).panels[0]
    assert panel.empty == ("trained", "competitive")
    assert panel.caption == "no trained region"


def test_difference_is_centred_and_marks_what_is_certain() -> None:
    """0 has the middle shade, better the upper half; marked cells are those whose interval excludes 0."""
    base, other = planted(-3, -1), planted(-3, -1, method="clip_norm")
    gain = 0.05 + np.array([-1, 0, 1])[:, None] * 0.001
    other.metric_SWL[:, 0] = base.metric_SWL[:, 0] + gain
    other.metric_SWL[:, 1] = base.metric_SWL[:, 1]
    other.metric_SWL[:, 2] = base.metric_SWL[:, 2] + np.array([-0.4, 0.0, 0.3])[:, None]
    found = shown(base, other, name="difference")
    (panel,) = found.panels
    finished = np.isfinite(panel.value_WL[0])
    assert (panel.shade_WL[0][finished] > 0.5).all()
    assert panel.stars[0][finished].all()
    assert (panel.shade_WL[1][finished] == 0.5).all()
    assert not panel.stars[1:3].any()
    assert (0.5, "0") in [(shade, word) for shade, word in found.ticks]
    with_loss = [replace(one, higher_is_better=False) for one in (base, other)]
    (turned,) = shown(*with_loss, name="difference").panels
    assert (turned.shade_WL[0][finished] < 0.5).all()


def test_one_transform_has_no_difference() -> None:
    """With nothing to subtract the answer is what is missing."""
    one = planted(-3, -1)
    assert isinstance(page([one], evidence(one), "t", "difference"), Missing)


def test_outcomes_and_losses() -> None:
    """The share of trained seeds that finished; the loss from the untrained one's to the least."""
    one = planted(-3, -1)
    one.outcome_SWL[0, 0, 8] = DIVERGED
    panel = shown(one, name="outcomes").panels[0]
    assert panel.value_WL[0, 8] == pytest.approx(2 / 3)
    assert panel.value_WL[0, 0] == 1.0
    losses = shown(one, name="loss").panels[0]
    assert np.nanmax(losses.shade_WL) == 1.0
    assert losses.shade_WL[0, 0] == 0.0


@pytest.mark.parametrize("name", QUANTITIES)
def test_tables_have_every_cell(name: str) -> None:
    """One row per transform and cell, under the same names, whatever is drawn."""
    one, other = planted(-3, -1), planted(-3, -0.5, method="clip_norm")
    found = page([one, other], evidence(one, other), "t", name)
    if isinstance(found, Missing):
        assert name == "steps"
        return
    rows = table_of(found)
    assert len(rows) == len(found.panels) * len(one.lr) * len(one.weight_decay)
    assert {row["label"] for row in rows} == {panel.landscape.title for panel in found.panels}
    if name == "score":
        assert len(edge_table(found)) == 2 * 2 * 2 * len(one.weight_decay)


def test_borders_are_the_sides_of_cells() -> None:
    """Merged lines cover exactly the sides between a region and the outside, each once."""
    inside = np.random.default_rng(0).random((5, 7)) < 0.5
    padded = np.pad(inside, 1)
    level = int((padded[1:, 1:-1] != padded[:-1, 1:-1]).sum())
    upright = int((padded[1:-1, 1:] != padded[1:-1, :-1]).sum())
    lines = list(borders(inside))
    assert sum(abs(a[0] - b[0]) for a, b in lines) == level
    assert sum(abs(a[1] - b[1]) for a, b in lines) == upright
    again = np.zeros(inside.shape, dtype=bool)
    for row, first, last in runs(inside):
        again[row, first:last] = True
    assert (again == inside).all()


def test_places_on_uneven_axes() -> None:
    """A learning rate of the grid stands in the middle of its cell, and others between their neighbours."""
    lr = (1e-4, 1e-3, 3e-3, 1.0)
    assert [at_column(lr, np.log10(value)) for value in lr] == pytest.approx([0.5, 1.5, 2.5, 3.5])
    assert at_column(lr, -3.5) == pytest.approx(1.0)
    assert at_column(lr, 99) == 4.0


def test_the_papers_setting() -> None:
    """It stands where its numbers lie, between cells too, and nowhere outside of the grid."""
    one = planted(-3, -1)
    recipe = Recipe("cifar10", "adamw", 1e-3, 1e-2, 1, 1, "step")
    assert shown(one, recipe=recipe).panels[0].published == pytest.approx((8.5, 1.5))
    far = replace(recipe, lr=100.0)
    assert shown(one, recipe=far).panels[0].published is None
    assert shown(one, best={"none": (1e-2, one.lr[3])}).panels[0].best == (1, 3)


def test_steps_are_those_that_records_have() -> None:
    """Cells without a diverged seed have no step; the others the mean of those that have one."""
    one = planted(-3, -1)
    assert (one.outcome_SWL == FINISHED).any()
    assert isinstance(page([one], evidence(one), "t", "steps"), Missing)
