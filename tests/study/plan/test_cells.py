"""Keys of cells: what was stored before the budget had another key keeps its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.plan.cells import ADDED, budget_identity, make_plan
from study.spec.read import parse_spec
from tests.command import study
from tests.conftest import ONE_CELL, TINY
from trainers import Budget


def keys_of(spec: str) -> list[str]:
    return make_plan(parse_spec(spec), {"digits/mlp": "0" * 16}).keys


def test_stored_keys_are_what_they_were() -> None:
    """Written down from the version before `ADDED` had any key."""
    assert [keys_of(TINY)[at] for at in (0, -1)] == ["02b2e5d76f5be24aff2a", "6dcc8b550ad51ddda67c"]
    varied = keys_of(TINY + "conditions: {precision: [float32, float16]}\n")
    assert [varied[at] for at in (0, -1)] == ["02b2e5d76f5be24aff2a", "2d993f52c929c35b587c"]


def test_an_added_key_counts_where_it_is_used() -> None:
    """A study that varies it keeps the cells of its default, and has other cells beside them."""
    varied = keys_of(TINY + "conditions: {quantization: [none, nvfp4, int8]}\n")
    assert len(set(varied)) == 3 * len(keys_of(TINY))
    assert set(keys_of(TINY)) < set(varied)
    assert not set(budget_identity(Budget(10, 32))) & ADDED
    assert budget_identity(Budget(10, 32, quantization="int8"))["quantization"] == "int8"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("model: mlp", "model: linear"),
            "digits/linear: budget.quantization is nvfp4, but the network",
        ),
        pytest.param(("model: mlp", "model: {name: mlp, hidden: [10]}"), None, marks=pytest.mark.long),
    ],
)
def test_a_network_that_cannot_be_quantised(
    change: tuple[str, str], words: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A launch refuses it before anything is trained, in one sentence."""
    spec, home = tmp_path / "spec.yaml", tmp_path / "home"
    spec.write_text(ONE_CELL.replace(*change) + "conditions: {quantization: [none, nvfp4]}\n")
    code = study("launch", str(spec), "--home", str(home), "--here")
    said = " ".join(capsys.readouterr().err.split())
    assert (code, home.exists()) == ((2, False) if words else (0, True))
    assert words is None or words in said
