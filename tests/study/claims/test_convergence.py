"""What a claim about convergence builds while a home is only read: shipped problems, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from study.claims.convergence import METRIC, quotients
from study.measures.estimate import Missing
from study.plan.cells import settings
from study.spec.model import StudySpec
from study.spec.read import parse_stored, read_spec
from study.spec.strict_json import strict_json
from study.spec.yaml import load_yaml
from tests.conftest import TINY

OWN = """
from pathlib import Path
Path({mark!r}).write_text("ran")

def net(shape, outputs):
    from torch import nn
    return nn.Linear(64, outputs)

def problem(model, model_name):
    raise RuntimeError
"""


def landscape(spec: StudySpec) -> Any:
    """As much of a study's first landscape as is asked before its problem is built; all is as wanted."""
    (setting,) = settings(spec)
    steps = setting.condition.budget.steps
    series = SimpleNamespace(step_J=tuple(range(steps)))
    facts = {"metric_name": METRIC, "origin": setting, "optimizer": "sgd", "weight_decay": (0.0,)}
    return SimpleNamespace(**facts, series=series)


@pytest.mark.parametrize(
    ("workload", "model"),
    [("quadratic", "{factory: 'own:net'}"), ("{factory: 'own:problem'}", "linear")],
)
def test_reading_calls_no_factory(
    workload: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A problem or network of the user's own lacks what the bound needs, from a file and from a home."""
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "mark"
    (tmp_path / "own.py").write_text(OWN.format(mark=str(mark)))
    text = TINY.replace("digits", workload).replace("mlp", model).replace("points: 2", "points: 20")
    (tmp_path / "s.yaml").write_text(text)
    spec = read_spec(str(tmp_path / "s.yaml"))
    for one in (spec, parse_stored(spec.remembered(), "stored")):
        found = quotients(landscape(one))
        assert isinstance(found, Missing)
        assert "workload quadratic or logistic" in found.reason
    assert not mark.exists()


@pytest.mark.parametrize(
    ("workload", "model", "words"),
    [
        ({"name": "quadratic", "examples": "many"}, "mlp", "cannot be built"),
        ({"name": "quadratic", "depth": 3}, "mlp", "cannot be built"),
        ({"name": "quadratic", "examples": 10**12}, "mlp", "at most 100,000,000 numbers"),
        ({"name": "quadratic", "examples": 10**6}, "mlp", "at most 100,000,000 numbers"),
        ("quadratic", {"name": "mlp", "hidden": [10**7, 10**7]}, "at most 100,000,000 numbers"),
        ({"name": "arrays", "file": "/dev/zero"}, "mlp", "workload quadratic or logistic"),
    ],
)
def test_what_a_strangers_home_says_of_a_problem_costs_nothing(workload: Any, model: Any, words: str) -> None:
    """Constants that no launch would take, files and endless problems are a missing part and no error."""
    text = TINY.replace("digits", strict_json(workload)).replace("points: 2", "points: 20")
    text = text.replace("model: mlp", f"model: {strict_json(model)}")
    content = load_yaml(text)
    stored = {**content, **{key: [content[key]] for key in ("workload", "model", "optimizer")}}
    found = quotients(landscape(parse_stored(strict_json(stored), "stored")))
    assert isinstance(found, Missing)
    assert words in found.reason
