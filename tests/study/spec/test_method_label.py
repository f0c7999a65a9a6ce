"""Labels of methods: what people read, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.errors import UserError
from study.plan.cells import make_plan
from study.spec.model import StudySpec
from study.spec.read import marks, parse_spec, parse_stored
from tests.command import answer, study
from tests.conftest import TINY
from tests.fabricated import fabricate, hill

LABELLED = (
    "[none, {name: clip_norm, max_norm: [0.5, 1], label: Clip}, {name: unit_norm, label: Unit <b> $x$}]"
)


def spec_of(transforms: str) -> StudySpec:
    return parse_spec(TINY.replace("[none, unit_norm]", transforms))


def test_a_label_is_shown_and_is_in_no_key() -> None:
    """Keys, meanings and marks are those of the same spec without labels; names stay technical."""
    spec, bare = spec_of(LABELLED), spec_of("[none, {name: clip_norm, max_norm: [0.5, 1]}, unit_norm]")
    titles = [one.title for one in spec.transforms]
    assert titles == ["none", "Clip(max_norm=0.5)", "Clip(max_norm=1)", "Unit <b> $x$"]
    assert [one.technical_name for one in spec.transforms] == [one.technical_name for one in bare.transforms]
    for prints in ({}, {"digits/mlp": "1"}):
        assert make_plan(spec, prints).keys == make_plan(bare, prints).keys
        assert make_plan(spec, prints).meanings == make_plan(bare, prints).meanings
    # So that a launch with another label needs no factory to be asked again.
    assert marks(spec.canonical()) == marks(bare.canonical())


def test_a_ledger_remembers_labels() -> None:
    """The stored form of a spec reads as the spec itself, labels of variants too."""
    spec = spec_of(LABELLED)
    again = parse_stored(spec.remembered(), "x")
    assert [one.title for one in again.transforms] == [one.title for one in spec.transforms]
    assert again.canonical() == spec.canonical()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("''", "found ''"),
        ("5", "found 5"),
        ("null", "found None"),
        ("[a, b]", r"found \['a', 'b'\]"),
        ('"a\\nb"', "cannot be printed"),
        ("A" * 41, "found 41 characters"),
        ("none", "label 'none' is the name of another transform"),
        ("Clip", "label 'Clip' appears at clip_norm and unit_norm"),
    ],
)
def test_what_is_no_label_is_refused(label: str, said: str) -> None:
    """Another kind of value, a long or empty text, and a name that somebody else has."""
    with pytest.raises(UserError, match=said):
        spec_of(f"[none, {{name: clip_norm, label: Clip}}, {{name: unit_norm, label: {label}}}]")


def test_settings_are_shown_by_labels_of_their_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two workloads of one kind, told apart by labels in tables; keys, cells and JSON keep the names."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    parts = "[{name: synthetic, seed: 1}, {name: synthetic, seed: 2}]", "{name: mlp, hidden: [8]}"
    text = TINY.replace("workload: digits", f"workload: {parts[0]}").replace(
        "model: mlp", f"model: {parts[1]}"
    )
    spec.write_text(text)
    fabricate(spec, home, hill)
    shown = text.replace("seed: 1}", "seed: 1, label: First}").replace("seed: 2}", "seed: 2, label: Other}")
    shown = shown.replace("hidden: [8]}", "hidden: [8], label: Small}")
    assert make_plan(parse_spec(shown), {}).keys == make_plan(parse_spec(text), {}).keys
    spec.write_text(shown)
    where = (str(spec), "--home", str(home))
    assert study("analyse", *where) == 0
    said = capsys.readouterr().out
    assert "First/Small · adamw" in said
    assert "hidden=" not in said
    found = answer(capsys, "analyse", *where)[1]
    named = "synthetic(seed=2)/mlp(hidden=(8,))"
    assert {entry["workload"] for entry in found["regions"]} == {named.replace("2", "1"), named}
    assert {entry["workload"] for entry in found["best"]} == {named.replace("2", "1"), named}
    with pytest.raises(UserError, match="found 'a/b', with a /"):
        parse_spec(shown.replace("First", "a/b"))
    with pytest.raises(UserError, match="label 'Other' appears at"):
        parse_spec(shown.replace("First", "Other").replace("name: synthetic, seed: 2", "name: digits"))


def test_commands_show_labels_and_json_keeps_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label that is added later finds all cells, is in tables, and is the last key of JSON."""
    spec, home = tmp_path / "s.yaml", tmp_path / "home"
    spec.write_text(TINY)
    fabricate(spec, home, hill)
    spec.write_text(TINY.replace("unit_norm", "{name: unit_norm, label: Unit Norm}"))
    where = (str(spec), "--home", str(home))
    assert study("analyse", *where) == 0
    said = capsys.readouterr().out
    assert "Unit Norm" in said
    assert answer(capsys, "status", *where)[1]["pending"] == 0
    found = answer(capsys, "analyse", *where)[1]
    for entry in (found["best"][1], found["regions"][1]):
        assert (entry["transform"], entry["label"]) == ("unit_norm", "Unit Norm")
        assert list(entry)[-1] == "label"
    # A comparison takes either name.
    out = ("--out", str(tmp_path / "out"))
    assert answer(capsys, "compare", str(spec), "none", "Unit Norm", *where[1:], *out)[0] == 0
