"""What all tests of the report have in common: pictures in one format, and homes that are read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from study import stored
from study.analysis import Analysis
from study.home import Home
from study.spec.model import StudySpec


@pytest.fixture(autouse=True)
def _png_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other formats are the same figure, drawn again. The tests of launches look at all three."""
    monkeypatch.setattr("study.report.pictures.saving.FORMATS", ("png",))


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
