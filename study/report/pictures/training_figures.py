"""Figures of training: deviations, scale factors and scores against epochs, seeds as bands. Only draws.

Add a figure by adding a row of `FIGURES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from study.file_names import file_name
from study.measures.array_types import Floats
from study.measures.dynamics import PROBES
from study.measures.estimate import Missing
from study.measures.landscape import PENDING
from study.report.pictures.difference_map import say
from study.report.pictures.layout import title_width
from study.report.pictures.saving import canvas, save, wrapped
from study.report.pictures.shades import Scale, scale_over
from study.report.pictures.style import ORDINARY, PictureStyle, page_width, style
from study.report.pictures.training_curves import Band, Track, tracks

if TYPE_CHECKING:
    from study.analysis import Analysis
    from study.report.pictures.saving import Axes, Figure

PANEL = 2.0
"""Least width of a panel [inches]."""
NAMED_LAYERS = 8
"""Up to so many layers are named. More have colours in order, from the first to the last."""
UNRECORDED = Missing("needs recorded dynamics (budget: dynamics)")
UNTRAINED = Missing("needs trained cells")
UNFINISHED = Missing("needs finite numbers: the cells ended before one was recorded")
TITLE = 36
"""Characters in a line above a panel."""
LINE = 0.125
"""Height of a legend's row [inches]."""
FEW = 12
"""Up to so many moments are marked on the line."""
STYLES = ("-", "--", ":", "-.")
Lines = Mapping[str, Band | None]
LineStyles = Mapping[str, dict[str, Any]]
"""How the line of each name looks."""


def layer_std(group: Sequence[Track]) -> Figure | Missing:
    """Standard deviation of each weight's gradient before the transform, one panel per transform."""
    found = {track.label: track.layers("layer_std") for track in group}
    panels = {label: lines for label, lines in found.items() if visible(lines)}
    if not panels:
        return lacking(group)
    layers = list(next(iter(panels.values())))
    looks = {layer: {"color": colour} for layer, colour in zip(layers, spread(len(layers)), strict=True)}
    figure, axes = page(
        group, len(found), "standard deviation of each weight's gradient, before the transform", alike=True
    )
    for k, (panel, (label, lines)) in enumerate(zip(axes, found.items(), strict=False)):
        panel.set_title(wrapped(label, TITLE))
        if not visible(lines):
            say(panel, "nothing was recorded here")
            continue
        paint(
            panel,
            lines,
            looks,
            group[0].unit,
            "gradient deviation" if k % columns_for(len(found)) == 0 else "",
        )
    if len(layers) <= NAMED_LAYERS:
        legend(figure, looks)
    else:
        depth(figure, axes, layers)
    return figure


def global_std(group: Sequence[Track]) -> Figure | Missing:
    """Standard deviation of all weights' gradients together, and the scale factor.

    The factor is the transform's own, or the ratio of the gradient's norms after and before it. Transformers
    have panels with what they show of themselves, too.
    """
    quantities = {"deviation of all gradients": "grad_std", "scale factor (after / before)": "scale"}
    panels: dict[str, Lines] = {}
    for title, name in quantities.items():
        panels[title] = {track.label: track.recorded(name) for track in group}
    for name, title in PROBES.items():
        # Most networks show nothing of themselves, and have no empty panels.
        if visible(lines := {track.label: track.recorded(name) for track in group}):
            panels[title] = lines
    return beside(group, panels, "gradients before the transform, and scale factors")


def exponents(group: Sequence[Track]) -> Figure | Missing:
    """Autoscale's scale factor, and that with exponents 1 and 2.

    A variant that was trained shows its own factor. For another the factor is computed from the deviations of
    autoscale's own run.
    """
    variants = {t.landscape.constants: t for t in group if t.landscape.method == "autoscale"}
    own = variants.get(())
    if own is None:
        return Missing("needs the transform autoscale with its default constants")
    lines = {f"{own.label}, trained": own.recorded("scale")}
    for p in (1.0, 2.0):
        trained = variants.get((("exponent", p),))
        if trained:
            lines[f"{trained.label}, trained"] = trained.recorded("scale")
        else:
            lines[f"exponent {p:g}, computed along that run"] = own.scale_with(p)
    return beside([own], {"scale factor a_t": lines}, "autoscale's scale factor with exponent 1 and 2")


def score(group: Sequence[Track]) -> Figure | Missing:
    """The metric on the evaluation images.

    All curves begin far below what they come to, and a linear axis would show that alone.
    """
    landscape = group[0].landscape
    lines = {track.label: track.metric() for track in group}
    numbers = [band.low_J for band in lines.values() if band] + [
        band.high_J for band in lines.values() if band
    ]
    scale = scale_over(np.concatenate(numbers or [np.empty(0)]), higher=landscape.higher_is_better)
    title = f"{landscape.metric_name} on the evaluation set"
    # What lacks here is training and not dynamics, which the other figures need: scores are always recorded.
    return beside(
        group,
        {landscape.metric_name: lines},
        f"{title}, axis finer toward the best (√)" if scale else title,
        scale=scale,
        nothing=UNTRAINED,
    )


FIGURES: dict[str, Callable[[Sequence[Track]], Figure | Missing]] = {
    "layer-std": layer_std,
    "global-std": global_std,
    "scale-exponents": exponents,
    "score": score,
}
"""How each figure is drawn from the tracks of one network. Where something lacks, the answer is what."""


def draw_figures(
    analysis: Analysis,
    folder: Path,
    lr: float | None = None,
    weight_decay: float | None = None,
    look: PictureStyle = ORDINARY,
) -> tuple[list[Path], dict[str, str]]:
    """Every figure of every network as files, and in words why some are missing.

    Raises:
        UserError: the learning rate or weight decay is not on the grid.
        OSError: the folder cannot be written.
    """
    written: list[Path] = []
    missing: dict[str, str] = {}
    for group in tracks(analysis, lr, weight_decay):
        one = group[0].landscape
        for name, draw in FIGURES.items():
            with style(look=look):
                found = draw(group)
            if isinstance(found, Missing):
                missing[f"{name} of {one.setting_title}"] = found.reason
                continue
            if not look.title:
                found.suptitle("")
            file = file_name("-".join(part for part in (name, *one.setting) if part))
            written += save(found, folder, file, look)
    return written, missing


def lacking(group: Sequence[Track]) -> Missing:
    """Why there are no dynamics: the spec asks for none, no cell is trained yet, or no number was finite."""
    origin = group[0].landscape.origin
    if origin is not None and not origin.condition.budget.dynamics:
        return UNRECORDED
    if all((track.outcome_S == PENDING).all() for track in group):
        return UNTRAINED
    if any(track.seen for track in group):
        return UNFINISHED
    return UNRECORDED


def columns_for(panels: int) -> int:
    """How many panels stand side by side."""
    return min(panels, max(1, int(page_width() / PANEL)))


def page(
    group: Sequence[Track], panels: int, title: str, *, alike: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty figure that says what it is of, and its panels.

    Args:
        panels: how many.
        alike: they show one quantity, so they share its axis.
    """
    columns = columns_for(panels)
    rows = math.ceil(panels / columns)
    figure = canvas(page_width(), rows * 1.65 + 0.95)
    axes = list(np.atleast_1d(figure.subplots(rows, columns, squeeze=False, sharey=alike)).ravel())
    for panel in axes[panels:]:
        panel.remove()
    places = list(dict.fromkeys(track.place for track in group))
    seeds = len(group[0].landscape.seeds)
    bands = "one seed: no bands"
    if seeds > 1:
        bands = f"means over {seeds} seeds, bands from the least to the greatest"
    where = f"{group[0].chosen}: {places[0]}" if len(places) == 1 else group[0].chosen
    setting = group[0].landscape.setting_title
    lines = (setting, title, f"{where}; {bands}")
    # Each on its own: wrapping all as one text would join the lines.
    title = "\n".join(wrapped(line, title_width(figure.get_figwidth())) for line in lines)
    figure.suptitle(title)
    figure.set_figheight(figure.get_figheight() + LINE * max(title.count("\n") - 2, 0))
    return figure, axes[:panels]


def beside(
    group: Sequence[Track],
    panels: Mapping[str, Lines],
    title: str,
    *,
    scale: Scale | Literal["log"] | None = "log",
    nothing: Missing | None = None,
) -> Figure | Missing:
    """One panel per quantity with a line per name, and one legend."""
    if not any(visible(lines) for lines in panels.values()):
        return nothing or lacking(group)
    figure, axes = page(group, len(panels), title)
    # A name has one look in all panels, and only what is seen somewhere stands in the legend.
    names: dict[str, None] = {}
    for lines in panels.values():
        names |= dict.fromkeys(lines)
    seen = [name for name in names if any(visible({name: lines.get(name)}) for lines in panels.values())]
    looks = {name: look(k, len(seen)) for k, name in enumerate(seen)}
    for panel, (quantity, lines) in zip(axes, panels.items(), strict=True):
        if visible(lines):
            paint(panel, lines, looks, group[0].unit, quantity, scale)
        else:
            say(panel, "nothing was recorded here")
    legend(figure, looks)
    return figure


def visible(lines: Lines) -> bool:
    """Whether any line has a number."""
    return any(band is not None and band.known for band in lines.values())


def paint(
    panel: Axes,
    lines: Lines,
    looks: LineStyles,
    unit: str,
    quantity: str,
    scale: Scale | Literal["log"] | None = "log",
) -> None:
    """Means as lines, ranges as bands.

    A logarithmic axis leaves out numbers of 0 and below. Where there are no others the axis is linear.
    """
    known = {name: band for name, band in lines.items() if band is not None and band.known}
    if scale == "log" and not any((band.mean_J > 0).any() for band in known.values()):
        scale = None
    placed: Callable[[Floats], Floats] = np.asarray
    if scale is not None:
        placed = positive if scale == "log" else scale.shade
    for name, band in known.items():
        mean_J, low_J, high_J = map(placed, (band.mean_J, band.low_J, band.high_J))
        panel.plot(
            band.at_J,
            mean_J,
            linewidth=1.0,
            # A series of one moment would be an invisible line.
            marker="o" if len(band.at_J) <= FEW else "",
            markersize=1.8,
            **looks[name],
        )
        panel.fill_between(band.at_J, low_J, high_J, color=looks[name]["color"], alpha=0.18, linewidth=0)
    if scale == "log":
        panel.set_yscale("log")
    elif scale is not None:
        panel.set_ylim(-0.04, 1.04)
        panel.set_yticks([shade for shade, _ in scale.ticks], [word for _, word in scale.ticks])
    panel.set_xlabel(unit)
    panel.set_ylabel(quantity)
    panel.grid(alpha=0.25, linewidth=0.5)


def positive(values_J: Floats) -> Floats:
    """Numbers above 0; NaN in the place of others."""
    return np.where(values_J > 0, values_J, np.nan)


def look(k: int, count: int) -> dict[str, Any]:
    """A colour and a dash pattern for the k-th of so many lines."""
    from matplotlib import colormaps

    table = colormaps["tab10" if count <= 10 else "tab20"]
    # Dashes too, because neighbours in tab20 are a dark and a light tone of one colour.
    return {"color": table(k % table.N), "linestyle": STYLES[k % len(STYLES)]}


def spread(count: int) -> list[Any]:
    """Colours in order, from the first layer to the last."""
    from matplotlib import colormaps

    return [colormaps["viridis"](0.9 * k / max(count - 1, 1)) for k in range(count)]


def legend(figure: Figure, looks: LineStyles) -> None:
    """Names and looks, below all panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **one) for name, one in looks.items()]
    columns = max(1, min(4, int(figure.get_figwidth() * 19) // (max(map(len, looks)) + 8)))
    # The layout takes a legend's height from the panels: a long one makes the figure taller instead.
    figure.set_figheight(figure.get_figheight() + LINE * max(math.ceil(len(looks) / columns) - 2, 0))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def depth(figure: Figure, axes: Sequence[Axes], layers: Sequence[str]) -> None:
    """A bar of colours, from the first layer to the last."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    bar = figure.colorbar(
        ScalarMappable(Normalize(1, len(layers)), ListedColormap(spread(256))),
        ax=list(axes),
        fraction=0.03,
        pad=0.01,
    )
    bar.set_label("\n".join(("layer, from", layers[0], f"to {layers[-1]}")))
    bar.set_ticks(sorted({round(1 + k * (len(layers) - 1) / NAMED_LAYERS) for k in range(NAMED_LAYERS + 1)}))
