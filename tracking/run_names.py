"""What the run of a cell is called in a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracking.record import CellRecord

DIVERGED_MARK = "✗ "
"""Before the name of a diverged cell's run.

Its status is `FINISHED` like any other's, because divergence is a result. MLflow marks `KILLED` and `FAILED`
with one and the same red cross, and whoever asks for the finished runs would no longer find the cell.
"""


def run_name(record: CellRecord, varied: Mapping[str, Any]) -> str:
    """A name that fits the table of runs: `autoscale s2 lr 1e-2 wd 1e-1`.

    Runs that were stored under longer names keep them: a cell is known by its key.

    Args:
        varied: what the study varies of the budget.
    """
    words = [f"s{record.seed}", f"lr {short(record.lr)}", f"wd {short(record.weight_decay)}"]
    for name, value in varied.items():
        words.append(f"{name} {short(value) if isinstance(value, int | float) else value}")
    return f"{DIVERGED_MARK if record.diverged else ''}{record.transform} {' '.join(words)}"


def short(value: float) -> str:
    """A number in three digits at most, as powers of ten are read.

    Example:
        >>> short(0.01), short(3.16227766e-05), short(0.0), short(31.6227766), short(1e8), short(0.95)
        ('1e-2', '3.16e-5', '0', '31.6', '1e8', '0.95')
    """
    if value == 0 or 0.1 < abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, _, power = f"{value:.2e}".partition("e")
    if not power:  # infinite
        return mantissa
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
