"""Studies that vary warm-up, steps and schedule, from the spec to tables, pictures and comparisons."""

from __future__ import annotations

from pathlib import Path

from study.frames import cells
from study.home import Home
from study.measures.evidence import along
from study.plan.cells import make_plan
from study.report.amounts import lengths
from study.report.pictures.panels import Heatmap, heatmap
from study.spec.read import read_spec
from study.stored import read
from tests.conftest import TINY
from tests.fabricated import fabricate, hill
from tracking import Ledger

CONDITIONS = "conditions: {warmup: [0, 5], steps: [20, 40], schedule: [cosine, constant]}\n"


def test_settings_of_a_varied_recipe(tmp_path: Path) -> None:
    """Each setting is compared with those that differ in one key alone, has its columns and its own title."""
    path, home = tmp_path / "varied.yaml", tmp_path / "home"
    path.write_text(TINY.replace("points: 2}", "points: 2, schedule: cosine, floor: 0.1}") + CONDITIONS)
    fabricate(path, home, hill)
    spec = read_spec(str(path))
    analysis = read(spec, Home(home))
    assert lengths(spec) == "20 to 40 steps"

    first = analysis.evidence[0]
    assert first.condition == "warmup=0, steps=20, schedule=cosine"
    for key, other in (
        ("warmup", "warmup=5, steps=20, schedule=cosine"),
        ("steps", "warmup=0, steps=40, schedule=cosine"),
        # Its floor goes with the schedule.
        ("schedule", "warmup=0, steps=20, schedule=constant"),
    ):
        assert [piece.condition for piece in along(first, key)] == [first.condition, other]

    # Claims that compare no conditions are asked of the first one.
    asked = [claim.setting for claim in analysis.claims if "warmup" in claim.setting]
    assert asked
    assert all(setting.endswith(f" · {first.condition}") for setting in asked)

    shown = heatmap(analysis, first)
    assert isinstance(shown, Heatmap)
    assert shown.title == "tiny: digits/mlp · adamw · warmup=0, steps=20, schedule=cosine"

    ledger = Ledger(Home(home).ledger, create=False)
    plan = make_plan(spec, ledger.fingerprints(spec.name))
    table = cells(plan, {})
    ledger.close()
    assert list(table.columns).count("steps") == 1
    assert set(table["warmup"]) == {0, 5}
    assert set(table["schedule"]) == {"cosine", "constant"}
