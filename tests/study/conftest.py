"""What tests of studies have in common: each thing that they all show is drawn and computed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from study.measures import importance
from study.report.pictures import saving

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@pytest.fixture(scope="session", autouse=True)
def _png_alone() -> Iterator[None]:
    """Pictures are drawn in one format: the others are the same figure, drawn again.

    Tests that promise more ask for it with `tests.making.every_format`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "FORMATS", ("png",))
        yield


@pytest.fixture(scope="session", autouse=True)
def _equal_scores_are_explained_once() -> Iterator[None]:
    """Most launches here train the same cells, and fANOVA's forests cost more than all the rest."""
    explain = importance._raw
    known: dict[tuple[str, str], dict[str, float]] = {}

    def remembered(name: str, trials: list[FrozenTrial]) -> dict[str, float]:
        asked = name, repr([(trial.value, trial.params, trial.distributions) for trial in trials])
        if asked not in known:
            known[asked] = explain(name, trials)
        return dict(known[asked])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "_raw", remembered)
        yield
