"""Corruption of inputs is a condition, and changes no key of cells without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.plan.cells import make_plan
from study.spec.read import parse_spec
from tests.command import study
from tests.conftest import ONE_CELL


def test_keys_of_older_cells_stay(tmp_path: Path) -> None:
    """A study without corruption has the keys it had; each level is a condition with keys of its own."""
    spec = parse_spec(ONE_CELL, "spec")
    varied = parse_spec(ONE_CELL + "conditions: {corruption: [0, 1, 3]}\n", "spec")
    plain, many = make_plan(spec, {}), make_plan(varied, {})
    assert len({*plain.keys, *many.keys}) == 3
    assert plain.keys[0] in many.keys
    assert not any("corruption" in text for text in plain.meanings.values())
    assert [one.label for one in varied.all_conditions] == ["corruption=0", "corruption=1", "corruption=3"]
    file = tmp_path / "spec.yaml"
    file.write_text(ONE_CELL + "conditions: {corruption: [-1]}\n", encoding="utf-8")
    assert study("plan", str(file)) == 2


def test_no_noise_on_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A launch with noise on tokens, or on what agents see, is refused before anything is written."""
    spec, home = tmp_path / "spec.yaml", tmp_path / "home"
    for workload, model, words in (
        ("text", "llama", "are whole numbers, to which no noise can be added"),
        ("cartpole", "mlp", "wants 0, because what agents see"),
    ):
        text = ONE_CELL.replace("workload: digits", f"workload: {workload}")
        text = text.replace("model: mlp", f"model: {model}")
        spec.write_text(text + "conditions: {corruption: [0, 1]}\n", encoding="utf-8")
        assert study("launch", str(spec), "--home", str(home), "--here") == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "budget.corruption is 1" in said
        assert words in said
        assert not (home / "ledger.sqlite").exists()
