"""The stored facts of one cell, and what becomes of each in the ledger, in exports and in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, get_type_hints

FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"
OUTCOMES = (FINISHED, DIVERGED, FAILED)
"""How a cell can end. Divergence is a result; after a failure of the infrastructure a cell is pending."""
EVIDENCE = (FINISHED, DIVERGED)
"""Outcomes that are shown and never trained again."""

Curve = tuple[tuple[int, float | None, float | None], ...]
"""(step, loss, metric) at each recorded point; None where the value was not finite."""
SqlType = Literal["TEXT", "REAL", "INTEGER"]
Tracked = Literal["param", "metric", "score", "tag"]
"""What MLflow shows a field as. A score is named after the metric: `metric_final` is `accuracy_final`."""


@dataclass(frozen=True)
class Column:
    """What derives from one field of a record.

    Attributes:
        type: of the ledger's column.
        unique: the column is the table's primary key.
        null: the value may be missing.
        allowed: the only values that the ledger accepts; empty for any.
        exported: whether the exported tables of all studies have the column.
        tracked: what MLflow shows it as; None where it shows nothing, or what is inside (`curve`).
        later: it came after the first ledgers, and stands behind all columns of these. Their records have
            null, which is in no checksum.
    """

    type: SqlType
    unique: bool = False
    null: bool = False
    allowed: tuple[str, ...] = ()
    exported: bool = False
    tracked: Tracked | None = None
    later: bool = False


@dataclass(frozen=True)
class CellRecord:
    """One finished (or diverged, or failed) cell. Frozen: a stored cell never changes.

    The order of the fields is the order of columns in the ledger and in exported files. Each field says in
    its `Column` what derives from it; type checkers and `dataclasses` see its type alone.

    Attributes:
        key: identity of the cell; everything up to `setting` is what it is a hash of.
        constants: of the transform, as JSON.
        outcome: one of `OUTCOMES`. reason: why it diverged or failed.
        diverged_step: the step at which divergence was seen [steps].
        loss_initial, loss_final: mean over the batches of the last tenth, untrained and while training
            [loss units].
        metric_direction: `max` when higher is better, else `min`.
        metric_initial, metric_final, metric_best: on the evaluation set; None where not finite.
        seconds: this cell's share of its tile's wall time [s].
        curve: recorded points.
        dynamics: statistics of gradients over steps, as JSON; `{}` where the budget asks for none.
            `Infinity`, `-Infinity` and `NaN` are what a living cell's number was, and null is where nothing
            was measured. Older records have null for both.
        provenance: versions, device, commit, as JSON.
        skipped_steps: in float16, how many steps overflowed and were skipped [steps]; else None.
    """

    key: Annotated[str, Column("TEXT", unique=True, exported=True)]
    workload: Annotated[str, Column("TEXT", exported=True, tracked="param")]
    optimizer: Annotated[str, Column("TEXT", exported=True, tracked="param")]
    transform: Annotated[str, Column("TEXT", exported=True, tracked="param")]
    constants: Annotated[str, Column("TEXT", exported=True, tracked="param")]
    lr: Annotated[float, Column("REAL", exported=True, tracked="param")]
    weight_decay: Annotated[float, Column("REAL", exported=True, tracked="param")]
    seed: Annotated[int, Column("INTEGER", exported=True, tracked="param")]
    setting: Annotated[str, Column("TEXT")]
    outcome: Annotated[str, Column("TEXT", allowed=OUTCOMES, exported=True, tracked="tag")]
    reason: Annotated[str | None, Column("TEXT", null=True, exported=True, tracked="tag")]
    diverged_step: Annotated[int | None, Column("INTEGER", null=True, exported=True, tracked="metric")]
    steps: Annotated[int, Column("INTEGER", exported=True, tracked="param")]
    loss_initial: Annotated[float | None, Column("REAL", null=True, exported=True, tracked="metric")]
    loss_final: Annotated[float | None, Column("REAL", null=True, exported=True, tracked="metric")]
    metric_name: Annotated[str, Column("TEXT", exported=True)]
    metric_direction: Annotated[str, Column("TEXT")]
    metric_initial: Annotated[float | None, Column("REAL", null=True, exported=True, tracked="score")]
    metric_final: Annotated[float | None, Column("REAL", null=True, exported=True, tracked="score")]
    metric_best: Annotated[float | None, Column("REAL", null=True, exported=True, tracked="score")]
    seconds: Annotated[float, Column("REAL", exported=True, tracked="metric")]
    curve: Annotated[Curve, Column("TEXT")]
    dynamics: Annotated[str, Column("TEXT")]
    provenance: Annotated[str, Column("TEXT")]
    # What came later has a default, so that older code makes records as before.
    skipped_steps: Annotated[int | None, Column("INTEGER", null=True, tracked="metric", later=True)] = None

    @property
    def finished(self) -> bool:
        return self.outcome == FINISHED

    @property
    def diverged(self) -> bool:
        return self.outcome == DIVERGED

    @property
    def failed(self) -> bool:
        return self.outcome == FAILED


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {name: hint.__metadata__[0] for name, hint in get_type_hints(CellRecord, include_extras=True).items()}
)
"""By field, in the order of the fields."""
FIELDS: tuple[str, ...] = tuple(COLUMNS)
LATER: tuple[str, ...] = tuple(name for name, of in COLUMNS.items() if of.later)
"""Fields that ledgers of older versions lack."""
IDENTITY: tuple[str, ...] = FIELDS[: FIELDS.index("setting") + 1]
"""What is known of a cell before it is trained."""
EXPORTED: tuple[str, ...] = tuple(name for name, of in COLUMNS.items() if of.exported)
"""Columns of `cells.*` in an export, in their order."""
DTYPES: Mapping[str, str] = MappingProxyType({"REAL": "float64", "INTEGER": "Int64"})
# A pending cell has no results. Without a cast, a column of gaps alone would have the type object, and steps
# would turn into floats beside a gap. What identifies a cell is never missing and keeps its own type.
EXPORT_TYPES: dict[str, str] = {
    name: DTYPES[COLUMNS[name].type]
    for name in EXPORTED
    if name not in IDENTITY and COLUMNS[name].type in DTYPES
}
"""pandas' types of the exported columns that are numbers and may be missing."""


def tracked_as(kind: Tracked) -> tuple[str, ...]:
    """The fields that MLflow shows as this."""
    return tuple(name for name, of in COLUMNS.items() if of.tracked == kind)
