"""The drills of the gate in their short form: what is killed most often, once each.

`check_drills.py` has the others, which `make faults` runs first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.tools.faults import drills, storage
from tests.tools.faults.drills import Row
from tests.tools.faults.subject import left_over


def sound(row: Row) -> None:
    """Nothing repeated, lost, doubled or left open, and nothing else wrong."""
    assert row.good, row


@pytest.fixture(scope="session")
def survivors() -> Iterator[list[psutil.Process]]:
    """Processes whose parent was killed. They must have ended by themselves when all other tests are done.

    Ray's agents take a minute for it, in which other tests run.
    """
    started: list[psutil.Process] = []
    yield started
    assert left_over(started) == 0, "processes outlived their driver"


@pytest.mark.timeout(600)
def test_the_driver_is_killed(tmp_path: Path, survivors: list[psutil.Process]) -> None:
    """SIGKILL to the driver: no finished cell is trained again, lost or doubled, with the same numbers."""
    sound(drills.driver_killed(tmp_path, 1, seed=5, small=True, survivors=survivors))


@pytest.mark.timeout(600)
def test_workers_are_killed(tmp_path: Path) -> None:
    """SIGKILL to a worker in the middle of a tile: it goes on from its checkpoint, with the same numbers."""
    sound(drills.worker_killed(tmp_path, 1, seed=5, steps=300, small=True))


@pytest.mark.timeout(600)
def test_the_tracker_is_away(tmp_path: Path) -> None:
    """Without a tracker everything is trained; `study sync` then gives an undisturbed study's content."""
    sound(drills.tracker_dead(tmp_path, seed=5, small=True))


def test_the_ledger_is_torn(tmp_path: Path) -> None:
    """Killed in a transaction, or cut anywhere in its log: whole batches only, and no corruption."""
    sound(storage.torn_write(tmp_path / "torn", 4, seed=5))
    sound(storage.power_lost(tmp_path / "power", 4, seed=5))


def test_the_home_is_read_only(tmp_path: Path) -> None:
    """Refused at the start with exit 2 and what to do."""
    sound(storage.unwritable(tmp_path, seed=5))
