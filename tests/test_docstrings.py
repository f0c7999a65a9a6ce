"""What docstrings owe to their readers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.pages import ROOT

FOLDERS = ("search_spaces", "trainers", "tracking", "study")


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of a module, class or function, with where it stands."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                    continue
                if text := ast.get_docstring(node):
                    yield f"{path.relative_to(ROOT)}:{getattr(node, 'name', '')}", text


def test_whoever_names_a_reference_says_what_differs() -> None:
    """Beside a reference stands what differs from it, be it nothing; `Reference: none` has none to differ."""
    found = [(place, text) for place, text in docstrings() if "Reference:" in text]
    assert len(found) > 90
    silent = [
        place
        for place, text in found
        if "Reference: none" not in text and "Differs from the reference:" not in text
    ]
    assert not silent
