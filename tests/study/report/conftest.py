"""What tests of the report have in common: homes that are read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from study import stored
from study.analysis import Analysis
from study.home import Home
from study.spec.model import StudySpec


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that read one home share its analysis: fANOVA's forests cost more than all the rest."""
    known: dict[tuple[str, Path], Analysis] = {}

    def read(spec: StudySpec, home: Home) -> Analysis:
        place = (spec.canonical(), home.root)
        if place not in known:
            known[place] = fresh(spec, home)
        return known[place]

    fresh = stored.read
    monkeypatch.setattr(stored, "read", read)
