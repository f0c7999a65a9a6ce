"""Clipping that a framework does by itself, in front of every transform of a study."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tracking import CellRecord

CLIPPING = "clipping"
"""Fact of a cell, beside versions and device: the norm at which its framework clips, or how it does so."""


def clipping_of(records: Iterable[CellRecord | None]) -> tuple[str, ...]:
    """At what a framework clipped these cells, as their training noted it; empty where it did not."""
    # Thousands of cells share a handful of texts.
    texts = {record.provenance for record in records if record is not None}
    noted = [json.loads(text).get(CLIPPING) for text in texts if f'"{CLIPPING}"' in text]
    return tuple(sorted({worded(one) for one in noted if one}))


def worded(clipping: float | str) -> str:
    """`at 1`, or the training's own words."""
    return clipping if isinstance(clipping, str) else f"at {clipping:g}"
