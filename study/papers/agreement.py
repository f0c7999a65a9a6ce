"""Published numbers beside a study's own, and whether they agree. Numbers only; `tables.py` prints them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.measures.estimate import Estimate
from study.papers.recipes import differences, images_of
from study.papers.tables import TABLES, Published, PublishedTable

if TYPE_CHECKING:
    from study.analysis import Analysis
    from study.measures.landscape import Landscape
    from tracking import CellRecord

AGREES, DISAGREES, UNDECIDED, NOT_COMPARABLE, DIVERGED, NOT_RUN = (
    "agrees",
    "disagrees",
    "undecided",
    "not comparable",
    "diverged",
    "not run",
)
RULE = (
    "agrees: the published number lies inside this study's interval for the mean over seeds; the wider the interval, the less that says. "
    "disagrees: it lies outside of the interval for one more run, because papers may print a single one. undecided: between the two, or last and best epoch are judged "
    "differently, or too few seeds. not comparable: the study differs from the recipe in more than its seeds"
)
"""How a row is judged."""


@dataclass(frozen=True)
class Row:
    """One published number and what this study has at the published lr and weight decay.

    Attributes:
        setting: workload, model, optimizer and condition in this study; empty where it has none that matches.
        n_seeds: seeds that finished. last, best: over them, at the last step and at the best recorded point; None where there are none.
        reason: why it agrees, or does not, or was not run.
        differences: from the recipe.
    """

    published: Published
    setting: str
    n_seeds: int
    last: Estimate | None
    best: Estimate | None
    agreement: str
    reason: str
    differences: tuple[str, ...] = ()


def tables_of(analysis: Analysis) -> list[PublishedTable]:
    """The published tables of data that the study trains on."""
    images = {images_of(workload) for workload in analysis.plan.spec.workload}
    return [table for table in TABLES if table.recipe.images in images]


def rows(analysis: Analysis, table: PublishedTable) -> list[Row]:
    """A row for each number of the table and each of the study's settings that it is about; one `not run` where there is none."""
    return [row for published in table.rows for row in _rows(analysis, table, published)]


def _rows(analysis: Analysis, table: PublishedTable, published: Published) -> Iterator[Row]:
    recipe, spec = table.recipe, analysis.plan.spec
    held = [
        one
        for one in analysis.landscapes
        if one.origin
        and images_of(one.origin.workload) == recipe.images
        and one.origin.model.name == published.model
    ]
    mine = [one for one in held if one.method == published.transform and not one.constants]
    if not held:
        why = f"{published.model} is not in the spec"
    elif not mine:
        why = f"{published.transform} is not in the spec"
    else:
        why = f"lr {recipe.lr:g} with weight decay {recipe.weight_decay:g} is no cell of the grid"
        on_grid = recipe.lr in spec.lr and recipe.weight_decay in spec.weight_decay
        mine = mine if on_grid else []
    if not mine:
        yield Row(published, "", 0, None, None, NOT_RUN, why)
    for landscape in mine:
        yield _row(landscape, table, published, spec.region.confidence, spec.region.least_seeds)


def _row(
    landscape: Landscape, table: PublishedTable, published: Published, confidence: float, least_seeds: int
) -> Row:
    assert landscape.origin is not None
    assert landscape.record_SWL is not None
    setting = " · ".join(part for part in landscape.setting if part)
    cells: list[CellRecord | None] = list(
        landscape.record_SWL[
            :, landscape.weight_decay.index(table.recipe.weight_decay), landscape.lr.index(table.recipe.lr)
        ]
    )
    done = [cell for cell in cells if cell is not None and not cell.failed]
    finished = [cell for cell in done if cell.finished]
    last, best = (
        _estimate([getattr(cell, name) for cell in finished]) for name in ("metric_final", "metric_best")
    )
    found = differences(table.recipe, landscape.origin)
    if done and landscape.metric_name != table.metric:
        found = (*found, f"measured by {landscape.metric_name} instead of {table.metric}")
    if not done:
        agreement, why = NOT_RUN, "not trained yet"
    elif found:
        agreement, why = NOT_COMPARABLE, "; ".join(found)
    elif len(finished) < len(done):
        agreement, why = DIVERGED, f"{len(done) - len(finished)} of {len(done)} seeds diverged"
    elif last is None or best is None or last.n < least_seeds:
        agreement, why = (
            UNDECIDED,
            f"{len(finished)} of {len(cells)} seeds are trained; at least {least_seeds} are wanted",
        )
    else:
        agreement, why = _both(
            *(agreement_of(one, published.value, table.decimals, confidence) for one in (last, best))
        )
    return Row(published, setting, len(finished), last, best, agreement, why, found)


def _both(last: str, best: str) -> tuple[str, str]:
    return (
        (last, "judged alike by the last step and by the best recorded point")
        if last == best
        else (UNDECIDED, f"by the last step: {last}; by the best recorded point: {best}")
    )


def _estimate(values: list[float | None]) -> Estimate | None:
    known = tuple(value for value in values if value is not None)
    return Estimate(known) if known and len(known) == len(values) else None


def agreement_of(estimate: Estimate, value: float, decimals: int, confidence: float) -> str:
    """Whether a published number could be this study's.

        agrees     |value - mean| <= t · s / sqrt(S) + r
        disagrees  |value - mean| >  t · s · sqrt(1 + 1/S) + r

    with Student's t, the deviation s over S seeds and r half a unit of the last printed digit. The second is the interval for one
    further run. Seeds that agree to the last digit show that the metric is coarse: then nothing disagrees.
    """
    distance, half, rounding = (
        abs(value - estimate.mean),
        estimate.half_width(confidence),
        0.5 * 10.0**-decimals * (1 + 1e-9),
    )
    if distance <= half + rounding:
        return AGREES if math.isfinite(half) else UNDECIDED
    return DISAGREES if half > 0 and distance > half * math.sqrt(estimate.n + 1) + rounding else UNDECIDED
