"""What heatmaps colour their cells by: values of every transform, how they become shades, and in which words.

Add a kind of heatmap by adding a row of `QUANTITIES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import Evidence
from study.measures.landscape import DIVERGED, FINISHED, Landscape
from study.report.pictures.shades import Scale, difference_of, mean_metric, mean_of, scale_of

Answer = tuple[
    Sequence[Landscape], list[Floats], Callable[[Floats], Floats], Sequence[tuple[float, str]], str
]
"""The landscapes that have a panel, their values, how those become shades, ticks, and words."""


def seeds_of(landscapes: Sequence[Landscape]) -> str:
    """`mean over 3 seeds`, or that it is one over those that finished, where some of a cell's did not."""
    count = len(landscapes[0].seeds)
    if count == 1:
        return "one seed"
    finished = ((one.outcome_SWL == FINISHED).sum(axis=0) for one in landscapes)
    lost = any(((count_WL > 0) & (count_WL < count)).any() for count_WL in finished)
    return f"mean over those of {count} seeds that finished" if lost else f"mean over {count} seeds"


def score(landscapes: Sequence[Landscape], piece: Evidence) -> Answer:
    """The mean metric."""
    scale = scale_of(landscapes)
    words = f"{landscapes[0].metric_name}, {seeds_of(landscapes)}, colours finer toward the best (√)"
    return landscapes, [mean_metric(one) for one in landscapes], scale.shade, scale.ticks, words


def loss(landscapes: Sequence[Landscape], piece: Evidence) -> Answer | Missing:
    """The mean final loss, from the untrained network's to the least."""
    values = [mean_of(one, one.loss_SWL) for one in landscapes]
    start_S = np.concatenate([one.loss_initial_S for one in landscapes])
    known = [value[np.isfinite(value)] for value in values]
    ends = np.concatenate(known)
    if not len(ends) or not np.isfinite(start_S).any():
        return Missing("needs a cell that ended with a finite loss")
    start, least = float(start_S[np.isfinite(start_S)].mean()), float(ends.min())
    scale = Scale(start, least) if least < start else Scale(start + 0.5, start - 0.5)
    words = f"final loss, {seeds_of(landscapes)}, colours finer toward the least (√)"
    return landscapes, values, scale.shade, scale.ticks, words


def outcomes(landscapes: Sequence[Landscape], piece: Evidence) -> Answer:
    """The share of the trained seeds that finished."""
    values = []
    for one in landscapes:
        trained_WL = one.trained_SWL.sum(axis=0)
        share_WL = (one.outcome_SWL == FINISHED).sum(axis=0) / np.maximum(trained_WL, 1)
        values.append(np.where(trained_WL > 0, share_WL, np.nan))
    ticks = [(k / 4, f"{k / 4:.0%}") for k in range(5)]
    words = f"share of trained seeds that finished, of {len(landscapes[0].seeds)}; the others diverged"
    return landscapes, values, lambda value: value, ticks, words


def steps(landscapes: Sequence[Landscape], piece: Evidence) -> Answer | Missing:
    """The step at which seeds diverged, mean over those that did."""
    values, most = [], 1.0
    for one in landscapes:
        step_SWL = diverged_steps(one)
        count_WL = np.isfinite(step_SWL).sum(axis=0)
        total_WL = np.where(np.isfinite(step_SWL), step_SWL, 0.0).sum(axis=0)
        value_WL = np.where(count_WL > 0, total_WL / np.maximum(count_WL, 1), np.nan)
        values.append(value_WL)
        most = max(most, float(np.max(value_WL, initial=1.0, where=np.isfinite(value_WL))))
    if not any(np.isfinite(value).any() for value in values):
        return Missing("needs a cell that diverged, with the step")
    reach = math.log10(most) or 1.0
    whole = range(math.ceil(reach) if most > 10 else 1)
    ticks = [(k / reach, f"{10**k:,}") for k in whole if k <= reach]
    ticks += [(1.0, f"{most:,.0f}")] if not ticks or 1 - ticks[-1][0] > 0.12 else []
    words = "step at which seeds diverged, mean over those that did (logarithmic)"

    def shade(value_WL: Floats) -> Floats:
        return np.asarray(np.log10(np.maximum(value_WL, 1.0)) / reach)

    return landscapes, values, shade, ticks, words


def diverged_steps(landscape: Landscape) -> Floats:
    """The step at which each cell diverged; NaN where it did not, or the step is not known."""
    found = np.full(landscape.outcome_SWL.shape, np.nan)
    if landscape.record_SWL is None:
        return found
    for at in np.argwhere(landscape.outcome_SWL == DIVERGED):
        record = landscape.record_SWL[tuple(at)]
        if record is not None and record.diverged_step is not None:
            found[tuple(at)] = record.diverged_step
    return found


def difference(landscapes: Sequence[Landscape], piece: Evidence) -> Answer | Missing:
    """The mean difference of the metric to the baseline's, paired by seed."""
    base = baseline(landscapes)
    others = [one for one in landscapes if one is not base]
    if not others:
        return Missing("needs at least two transforms")
    values = [difference_of(one, base) for one in others]
    known = np.concatenate([np.abs(value[np.isfinite(value)]) for value in values])
    reach = float(known.max()) if len(known) and known.max() > 0 else 1.0
    sign = base.sign

    def shade(value_WL: Floats) -> Floats:
        # As on the scale of scores, small differences are told apart. 0 stays in the middle.
        value_WL = sign * np.asarray(value_WL) / reach
        return np.asarray(0.5 + 0.5 * np.sign(value_WL) * np.abs(value_WL) ** 0.5)

    ticks = [
        (float(shade(np.array(part * reach))), f"{part * reach:+.2g}" if part else "0")
        for part in (-1, -0.25, 0, 0.25, 1)
    ]
    words = f"{base.metric_name} less that of {base.title}, {seeds_of(landscapes)}; light: no difference"
    return others, values, shade, sorted(ticks), words


def baseline(landscapes: Sequence[Landscape]) -> Landscape:
    """The transform `none`, or the first one."""
    return next((one for one in landscapes if one.method == "none"), landscapes[0])


def certain(one: Landscape, base: Landscape, confidence: float) -> Flags:
    """Cells of which the interval of the difference excludes 0, shape [W, L].

    Only those that finished with both at all seeds. Each has an interval of its own.
    """
    both_WL = ((one.outcome_SWL == FINISHED) & (base.outcome_SWL == FINISHED)).all(axis=0)
    found = np.zeros(both_WL.shape, dtype=bool)
    resolution = max(one.resolution, base.resolution)
    for at in map(tuple, np.argwhere(both_WL)):
        gain_S = one.metric_SWL[:, *at] - base.metric_SWL[:, *at]
        interval = Estimate(tuple(gain_S.tolist()), resolution=resolution).interval(confidence)
        found[at] = interval is not None and (interval[0] > 0 or interval[1] < 0)
    return found


QUANTITIES: dict[str, Callable[[Sequence[Landscape], Evidence], Answer | Missing]] = {
    "score": score,
    "loss": loss,
    "outcomes": outcomes,
    "steps": steps,
    "difference": difference,
}
