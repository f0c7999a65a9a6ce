"""What is known of the cells of a fine map, as arrays: how they ended, and how near to ending otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.landscape import DIVERGED, FINISHED, PENDING
from tracking import EVIDENCE, CellRecord


class FineMap:
    """The cells of a window, shape [W, L], filled as records come.

    It keeps numbers alone: records of 65,536 cells would take several hundred megabytes.

    Attributes:
        state_WL: how a cell ended, `PENDING`, `FINISHED` or `DIVERGED`; a failed one is pending.
        size_WL: how large the losses are. Of a finished cell the mean of its recorded losses, divided by the
            untrained loss. Of a diverged one the mean of the inverse, to which points after its end
            add nothing: it is small where a cell diverged early. NaN where nothing is known.
        behind: how many cells each provenance stands behind.
    """

    def __init__(self, keys: Sequence[str], points: int) -> None:
        self._place = {key: k for k, key in enumerate(keys)}
        self.points = points
        self.state_WL = np.zeros((points, points), dtype=np.int8)
        self.size_WL: Floats = np.full((points, points), np.nan)
        self.loss_initial = np.nan
        self.loss_WL: Floats = np.full((points, points), np.nan)
        self.metric_WL: Floats = np.full((points, points), np.nan)
        self.diverged_step_WL: Floats = np.full((points, points), np.nan)
        self.seconds = 0.0
        self.metric_name = ""
        self.behind: Counter[str] = Counter()

    def add(self, records: Iterable[CellRecord]) -> None:
        """Take what records say; those of other cells and of failed ones say nothing here."""
        for record in records:
            place = self._place.get(record.key)
            if place is None or record.outcome not in EVIDENCE:
                continue
            at = divmod(place, self.points)
            if self.state_WL[at] != PENDING:
                continue
            self.state_WL[at] = DIVERGED if record.diverged else FINISHED
            self.size_WL[at] = size_of(record)
            self.loss_initial = _number(record.loss_initial)
            self.loss_WL[at] = _number(record.loss_final)
            self.metric_WL[at] = _number(record.metric_final)
            self.diverged_step_WL[at] = _number(record.diverged_step)
            self.seconds += record.seconds
            self.metric_name = record.metric_name
            self.behind[record.provenance] += 1

    @property
    def known(self) -> int:
        """How many cells are known."""
        return int((self.state_WL != PENDING).sum())

    @property
    def complete(self) -> bool:
        return self.known == self.state_WL.size

    @property
    def diverged_WL(self) -> Flags:
        return np.asarray(self.state_WL == DIVERGED)

    @property
    def counts(self) -> dict[str, int]:
        """How many cells ended how."""
        names = {"finished": FINISHED, "diverged": DIVERGED, "pending": PENDING}
        return {name: int((self.state_WL == state).sum()) for name, state in names.items()}


def size_of(record: CellRecord) -> float:
    """How large the losses of a cell are, see `FineMap`; NaN where it recorded none.

    Reference: Sohl-Dickstein, "The boundary of neural network trainability is fractal" (2024).
    Differs from the reference: it takes the points that a cell recorded, not every step.
    """
    losses = [loss for step, loss, _ in record.curve if step > 0]
    if not losses or not record.loss_initial:
        return float("nan")
    if record.diverged:
        inverse = [record.loss_initial / loss if loss else 0.0 for loss in losses]
        return sum(inverse) / len(inverse)
    return sum(loss or 0.0 for loss in losses) / record.loss_initial / len(losses)


def filled(values_WL: np.ndarray, known_WL: Flags, coarsest: int) -> np.ndarray:
    """A map in which an unknown cell shows the nearest coarser one below and left of it that is known.

    Args:
        coarsest: stride of the coarsest round [cells]. While that is not whole, its unknown cells stay so.
    """
    shown, known = values_WL.copy(), known_WL.copy()
    rows, columns = np.indices(shown.shape)
    stride = 2
    while not known.all() and stride <= coarsest:
        row, column = rows // stride * stride, columns // stride * stride
        take = ~known & known_WL[row, column]
        shown[take] = values_WL[row, column][take]
        known |= take
        stride *= 2
    return shown


def stretched(values_WL: Floats, chosen_WL: Flags) -> Floats:
    """Ranks of the chosen cells from 0 to 1, NaN elsewhere; equal values share their mean rank.

    So each shade covers as many cells as any other, whatever the losses are.
    """
    from scipy.stats import rankdata

    found = np.full(values_WL.shape, np.nan)
    if (count := int(chosen_WL.sum())) == 1:
        found[chosen_WL] = 0.5
    elif count:
        values = np.nan_to_num(values_WL[chosen_WL], nan=0.0)
        found[chosen_WL] = (rankdata(values) - 1) / (count - 1)
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
