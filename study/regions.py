"""The stable part of a landscape, and its measures with intervals. Numbers only; `heatmaps.py` draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces import decades
from study.landscape import DIVERGED, Flags, Floats, Landscape
from study.spec import Tolerances
from study.statistics import Estimate

UNIFORM_SD = 1 / math.sqrt(12)
"""Standard deviation of an edge that lies anywhere between two cells [cell widths]."""


@dataclass(frozen=True)
class Region:
    """The cells of one landscape with one property (`trained` or `competitive`) against one reference (`own` or `common`).

    Attributes:
        inside_WL: cells where at least the spec's share of the seeds has the property.
        inside_SWL: each seed's own region, from which the measures come.
        area: Σ (width in log10 lr) x (width in log10 weight decay) [decades²]; weight decay 0 is left out.
        lr_width: median over weight decays of the length along lr [decades]; lr_width_W: each row.
        wd_width: median over the region's learning rates of the length along weight decay [decades].
        max_lr_W: per weight decay the largest lr inside, None where the row is empty.
        censored: which borders of the grid the region touches: sizes are then lower bounds.
        optimistic: the reference was estimated on the seeds that are compared with it (fewer than three seeds).
    """

    landscape: Landscape
    kind: str
    reference: str
    inside_WL: Flags
    inside_SWL: Flags
    area: Estimate
    lr_width: Estimate
    lr_width_W: tuple[Estimate, ...]
    wd_width: Estimate
    max_lr_W: tuple[float | None, ...]
    censored: tuple[str, ...]
    optimistic: bool


def reference_scores(scores: Sequence[Floats]) -> Floats:
    """For each seed, the best score that was found without looking at that seed, shape [S].

    For every other seed b the best cell is chosen by the mean over the remaining seeds and scored on b; these scores are
    averaged. With two seeds the other seed's best is used, with one its own: both are optimistic.

    Args:
        scores: score_SWL of every landscape that the best is taken over.
    """
    score_SN = np.concatenate([score.reshape(len(score), -1) for score in scores], axis=1)
    seeds = range(len(score_SN))
    if len(score_SN) < 3:
        best = score_SN.max(axis=1)
        return np.asarray(best[::-1])
    result = []
    for s in seeds:
        others = [b for b in seeds if b != s]
        picks = [score_SN[b, score_SN[[o for o in others if o != b]].mean(axis=0).argmax()] for b in others]
        result.append(float(np.mean(picks)))
    return np.array(result)


def way(landscape: Landscape, reference_S: Floats) -> Floats:
    """How far each cell went from the untrained score to the reference score: 0 untrained or diverged, 1 as good, shape [S, W, L]."""
    start_S = landscape.sign * landscape.untrained_S
    span_S = np.where(reference_S > start_S, reference_S - start_S, np.inf)
    return np.asarray((landscape.score_SWL - start_S[:, None, None]) / span_S[:, None, None])


def region(landscape: Landscape, reference_S: Floats, kind: str, reference: str, tolerances: Tolerances) -> Region:
    """The region of a landscape whose seeds are all complete."""
    needed = {"trained": tolerances.trained, "competitive": 1 - tolerances.competitive}[kind]
    finished = landscape.outcome_SWL != DIVERGED
    inside_SWL = (way(landscape, reference_S) >= needed) & finished
    inside_WL: Flags = inside_SWL.mean(axis=0) >= tolerances.share - 1e-9
    lr_decades, wd_decades, positive = axis_decades(landscape)
    anyhow_WL = inside_SWL.any(axis=0)  # sizes are measured per seed: one seed at the border makes them bounds
    censored = touched(anyhow_WL[positive]) if positive.any() else tuple(side for side in touched(anyhow_WL) if side.endswith("lr"))
    length_SW = (inside_SWL * lr_decades).sum(axis=2)
    rows = [
        Estimate(tuple(length_SW[:, w]), edge_sd(inside_SWL[:, w], lr_decades), bool({"low lr", "high lr"} & set(touched(anyhow_WL[w : w + 1]))), least=0.0)
        for w in range(len(wd_decades))
    ]
    measured = [rows[w] for w in np.flatnonzero(positive)] or rows
    lr_width = Estimate(
        tuple(np.median([row.values_S for row in measured], axis=0)),
        float(np.median([row.lattice_sd for row in measured])),
        "low lr" in censored or "high lr" in censored,
        least=0.0,
    )
    columns = inside_SWL[:, positive].any(axis=(0, 1))
    height_SL = (inside_SWL[:, positive] * wd_decades[positive][None, :, None]).sum(axis=1)
    heights = [Estimate(tuple(height_SL[:, c]), edge_sd(inside_SWL[:, positive][:, :, c], wd_decades[positive])) for c in np.flatnonzero(columns)]
    wd_censored = "low weight decay" in censored or "high weight decay" in censored
    wd_width = Estimate(
        tuple(np.median([h.values_S for h in heights], axis=0)) if heights else (0.0,) * len(inside_SWL),
        float(np.median([h.lattice_sd for h in heights])) if heights else 0.0,
        wd_censored,
        least=0.0,
    )
    along_lr = sum(wd_decades[w] * rows[w].lattice_sd for w in np.flatnonzero(positive))
    along_wd = sum(lr_decades[c] * h.lattice_sd for c, h in zip(np.flatnonzero(columns), heights, strict=True))
    area = Estimate(tuple((length_SW[:, positive] * wd_decades[positive]).sum(axis=1)), math.hypot(along_lr, along_wd), bool(censored), least=0.0)
    max_lr_W = tuple(landscape.lr[int(np.flatnonzero(row)[-1])] if row.any() else None for row in inside_WL)
    return Region(landscape, kind, reference, inside_WL, inside_SWL, area, lr_width, tuple(rows), wd_width, max_lr_W, censored, len(inside_SWL) < 3)


def axis_decades(landscape: Landscape) -> tuple[Floats, Floats, Flags]:
    """Cell widths along lr and along weight decay [decades], and which rows have a weight decay above 0."""
    positive = np.array([value > 0 for value in landscape.weight_decay])
    wd_decades = np.zeros(len(positive))
    wd_decades[positive] = decades(tuple(value for value in landscape.weight_decay if value > 0))
    return np.array(decades(landscape.lr)), wd_decades, positive


def edge_sd(inside_SL: Flags, widths: Floats) -> float:
    """Error of a length from the grid's spacing: each edge inside the grid lies anywhere between two cells [decades]."""
    changes = inside_SL[:, 1:] != inside_SL[:, :-1]
    gaps = (widths[1:] + widths[:-1]) / 2
    return float(np.sqrt((changes * gaps**2).sum(axis=1).mean()) * UNIFORM_SD) if len(gaps) else 0.0


def touched(inside_WL: Flags) -> tuple[str, ...]:
    """The borders of the grid that a region touches."""
    if not inside_WL.any():
        return ()
    sides = {"low lr": inside_WL[:, 0], "high lr": inside_WL[:, -1], "low weight decay": inside_WL[0], "high weight decay": inside_WL[-1]}
    return tuple(name for name, side in sides.items() if side.any())


def divergence_share(landscape: Landscape, columns_L: Flags | None = None) -> Estimate:
    """Share of cells that diverged, over the grid or over some learning rates [fraction]."""
    diverged_SWL = landscape.outcome_SWL == DIVERGED
    if columns_L is not None:
        diverged_SWL = diverged_SWL[:, :, columns_L]
    cells = np.ones(diverged_SWL.shape[2])
    lattice = float(np.mean([edge_sd(diverged_SWL[:, w], cells) for w in range(diverged_SWL.shape[1])])) / len(cells)
    return Estimate(tuple(diverged_SWL.mean(axis=(1, 2))), lattice, least=0.0)


def lr_sensitivity(landscape: Landscape) -> Estimate:
    """Mean over lr of min(loss, initial loss) - best loss of the row, averaged over weight decays [loss units].

    Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities", 2023, section 2.2.
    """
    loss = landscape.clamped_loss_SWL
    return Estimate(tuple((loss - loss.min(axis=2, keepdims=True)).mean(axis=(1, 2))))


def wd_sensitivity(landscape: Landscape) -> Estimate:
    """The same along weight decay, at the learning rate that is best on the seeds' mean [loss units]."""
    loss_SW = landscape.clamped_loss_SWL[:, :, best_cell(landscape)[1]]
    return Estimate(tuple((loss_SW - loss_SW.min(axis=1, keepdims=True)).mean(axis=1)))


def best_cell(landscape: Landscape) -> tuple[int, int]:
    """(row, column) of the best seed-mean score; among equals the one nearest to their middle."""
    mean_WL = landscape.score_SWL.mean(axis=0)
    ties = np.argwhere(mean_WL >= mean_WL.max() - 1e-12)
    row, column = ties[np.abs(ties - ties.mean(axis=0)).sum(axis=1).argmin()]
    return int(row), int(column)


def tuned_score(landscape: Landscape) -> Estimate:
    """Score of the best cell, chosen for each seed on the other seeds [metric units, higher is better]."""
    score_SN = landscape.score_SWL.reshape(len(landscape.seeds), -1)
    if len(score_SN) < 2:
        return Estimate(tuple(score_SN.max(axis=1)))
    chosen = [int(np.delete(score_SN, s, axis=0).mean(axis=0).argmax()) for s in range(len(score_SN))]
    return Estimate(tuple(float(score_SN[s, cell]) for s, cell in enumerate(chosen)))
