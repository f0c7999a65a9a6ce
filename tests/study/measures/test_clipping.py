"""The baseline of a framework that clips is shown as what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from study.measures.landscape import landscapes
from study.plan.cells import make_plan
from study.spec.read import parse_spec
from tests.conftest import TINY
from tests.making import RECORD
from tracking import CellRecord


def titles(text: str, *facts: dict[str, Any]) -> list[str]:
    """What people read of each transform, where cells have these facts in turn."""
    plan = make_plan(parse_spec(text), {})
    stored: dict[str, CellRecord] = {}
    for k, cell in enumerate(plan.cells):
        provenance = json.dumps({"torch": "2"} | facts[k % len(facts)])
        stored[cell.key] = replace(RECORD, key=cell.key, provenance=provenance)
    return [landscape.title for landscape in landscapes(plan, stored)]


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ([{}], "none"),
        ([{"framework": "lightning 2.6.6", "clipping": 0.0}], "none"),
        ([{"framework": "transformers 5.24.0", "clipping": 1.0}], "none (framework clips at 1)"),
        ([{"clipping": 0.5}, {"clipping": 1}], "none (framework clips at 0.5, at 1)"),
        ([{"clipping": "by Own.configure_gradient_clipping"}],
         "none (framework clips by Own.configure_gradient_clipping)"),
    ],
)  # fmt: skip
def test_the_baseline_says_what_its_framework_clips(facts: list[dict[str, Any]], title: str) -> None:
    """The norm, or the training's own words; transforms keep their names, and so do baselines without."""
    assert titles(TINY, *facts) == [title, "unit_norm"]


def test_a_label_stays() -> None:
    """A label that the spec gives the baseline has it behind it, too."""
    text = TINY.replace("[none, unit_norm]", "[{name: none, label: AdamW}]")
    assert titles(text, {"clipping": 1.0}) == ["AdamW (framework clips at 1)"]
