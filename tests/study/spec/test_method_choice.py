"""What a choice of a method is called, and what of it is in the keys of cells."""

from __future__ import annotations

import pytest

from study.errors import UserError
from study.plan.cells import make_plan
from study.spec.model import StudySpec
from study.spec.read import parse_spec
from tests.conftest import TINY


def spec_of(*workloads: str) -> StudySpec:
    return parse_spec(TINY.replace("workload: digits", f"workload: [{', '.join(workloads)}]"))


def test_a_constant_that_says_what_was_done_before_it_changes_no_key() -> None:
    """Cells of `arrays` trained before it had `channels` are those of `channels: last`, by key and name."""
    before, last, first = (
        spec_of(f"{{name: arrays, file: own.npz{more}}}")
        for more in ("", ", channels: last", ", channels: first")
    )
    (choice,) = last.workload
    assert choice.keywords() == {"file": "own.npz", "channels": "last"}
    prints = {"arrays(file='own.npz')/mlp": "1234"}
    assert make_plan(last, prints).keys == make_plan(before, prints).keys
    assert make_plan(last, prints).meanings == make_plan(before, prints).meanings
    assert not set(make_plan(first, prints).keys) & set(make_plan(before, prints).keys)
    with pytest.raises(UserError, match=r"workload \"arrays\(file='own.npz'\)\" appears twice"):
        spec_of("{name: arrays, file: own.npz}", "{name: arrays, file: own.npz, channels: last}")
