"""Test data that several rooms make use of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from study.report.pictures import saving
from tracking import CellRecord

RECORD = CellRecord(
    key="k0", workload="w", optimizer="o", transform="t", constants="{}", lr=0.1, weight_decay=0.0, seed=0,
    setting="s", outcome="finished", reason=None, diverged_step=None, steps=10,
    loss_initial=2.3, loss_final=0.1, metric_name="accuracy", metric_direction="max",
    metric_initial=0.1, metric_final=0.9, metric_best=0.95, seconds=0.5,
    curve=((0, 2.3, 0.1), (10, None, 0.9)), dynamics="{}", provenance='{"torch": "2"}',
)  # fmt: skip
"""A finished cell, to be varied by `dataclasses.replace`."""

FORMATS = saving.FORMATS


@contextmanager
def every_format() -> Iterator[None]:
    """Pictures in all formats, as users get them; other tests draw one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "FORMATS", FORMATS)
        yield


def records(n: int) -> list[CellRecord]:
    """Finished cells `k0`, `k1`, …, of different learning rates."""
    return [replace(RECORD, key=f"k{k}", lr=0.1 * (k + 1)) for k in range(n)]
