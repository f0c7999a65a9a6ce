"""Drills in their short form that the gate has no time for: `make faults` runs them before the long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.faults import cluster, drills, storage
from tests.tools.faults.test_drills import sound


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
