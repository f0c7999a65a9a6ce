"""Drills in their short form that the gate has no time for: `make faults` runs them before the long ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.tools.faults import cluster, drills, storage
from tests.tools.faults.subject import left_over
from tests.tools.faults.test_drills import sound


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


@pytest.mark.timeout(600)
def test_a_machine_is_lost(tmp_path: Path) -> None:
    """SIGKILL to all processes of one of two machines: its tile goes to the other, with the same numbers."""
    sound(cluster.machine_killed(tmp_path, 1, seed=5, steps=300, small=True))


@pytest.mark.timeout(600)
def test_a_tile_that_always_fails(tmp_path: Path) -> None:
    """Retries are bounded: its cells fail with the reason, others are trained; launching again mends it."""
    sound(drills.worker_always_killed(tmp_path, seed=5, small=True))


def test_the_disk_is_full(tmp_path: Path) -> None:
    """A clear error and exit 1, nothing corrupt; with room the same command ends with the same numbers."""
    sound(storage.disk_full(tmp_path, seed=5, small=True))


def test_two_at_a_time(tmp_path: Path) -> None:
    """The second launch names the first one and leaves with exit 2; the first one is not disturbed."""
    sound(storage.two_launches(tmp_path, seed=5, small=True))
