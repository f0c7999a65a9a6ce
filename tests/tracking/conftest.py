"""A ledger of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracking import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")
