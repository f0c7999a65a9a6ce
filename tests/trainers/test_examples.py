"""The examples in docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import trainers
from trainers import TRANSFORMS, attach, make_transform, train_fused

MODULES = [
    module.name
    for module in pkgutil.walk_packages(trainers.__path__, "trainers.")
    if not module.name.endswith("__main__")
]
FIRST = {"make_transform": make_transform, "train_fused": train_fused, "attach": attach}
"""What users call first."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    """Every example of a module gives the output that is printed below it."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", [*FIRST, *TRANSFORMS])
def test_what_users_call_first_has_an_example(name: str) -> None:
    """A transform, and each of the functions that users meet first, shows a call and its result."""
    function = FIRST.get(name) or TRANSFORMS[name]
    examples = doctest.DocTestParser().get_examples(function.__doc__ or "")
    assert any(example.want for example in examples)
