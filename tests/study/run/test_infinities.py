"""A spec whose constants and words are unusual: every later file holds them, or `plan` refuses them."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import xml.dom.minidom
from pathlib import Path
from typing import Any

import pytest

from study.home import Home
from study.spec.read import parse_stored
from tests.command import answer, study
from tests.conftest import TINY
from tests.making import every_format

SPEC = (
    TINY.replace("a study of seconds", '"smiling 🙂, <b>, | and\\nlines"')
    .replace(
        "unit_norm]", "{name: clip_norm, max_norm: .inf}, {factory: 'odd:clip', text: \"a$\\\\frac$b <&\"}]"
    )
    .replace("seeds: 3", "seeds: 1")
    .replace("[1e-3, 1e-2, 30]", "[1e-2]")
    .replace("steps: 20", "steps: 2")
    + "workers: {checkpoint_every: .inf}\n"
)
ODD = """
from trainers import make_transform

def clip(text, more=()):
    return make_transform('clip_norm')
"""


def strict(text: str) -> Any:
    """JSON without Python's own words for what is not finite."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_infinite_constants_reach_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An infinite constant and words with dollars and smileys train, are exported, synced and read again.

    A ledger from before, which remembers `Infinity`, is synced too.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.py").write_text(ODD)
    (tmp_path / "s.yaml").write_text(SPEC)
    with every_format():
        assert study("launch", "s.yaml", "--home", "home", "--here") == 0
    exports = Home(Path("home")).exports("tiny")
    written = strict((exports / "provenance.json").read_text())["spec"]
    assert written["transforms"][1] == {"name": "clip_norm", "max_norm": math.inf}
    assert written["workers"]["checkpoint_every"] == math.inf
    assert written["description"] == "smiling 🙂, <b>, | and\nlines"
    with (exports / "cells.csv").open() as rows:
        constants = [strict(row["constants"]) for row in csv.DictReader(rows)]
    assert constants.count({"max_norm": math.inf}) == 2
    (picture,) = (exports / "heatmaps").glob("*.svg")
    xml.dom.minidom.parse(str(picture))
    # The name above a panel goes on in a second line.
    assert all(part in picture.read_text() for part in ("text='a$\\\\frac", "$b &lt;&amp;"))
    capsys.readouterr()
    assert study("analyse", "s.yaml", "--home", "home", "--json") == 0
    strict(capsys.readouterr().out)
    with sqlite3.connect(Home(Path("home")).ledger) as ledger:
        ((text,),) = ledger.execute("SELECT spec FROM studies").fetchall()
        before = text.replace("1e999", "Infinity")
        ledger.execute("UPDATE studies SET spec = ?", (before,))
    assert before != text
    assert parse_stored(text, "tiny") == parse_stored(before, "tiny")
    code, shown = answer(capsys, "sync", "--home", "home")
    assert code == 0
    assert [one["stored"] for one in shown] == [6]  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [".nan", "[1, .nan]", "-.inf", "1" + "0" * 400])
def test_numbers_that_are_none_are_refused(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """NaN is no constant, of a shipped method or of one's own, and an infinite one must be in range."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(TINY.replace("unit_norm", f"{{name: clip_norm, max_norm: {number}}}"))
    assert study("plan", "s.yaml", "--home", "home") == 2
    assert "max_norm is " in capsys.readouterr().err
    if "nan" in number:
        (tmp_path / "odd.py").write_text(ODD)
        (tmp_path / "s.yaml").write_text(
            TINY.replace("unit_norm", f"{{factory: 'odd:clip', text: x, more: [{number}]}}")
        )
        assert study("plan", "s.yaml", "--home", "home") == 2
        assert "more is nan, which is no number" in capsys.readouterr().err
