"""How much results depend on lr, weight decay, a method's own constants, and the scale of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.divergence import jump_grid_error
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence, along, missing_seeds
from study.measures.grid_error import GridError, mean_grid_error
from study.measures.landscape import Landscape
from study.measures.minimum import least
from study.measures.regions import LR
from study.measures.windows import LrWindow


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


def constant_sensitivity(members: Sequence[Landscape], near_SWL: Flags) -> Estimate:
    """Mean over a constant's values of loss - least loss, where the method is competitive [loss units].

    Each seed takes the mean over the cells that are competitive at the other seeds, by their number. Its own
    are lucky ones of the plain method, where the other values have no luck: 95 % intervals of a constant that
    changes nothing held in 76 % with ten seeds. The value with the least loss is chosen on the other seeds
    too (`study.measures.minimum`).

    Args:
        members: one landscape per value, all with the same seeds and grid.
        near_SWL: the competitive cells of the plain one (`Evidence.near`).
    """
    weight_SWL = near_SWL.sum(axis=0) - near_SWL.astype(float) if len(near_SWL) > 1 else near_SWL
    total_S = weight_SWL.sum(axis=(1, 2))
    loss_SV = np.stack(
        [(one.clamped_loss_SWL * weight_SWL).sum(axis=(1, 2)) / total_S for one in members], axis=1
    )
    return Estimate(tuple((loss_SV.mean(axis=1) - least(loss_SV)).tolist()), least=0.0)


def scales(evidence: Evidence) -> dict[float, Evidence]:
    """The settings that differ in the loss scale alone, by the scale."""
    return {piece.budget.loss_scale: piece for piece in along(evidence, "loss_scale") if piece.budget}


def shift(here: Evidence, there: Evidence, transform: str) -> Estimate | None:
    """By how much the centre of the trained region lies higher along lr, paired by seed [decades].

    The centre is the mean of log10 lr over the region, whose edges lie between cells
    (`study.measures.edges.extent`). None where there is no region. A region that touches the border has its
    centre beyond what is seen, and the shift may then be larger than it looks.
    """
    if transform not in here.landscapes or missing_seeds([here, there]):
        return None
    regions = [piece.regions[transform, "trained", "own"] for piece in (here, there)]
    centres = [found.centre_S() for found in regions]
    if not all(len(found) and np.isfinite(found).all() for found in centres):
        return None
    cut = any(found.cut(LR) for found in regions)
    return Estimate(
        tuple((centres[1] - centres[0]).tolist()),
        GridError(math.hypot(*(found.lr_width.grid.sd / 2 for found in regions))),
        lower_bound=cut,
    )


def absolute(moved: Estimate) -> Estimate:
    """The same shift with the sign that makes its mean positive.

    Staying within a band has two sides. The side that the mean lies on is the harder one, so a test of it is
    a test of both.
    """
    if moved.mean >= 0:
        return moved
    return Estimate(tuple(-value for value in moved.values_S), moved.grid, lower_bound=moved.lower_bound)


def lr_sensitivity(
    landscape: Landscape, window: LrWindow | None = None, *, lower_bound: bool = False
) -> Estimate:
    """Mean over lr of min(loss, initial loss) - least loss of the row [loss units].

    It is averaged over weight decays. The least loss is that of a learning rate that is chosen on the other
    seeds (`study.measures.minimum`): the least of one seed's own losses lies below the least expected one,
    and no number of seeds would mend that. The interval also holds what the grid hides of the jump at the
    first lost cell.

    Args:
        window: the learning rates that count; all of the grid where it is not given.
        lower_bound: the trained region runs out of the grid, so that further out it would be larger.

    Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities",
    2023, section 2.2.
    Differs from the reference: its least loss is that of the same runs, and here of an lr chosen on the other
        seeds. It has one range of lr for all methods, and here a window may lie around each method's optimum.
        It is not averaged over weight decays and has no interval. Whatever made a cell diverge, its loss
        counts as the initial one, as a NaN does there.
    """
    loss, lost = landscape.clamped_loss_SWL, landscape.lost_SWL
    seeds, rows, columns = loss.shape
    weight_SL = window.weight_SL if window else np.full((seeds, columns), 1 / columns)
    # Each row has a jump of its own height: the mean change of the loss where its cells begin to be lost.
    begins = np.diff(lost.astype(int), axis=2) != 0
    jump_W = np.divide(
        (np.abs(np.diff(loss, axis=2)) * begins).sum(axis=(0, 2)),
        begins.sum(axis=(0, 2)),
        out=np.zeros(rows),
        where=begins.any(axis=(0, 2)),
    )
    row_SW = (loss * weight_SL[:, None]).sum(axis=2) - least(loss)
    positive = np.array(landscape.weight_decay) > 0
    wide = 1 / float(weight_SL.max(axis=1).mean()) if seeds else float(columns)
    along_lr = jump_grid_error(landscape, lost, jump_W * columns / wide)
    if window and seeds:
        # A window that lies off shows more of what is lost, and less of the best.
        fall = float((landscape.loss_initial_S - loss.min(axis=(1, 2))).mean())
        along_lr = along_lr + window.error * fall
    along_wd = mean_grid_error(row_SW[:, positive], np.log10(np.array(landscape.weight_decay)[positive]))
    return Estimate(
        tuple(row_SW.mean(axis=1).tolist()), along_lr + along_wd, lower_bound=lower_bound, least=0.0
    )


def wd_sensitivity(landscape: Landscape, columns_SL: Flags) -> Estimate:
    """Mean less least over weight decay of the loss, itself a mean over learning rates [loss units].

        mean over w of l(w) - least of l
        l(w) = mean over the seed's learning rates of min(loss, initial loss)

    The least is that of a weight decay that is chosen on the other seeds (`study.measures.minimum`). Taken at
    each learning rate alone it would be chosen anew in every column, and those at the rim of a region, where
    cells are lost at some seeds, would add more noise than everything else.

    Args:
        columns_SL: the learning rates of each seed, such as those at which it has a competitive cell
            (`Evidence.near`). One column for all seeds that is best on their mean would be luck.
    """
    return _along_wd(landscape, wd_profile(landscape, columns_SL))


def wd_profile(landscape: Landscape, columns_SL: Flags) -> Floats:
    """What wd_sensitivity is the mean of, at each weight decay, shape [S, W] [loss units]."""
    weight_SL = columns_SL / np.maximum(columns_SL.sum(axis=1, keepdims=True), 1)
    loss_SW = (landscape.clamped_loss_SWL * weight_SL[:, None]).sum(axis=2)
    return np.asarray(loss_SW - least(loss_SW)[:, None])


def wd_difference(one: Landscape, other: Landscape, columns_SL: Flags, others_SL: Flags) -> Estimate:
    """wd_sensitivity of one landscape less that of another on the same grid, paired by seed [loss units].

    The grid hides where each profile jumps. Jumps that both make between the same two cells cancel in the
    difference, so the grid's error is that of the difference of the profiles.
    """
    profile_SW = wd_profile(one, columns_SL) - wd_profile(other, others_SL)
    return replace(_along_wd(one, profile_SW), least=-math.inf)


def _along_wd(landscape: Landscape, profile_SW: Floats) -> Estimate:
    positive = np.array(landscape.weight_decay) > 0
    grid = mean_grid_error(profile_SW[:, positive], np.log10(np.array(landscape.weight_decay)[positive]))
    return Estimate(tuple(profile_SW.mean(axis=1).tolist()), grid, least=0.0)
