"""How much results depend on lr, weight decay, a method's own constants, and the scale of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from study.measures.array_types import Floats
from study.measures.divergence import jump_grid_error
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.grid_error import GridError, mean_grid_error
from study.measures.landscape import DIVERGED, Landscape
from study.measures.regions import LR, Region, best_cell


def constant_axes(evidence: Evidence, method: str) -> dict[str, list[Landscape]]:
    """By constant: the plain variant, and all that differ from it in this constant alone.

    The plain variant is the one with the fewest constants given.
    """
    variants = evidence.of(method)
    plain = min(variants, key=lambda one: len(one.constants))
    axes: dict[str, list[Landscape]] = {}
    for one in variants:
        # Pairs of name and value: a constant that both variants give, with other values, counts once.
        changed = {name for name, _ in set(one.constants) ^ set(plain.constants)}
        if len(changed) == 1:
            axes.setdefault(changed.pop(), [plain]).append(one)
    return axes


def constant_sensitivity(members: Sequence[Landscape]) -> Estimate:
    """Mean over a constant's values of loss - best loss, at the first member's best cell [loss units]."""
    row, column = best_cell(members[0])
    loss_VS = np.stack([one.clamped_loss_SWL[:, row, column] for one in members])
    return Estimate(tuple((loss_VS - loss_VS.min(axis=0)).mean(axis=0).tolist()), least=0.0)


def scales(evidence: Evidence) -> dict[float, Evidence]:
    """The settings that differ in the loss scale alone, by the scale."""
    return {piece.budget.loss_scale: piece for piece in along(evidence, "loss_scale") if piece.budget}


def shift(here: Evidence, there: Evidence, transform: str) -> Estimate | None:
    """By how much the centre of the trained region lies higher along lr, paired by seed [decades].

    None where there is no region. A region that touches the border has its centre beyond what is seen, and
    the shift may then be larger than it looks.
    """
    if transform not in here.landscapes or missing_seeds([here, there]):
        return None
    regions = [piece.regions[transform, "trained", "own"] for piece in (here, there)]
    centres = [centre(found) for found in regions]
    if not all(np.isfinite(found).all() for found in centres):
        return None
    cut = any(border.axis == LR for found in regions for border in found.censored)
    return Estimate(
        tuple((centres[1] - centres[0]).tolist()),
        GridError(math.hypot(*(found.lr_width.grid.sd / 2 for found in regions))),
        lower_bound=cut,
    )


def centre(found: Region) -> Floats:
    """Mean log10 of the learning rates of a seed's region, per seed; NaN where it is empty."""
    position = np.log10(found.landscape.lr)
    inside = found.inside_SWL.sum(axis=1)
    count = inside.sum(axis=1)
    return np.where(count > 0, (inside * position).sum(axis=1) / np.maximum(count, 1), np.nan)


def absolute(moved: Estimate) -> Estimate:
    """The same shift with the sign that makes its mean positive.

    Staying within a band has two sides. The side that the mean lies on is the harder one, so a test of it is
    a test of both.
    """
    if moved.mean >= 0:
        return moved
    return Estimate(tuple(-value for value in moved.values_S), moved.grid, lower_bound=moved.lower_bound)


def lr_sensitivity(landscape: Landscape) -> Estimate:
    """Mean over lr of min(loss, initial loss) - best loss of the row [loss units].

    It is averaged over weight decays. The interval also holds what the grid hides of the jump at the first
    diverged cell.

    Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities",
    2023, section 2.2.
    """
    loss, diverged = landscape.clamped_loss_SWL, landscape.outcome_SWL == DIVERGED
    # Each row has a jump of its own height: the mean change of the loss where its cells begin to diverge.
    begins = np.diff(diverged.astype(int), axis=2) != 0
    jump_W = np.divide(
        (np.abs(np.diff(loss, axis=2)) * begins).sum(axis=(0, 2)),
        begins.sum(axis=(0, 2)),
        out=np.zeros(loss.shape[1]),
        where=begins.any(axis=(0, 2)),
    )
    row_SW = (loss - loss.min(axis=2, keepdims=True)).mean(axis=2)
    positive = np.array(landscape.weight_decay) > 0
    along_lr = jump_grid_error(landscape, np.ones(len(landscape.lr), dtype=bool), jump_W)
    along_wd = mean_grid_error(row_SW[:, positive], np.log10(np.array(landscape.weight_decay)[positive]))
    return Estimate(tuple(row_SW.mean(axis=1).tolist()), along_lr + along_wd, least=0.0)


def wd_sensitivity(landscape: Landscape, column: int | None = None) -> Estimate:
    """Mean over weight decay of min(loss, initial loss) - best loss, at one learning rate [loss units].

    Args:
        column: of the learning rate; by default the one that is best on the seeds' mean.
    """
    loss_SW = landscape.clamped_loss_SWL[:, :, best_cell(landscape)[1] if column is None else column]
    positive = np.array(landscape.weight_decay) > 0
    grid = mean_grid_error(loss_SW[:, positive], np.log10(np.array(landscape.weight_decay)[positive]))
    above_S = (loss_SW - loss_SW.min(axis=1, keepdims=True)).mean(axis=1)
    return Estimate(tuple(above_S.tolist()), grid, least=0.0)
