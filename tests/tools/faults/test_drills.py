"""Drills in their short form that take seconds.

`check_drills.py` has the others, which `make faults` runs first.
"""

from __future__ import annotations

from pathlib import Path

from tests.tools.faults import storage
from tests.tools.faults.drills import Row


def sound(row: Row) -> None:
    """Nothing repeated, lost, doubled or left open, and nothing else wrong."""
    assert row.good, row


def test_the_ledger_is_torn(tmp_path: Path) -> None:
    """Killed in a transaction, or cut anywhere in its log: whole batches only, and no corruption."""
    sound(storage.torn_write(tmp_path / "torn", 4, seed=5))
    sound(storage.power_lost(tmp_path / "power", 4, seed=5))


def test_the_home_is_read_only(tmp_path: Path) -> None:
    """Refused at the start with exit 2 and what to do."""
    sound(storage.unwritable(tmp_path, seed=5))
