"""Published numbers beside a study's own, and whether they agree. Numbers only; the report prints them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from study.measures.axis import cell_at
from study.measures.estimate import Estimate
from study.papers.recipes import differences, images_of
from study.papers.tables import TABLES, Published, PublishedTable, Recipe
from tracking import DIVERGED

if TYPE_CHECKING:
    from study.analysis import Analysis
    from study.measures.landscape import Landscape
    from study.spec.tolerances import Tolerances
    from tracking import CellRecord

AGREES = "agrees"
DISAGREES = "disagrees"
UNDECIDED = "undecided"
NOT_COMPARABLE = "not comparable"
NOT_RUN = "not run"
RULE = (
    "agrees: this study's whole interval for the mean over seeds lies within the margin around the published "
    "number. "
    "disagrees: it does not, and the published number lies outside of the interval for one more run, because "
    "papers may print a single one. "
    "undecided: between the two, or last and best epoch are judged differently, or too few seeds. "
    "not comparable: the study differs from the recipe in more than its seeds"
)
"""What each agreement means."""


class Agreement(NamedTuple):
    """One of the five words above or `DIVERGED`, and why."""

    word: str
    reason: str


@dataclass(frozen=True)
class Row:
    """One published number and what this study has at the published lr and weight decay.

    Attributes:
        setting: workload, model, optimizer and condition in this study; empty where none matches.
        n_seeds: seeds that finished.
        last, best: over these seeds, at the last step and at the best recorded point; None without any.
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


def recipe_of(analysis: Analysis, landscape: Landscape) -> Recipe | None:
    """The recipe of the published table that is about the data of a landscape."""
    if landscape.origin is None:
        return None
    images = images_of(landscape.origin.workload)
    return next((one.recipe for one in tables_of(analysis) if one.recipe.images == images), None)


def printed_cell(analysis: Analysis, landscape: Landscape) -> tuple[int, int] | None:
    """Column and row of a paper's setting in a landscape; None where its grid has no such cell."""
    recipe = recipe_of(analysis, landscape)
    if recipe is None:
        return None
    place = cell_at(landscape, recipe.lr, recipe.weight_decay)
    return place and (place[1], place[0])


def rows(analysis: Analysis, table: PublishedTable) -> list[Row]:
    """A row for each number of the table and each setting of the study that it is about.

    A number that is about none of them has one row, which says so.
    """
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
    # A published number is about a method with its default constants, so other variants have no row.
    mine = [one for one in held if one.method == published.transform and not one.constants]
    if not held:
        why = f"{published.model} is not in the spec"
    elif not mine:
        why = f"{published.transform} is not in the spec"
    else:
        why = f"lr {recipe.lr:g} with weight decay {recipe.weight_decay:g} is no cell of the grid"
        mine = [one for one in mine if cell_at(one, recipe.lr, recipe.weight_decay)]
    if not mine:
        yield Row(published, "", 0, None, None, NOT_RUN, why)
    for landscape in mine:
        yield _row(landscape, table, published, spec.region)


def _row(landscape: Landscape, table: PublishedTable, published: Published, tolerances: Tolerances) -> Row:
    assert landscape.origin is not None
    assert landscape.record_SWL is not None
    setting = landscape.setting_title
    place = cell_at(landscape, table.recipe.lr, table.recipe.weight_decay)
    assert place is not None  # others have no row
    cells: list[CellRecord | None] = list(landscape.record_SWL[:, *place])
    done = [cell for cell in cells if cell is not None and not cell.failed]
    finished = [cell for cell in done if cell.finished]
    last = _estimate([cell.metric_final for cell in finished])
    best = _estimate([cell.metric_best for cell in finished])
    found = differences(table.recipe, landscape.origin)
    if done and landscape.metric_name != table.metric:
        found = (*found, f"measured by {landscape.metric_name} instead of {table.metric}")
    # How a study of another recipe ended says nothing about the paper, so the differences come first.
    if not done:
        agreement = Agreement(NOT_RUN, "not trained yet")
    elif found:
        agreement = Agreement(NOT_COMPARABLE, "; ".join(found))
    elif len(finished) < len(done):
        agreement = Agreement(DIVERGED, f"{len(done) - len(finished)} of {len(done)} seeds diverged")
    elif last is None or best is None or last.n < tolerances.least_seeds:
        trained = f"{len(finished)} of {len(cells)} seeds are trained"
        agreement = Agreement(UNDECIDED, f"{trained}; at least {tolerances.least_seeds} are wanted")
    else:
        value, confidence = published.value, tolerances.confidence
        agreement = _both(
            *(agreement_of(one, value, table.decimals, confidence, table.margin) for one in (last, best))
        )
    return Row(published, setting, len(finished), last, best, agreement.word, agreement.reason, found)


def _both(last: Agreement, best: Agreement) -> Agreement:
    """What is said of both, where a paper does not say whether it prints the last epoch or the best."""
    if last.word != best.word:
        words = f"by the last step: {last.word}; by the best recorded point: {best.word}"
        # Why one of them is undecided is what a reader can act on.
        reasons = [f"; {one.reason}" for one in (last, best) if one.word == UNDECIDED]
        return Agreement(UNDECIDED, words + "".join(reasons))
    if last.word != UNDECIDED:
        return Agreement(last.word, "judged alike by the last step and by the best recorded point")
    if last.reason == best.reason:
        return Agreement(UNDECIDED, f"by the last step and by the best recorded point: {last.reason}")
    return Agreement(UNDECIDED, f"by the last step: {last.reason}; by the best recorded point: {best.reason}")


def _estimate(values: Sequence[float | None]) -> Estimate | None:
    """An estimate over the seeds, if each of them has a value."""
    known = tuple(value for value in values if value is not None)
    return Estimate(known) if known and len(known) == len(values) else None


def agreement_of(
    estimate: Estimate, value: float, decimals: int, confidence: float, margin: float
) -> Agreement:
    """Whether a published number could be this study's.

        agrees     |value - mean| + h <= m + r
        disagrees  |value - mean|     >  h · sqrt(S + 1) + r

    with h = t · s / sqrt(S) from Student's t and the deviation s over S seeds, the margin m, and r half a
    unit of the last printed digit. The first says that the whole interval for the mean lies within the
    margin: a wide interval around the published number shows nothing. The second is the interval for one
    further run. Where both hold, the difference is real but smaller than the margin, and the number agrees.
    Seeds that agree to the last digit show that the metric is coarse: then nothing disagrees.

    Args:
        decimals: to which the published number was rounded.
        margin: difference that is too small to matter [unit of the metric].
    """
    distance = abs(value - estimate.mean)
    half = estimate.half_width(confidence)
    if not math.isfinite(half):
        return Agreement(UNDECIDED, "one seed has no interval")
    # A little more than half a unit: in floating point 0.61345 - 0.6134 is 5.0000000000105516e-05.
    rounding = 0.5 * 10.0**-decimals * (1 + 1e-9)
    if distance + half <= margin + rounding:
        return Agreement(AGREES, f"the whole interval lies within {margin:g} of the published number")
    if half > 0 and distance > half * math.sqrt(estimate.n + 1) + rounding:
        return Agreement(DISAGREES, "the published number lies outside of the interval for one more run")
    sizes = f"half-width {half:.2g}, margin {margin:g}"
    if half == 0:
        return Agreement(UNDECIDED, "the seeds do not differ, so the metric is too coarse to tell")
    if half > margin + rounding:
        return Agreement(UNDECIDED, f"the interval is too wide ({sizes})")
    away = f"the mean is {distance:.2g} away"
    return Agreement(UNDECIDED, f"the interval is narrow enough but leaves the margin ({away}, {sizes})")
