"""The tables of keys that pages show are those of the code."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from study.spec.indifference import Indifference
from study.spec.model import StudySpec
from study.spec.tolerances import Tolerances
from study.spec.verdicts import Verdicts
from study.spec.workers import Workers
from tests.pages import OF_STUDY
from trainers.budget import CORRUPTED, PRECISIONS, Budget
from trainers.quantization import QUANTIZATIONS
from trainers.schedules import SCHEDULES

SECTIONS: dict[str, type[Any]] = {
    "budget": Budget,
    "workers": Workers,
    "region": Tolerances,
    "indifference": Indifference,
}


def rows(head: str) -> list[list[str]]:
    """The rows below this head of a table, which one page of studies has."""
    lines = [line for page in OF_STUDY for line in page.read_text(encoding="utf-8").splitlines()]
    (begin,) = (number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    found = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def shown(field: dataclasses.Field[Any]) -> str:
    """A default as the page writes it."""
    default = field.default
    if default is dataclasses.MISSING:
        return "needed"
    if default is None:
        return "–"
    if isinstance(default, str):
        return f"`{default}`"
    return f"{default:g}" if isinstance(default, (int, float)) else f"`{list(default)}`"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_row_with_its_default(section: str) -> None:
    """The table of a section names each of its keys once, with the default of the code, and a meaning."""
    table = rows(f"key of `{section}`")
    wanted = {f"`{field.name}`": shown(field) for field in dataclasses.fields(SECTIONS[section])}
    assert {key: default for key, default, _ in table} == wanted
    assert len(table) == len(wanted)
    assert all(len(meaning) > 20 for _, _, meaning in table)


def test_every_key_of_a_spec_has_a_row() -> None:
    """The table of a spec names each of its keys once."""
    named = [key for row in rows("key of a spec") for key in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(StudySpec.model_fields)
    assert {field.name for field in dataclasses.fields(Verdicts)} == {"looks", "indifference"}


def test_names_of_the_budget_are_on_the_page() -> None:
    """The rows of keys that take a name hold every name."""
    meaning = {key.strip("`"): words for key, _, words in rows("key of `budget`")}
    taken = {
        "schedule": SCHEDULES,
        "precision": PRECISIONS,
        "quantization": QUANTIZATIONS,
        "corruption_of": CORRUPTED,
    }
    for key, names in taken.items():
        assert set(names) <= set(re.findall(r"`(\w+)`", meaning[key])), key


def test_defaults_of_a_schedule_are_on_the_page() -> None:
    """What holds where a constant of the schedule is left out is the rule's own default."""
    meaning = {key.strip("`"): words for key, _, words in rows("key of `budget`")}
    for name, key in (("cosine", "floor"), ("linear", "floor"), ("step", "decay_factor")):
        more = {"decay_every": 5} if name == "step" else {}
        default = getattr(Budget(steps=10, batch_size=1, schedule=name, **more), key)
        assert meaning[key].endswith(f"left out, {default:g}")
    with pytest.raises(ValueError, match="needs decay_every"):
        Budget(steps=10, batch_size=1, schedule="step")
