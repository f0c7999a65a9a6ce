"""The numbers behind forest plots, slices and tuning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from study.analysis import Analysis
from study.errors import UserError
from study.home import Home
from study.measures.estimate import Missing
from study.measures.regions import best_cell
from study.measures.tuning import tuning_curve
from study.report.pictures.forest import Forest, forest, forest_table
from study.report.pictures.slices import Charts, chart_table, slices, spread, tuning
from study.spec.read import read_spec
from study.stored import read
from tests.fabricated import WIDE, fabricate, hill


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Three transforms on six learning rates and three weight decays, of which unit_norm is widest."""
    folder = tmp_path_factory.mktemp("plots")
    spec = folder / "s.yaml"
    spec.write_text(WIDE.replace("autoscale", "{name: autoscale, label: Auto}"))
    fabricate(spec, folder / "home", hill)
    return read(read_spec(str(spec)), Home(folder / "home"))


def test_a_forest_is_sorted_by_its_first_measure(analysis: Analysis) -> None:
    """The widest trained region is on top in every column, with the numbers of the measures."""
    found = forest(analysis, analysis.evidence[0])
    assert isinstance(found, Forest)
    assert found.rows[0] == ("unit_norm", "unit_norm")
    assert {title for title, _ in found.rows} == {"none", "unit_norm", "Auto"}
    first = found.columns[0]
    assert first.name == "trained lr width (own best)"
    values = [point.value for point in first.points]
    assert values == sorted(values, key=lambda value: -(value or 0))
    widths = {one.case.landscape.transform: one.trained for one in analysis.reached}
    for (_, transform), point in zip(found.rows, first.points, strict=True):
        assert point.value == widths[transform].mean  # type: ignore[union-attr]
        assert point.interval == widths[transform].interval(0.95)  # type: ignore[union-attr]
    rows = forest_table(found, 0.95)
    assert len(rows) == len(found.columns) * 3
    assert rows[0]["transform"] == "unit_norm"


def test_slices_read_the_scores(analysis: Analysis) -> None:
    """Each line is a row or a column of the scores: mean, least and greatest of the seeds."""
    piece = analysis.evidence[0]
    found = slices(analysis, piece)
    assert isinstance(found, Charts)
    assert [chart.axis for chart in found.charts] == ["learning rate"] * 2 + ["weight decay"] * 2
    for line in found.charts[0].lines:
        landscape = piece.landscapes[line.transform]
        row, _ = best_cell(landscape)
        np.testing.assert_array_equal(line.mean_J, landscape.score_SWL[:, row].mean(axis=0))
        np.testing.assert_array_equal(line.low_J, landscape.score_SWL[:, row].min(axis=0))
        assert line.where == f"weight decay {landscape.weight_decay[row]:.3g}"
    diverged = {line.transform: line.lost_J.tolist() for line in found.charts[0].lines}
    assert diverged["none"] == [False] * 4 + [True] * 2
    assert diverged["unit_norm"] == [False] * 5 + [True]
    assert len(chart_table(found)) == 3 * (6 + 6 + 3 + 3)


def test_slices_at_a_chosen_cell(analysis: Analysis) -> None:
    """A weight decay that is asked for is that of all lines, and one off the grid is refused."""
    piece = analysis.evidence[0]
    found = slices(analysis, piece, weight_decay=0.1)
    assert isinstance(found, Charts)
    assert {line.where for line in found.charts[1].lines} == {"weight decay 0.1"}
    with pytest.raises(UserError, match="not on the study's grid"):
        slices(analysis, piece, lr=0.5)


def test_lines_are_named_where_they_fall(analysis: Analysis) -> None:
    """The name of a line points to the last place at which it is halfway up."""
    found = slices(analysis, analysis.evidence[0])
    assert isinstance(found, Charts)
    for line in found.charts[0].lines:
        shade_J = found.scale.shade(line.mean_J)
        at = line.anchor(found.scale)
        assert shade_J[at] >= shade_J.max() / 2
        assert (shade_J[at + 1 :] < shade_J.max() / 2).all()


def test_tuning_is_that_of_the_measure(analysis: Analysis) -> None:
    """The curve and its intervals are those of `tuning_curve`."""
    piece = analysis.evidence[0]
    found = tuning(analysis, piece)
    assert isinstance(found, Charts)
    line = found.charts[0].lines[0]
    wanted = tuning_curve(piece.landscapes["none"], 18)
    assert line.mean_J.tolist() == [one.mean for one in wanted]
    assert (line.low_J[4], line.high_J[4]) == wanted[4].interval(0.95)
    assert (found.scale.best >= line.high_J[np.isfinite(line.high_J)]).all()


def test_nothing_stored_has_no_plots(tmp_path: Path) -> None:
    """Without a complete seed the answer is what is missing."""
    spec = tmp_path / "s.yaml"
    spec.write_text(WIDE)
    empty = read(read_spec(str(spec)), Home(tmp_path / "home"))
    for of in (forest, slices, tuning):
        found = of(empty, empty.evidence[0])
        assert isinstance(found, Missing)
        assert found.reason.startswith("needs")


@pytest.mark.parametrize("seed", range(20))
def test_names_do_not_overlap(seed: int) -> None:
    """Spread places keep their order and distance, lie within the ends, and move only where they must."""
    rng = np.random.default_rng(seed)
    wanted = np.sort(rng.random(rng.integers(1, 12))).tolist()
    found = spread(wanted, 0.08, 0.0, 1.0)
    assert (np.diff(found) >= 0.08 - 1e-9).all()
    assert min(found) >= -1e-9
    assert max(found) <= 1 + 1e-9
    far = np.linspace(0.05, 0.95, 5).tolist()
    assert spread(far, 0.08, 0.0, 1.0) == pytest.approx(far)


def test_too_many_names_share_the_room() -> None:
    """With more names than fit they stand as far apart as the room allows."""
    assert spread([0.5] * 5, 0.5, 0.0, 1.0) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
