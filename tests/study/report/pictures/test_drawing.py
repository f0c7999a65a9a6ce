"""Pictures as files: what is in them, small and wild studies, and how they compare with earlier ones."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from study.measures.landscape import DIVERGED, FINISHED, INFERRED, PENDING, Landscape
from study.report.pictures import saving
from study.report.pictures.forest import Column, Forest, Point
from study.report.pictures.geometry import tick_label, tick_places
from study.report.pictures.heatmaps import draw
from study.report.pictures.panels import Heatmap, page
from study.report.pictures.plots import draw_charts, draw_forest
from study.report.pictures.saving import save
from study.report.pictures.shades import Scale
from study.report.pictures.slices import Chart, Charts, Line
from study.report.pictures.style import PictureStyle, style
from tests.planting import evidence, planted
from tests.study.report.pictures import inked

BASELINES = Path(__file__).parent / "baselines"
PINNED = "matplotlib==3.11.2"
"""What drew the baselines. Another version places letters elsewhere."""
TOLERANCE = 3.0
"""Root mean square of the difference of two pictures [of 255]."""
SOUGHT = ("competitive",)
"""Regions of an edge-seeking design."""
LONG = "a" * 60 + " " + "very $x_1$ <b>long</b> & name " * 8


def heatmap_of(*landscapes: Landscape, name: str = "score") -> Heatmap:
    first = landscapes[0]
    best = {first.transform: (first.weight_decay[-1], first.lr[len(first.lr) // 2])}
    found = page(landscapes, evidence(*landscapes), "a study: w · adamw", name, best)
    assert isinstance(found, Heatmap)
    return found


def everything() -> Heatmap:
    """Two panels with every class of cells."""
    one, other = planted(-3, -1, shift=0.3), planted(-4, -2, method="clip_norm")
    one.outcome_SWL[0, 0, :2], one.outcome_SWL[:, 1, :3] = PENDING, INFERRED
    one.outcome_SWL[0, 2, 10] = DIVERGED
    classes = np.ones(one.outcome_SWL.shape, dtype=np.int64)
    return heatmap_of(
        replace(one, class_SWL=classes, sought=SOUGHT),
        replace(other, class_SWL=classes, sought=SOUGHT, label="Clip $x$ <b>"),
    )


def rows() -> Forest:
    points = (
        Point(2.0, (1.5, 2.5), n_seeds=3),
        Point(1.0, (0.9, 1.3), lower_bound=True),
        Point(None, reason="r"),
    )
    names = (("first", "a"), ("second", "b"), ("third", "c"))
    return Forest("a study", names, (Column("m", "width\n[decades]", points),) * 3, "95% intervals")


def lines() -> Charts:
    at = tuple(float(value) for value in np.logspace(-4, 0, 9))
    found = []
    for k in range(3):
        mean = 0.1 + 0.8 * np.exp(-((np.log10(at) + 2.5 - 0.4 * k) ** 2))
        lost = np.arange(9) > 6 + k
        found.append(
            Line(f"t{k}", f"transform {k}", "weight decay 0.1", at, mean, mean - 0.05, mean + 0.05, lost)
        )
    return Charts(
        "a study", "accuracy", Scale(0.1, 0.95), (Chart("learning rate", "best", tuple(found)),) * 2, "n"
    )


PICTURES = {
    "heatmap": lambda: draw(everything()),
    "difference": lambda: draw(
        heatmap_of(planted(-3, -1), planted(-3, -0.5, method="clip_norm"), name="difference"),
        PictureStyle("one"),
    ),
    "forest": lambda: draw_forest(rows()),
    "slices": lambda: draw_charts(lines(), PictureStyle("one", title=False)),
}


def test_numbers_of_an_axis_are_formulas_and_no_words() -> None:
    """A grid that begins beside a power of ten has ticks at the powers; other numbers are formulas."""
    grid = [3.16e-4 * 10 ** (k / 2) for k in range(7)]
    assert [tick_label(grid[k]) for k in tick_places(grid)] == ["$10^{-3}$", "$10^{-2}$", "$10^{-1}$"]
    assert saving.NUMBER.fullmatch(tick_label(3.2e-4))
    assert not saving.NUMBER.fullmatch("$HOME")


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_as_they_were(name: str, tmp_path: Path) -> None:
    """Each kind of picture equals its baseline within a tolerance."""
    pytest.importorskip("PIL")
    if f"matplotlib=={version('matplotlib')}" != PINNED:
        pytest.skip(f"the baselines are drawn by {PINNED}")
    from PIL import Image

    figure = PICTURES[name]()
    with style():
        saving.take_literally(figure)
        figure.savefig(tmp_path / "new.png", dpi=60)
    wanted = BASELINES / f"{name}.png"
    with Image.open(tmp_path / "new.png") as new, Image.open(wanted) as old:
        assert new.size == old.size
        apart = np.asarray(new.convert("RGB"), dtype=float) - np.asarray(old.convert("RGB"), dtype=float)
    assert np.sqrt((apart**2).mean()) < TOLERANCE


def test_files_are_fit_for_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 dots per inch at the width of a column, text as text in svg, fonts inside of pdf."""
    from PIL import Image

    monkeypatch.setattr(saving, "FORMATS", ("png", "svg", "pdf"))
    look = PictureStyle("one")
    png, svg, pdf = save(draw(everything(), look), tmp_path, "x", look)
    with Image.open(png) as image:
        assert image.width == round(3.25 * 300)
        assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
    text = svg.read_text()
    assert "Clip $x$ &lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count("<image") == 1  # the colour bar: cells are paths
    assert "7px" in text
    content = pdf.read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


WILD = {
    "one cell": lambda: [sized(1, 1, 1)],
    "one row": lambda: [sized(3, 1, 30)],
    "one column": lambda: [sized(3, 30, 1)],
    "one transform": lambda: [planted(-3, -1)],
    "26 transforms": lambda: [planted(-3, -1, method=f"m{k}") for k in range(26)],
    "everything diverged": lambda: [planted(-9, -8), planted(-9, -8, method="clip_norm")],
    "nothing trained": lambda: [pending(planted(-3, -1))],
    "edge-seeking": lambda: [edge_seeking(planted(-3, -1))],
    "names of 300 characters": lambda: [replace(planted(-3, -1), label=LONG), planted(-3, -1, method=LONG)],
}


def sized(seeds: int, decays: int, rates: int) -> Landscape:
    """A trained grid of that size."""
    shape = (seeds, decays, rates)
    rng = np.random.default_rng(0)
    score = 0.1 + 0.8 * np.exp(-(np.linspace(-2, 2, rates) ** 2)) + 0.01 * rng.random(shape)
    outcome = np.where(np.arange(rates) > 0.8 * rates, DIVERGED, FINISHED) * np.ones(shape, dtype=np.int64)
    base = planted(-3, -1)
    return replace(
        base,
        lr=tuple(np.logspace(-5, 1, rates).tolist()),
        weight_decay=tuple(np.logspace(-4, 1, decays).tolist()),
        seeds=tuple(range(seeds)),
        outcome_SWL=outcome,
        metric_SWL=np.where(outcome == FINISHED, score, np.nan),
        untrained_S=np.full(seeds, 0.1),
        loss_SWL=np.where(outcome == FINISHED, 1 - score, np.nan),
        loss_initial_S=np.full(seeds, 2.3),
        key_SWL=np.full(shape, "key"),
    )


def pending(one: Landscape) -> Landscape:
    nothing = np.full(one.metric_SWL.shape, np.nan)
    return replace(one, outcome_SWL=np.full(nothing.shape, PENDING), metric_SWL=nothing, loss_SWL=nothing)


def edge_seeking(one: Landscape) -> Landscape:
    """A part of the grid trained, the other cells inferred."""
    classes = (np.nan_to_num(one.metric_SWL) > 0.5).astype(np.int64)
    outcome = one.outcome_SWL.copy()
    outcome[:, :, ::2] = INFERRED
    metric = np.where(outcome == FINISHED, one.metric_SWL, np.nan)
    return replace(one, outcome_SWL=outcome, metric_SWL=metric, class_SWL=classes, sought=SOUGHT)


@pytest.mark.parametrize("width", ["one", "two"])
@pytest.mark.parametrize("name", WILD)
def test_wild_studies_are_drawn(name: str, width: str, tmp_path: Path) -> None:
    """Pictures have ink and the width of the page; all words of titles and keys lie on it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    look = PictureStyle(width)
    figure = draw(heatmap_of(*WILD[name]()), look)
    (picture,) = save(figure, tmp_path, "x", look)
    assert inked(picture)
    # Drawn at its own resolution, after the file's: otherwise places of both are mixed.
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    box = figure.bbox
    words = [text for axes in figure.axes for text in axes.texts]
    for text in [*words, *figure.texts, *(t for one in figure.legends for t in one.get_texts())]:
        if text.get_text().strip():
            extent = text.get_window_extent(renderer)
            assert extent.x0 >= box.x0 - 2, text.get_text()
            assert extent.x1 <= box.x1 + 2, text.get_text()
            assert extent.y1 <= box.y1 + 2, text.get_text()


def test_a_hundred_thousand_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are drawn in seconds, as an image inside of the svg, and the file stays small."""
    monkeypatch.setattr(saving, "FORMATS", ("png", "svg"))
    started = time.process_time()
    png, svg = save(draw(heatmap_of(sized(1, 316, 317))), tmp_path, "x")
    assert time.process_time() - started < 20
    assert inked(png)
    assert "<image" in svg.read_text()
    assert svg.stat().st_size < 1_000_000
