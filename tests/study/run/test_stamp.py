"""Files are drawn again unless everything that they were made from is what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from study.analysis import Analysis
from study.drawn import NAME, UNTOLD, Stamp, noted
from study.home import Home
from study.run import stamp
from study.run.drawing import Drawing
from study.run.stamp import digest_of, stamped
from study.spec.read import read_spec
from study.stored import read
from tests.fabricated import fabricate, hill


@pytest.fixture
def analysis(tiny: Path, tmp_path: Path) -> Analysis:
    home = tmp_path / "home"
    fabricate(tiny, home, hill)
    return read(read_spec(str(tiny)), Home(home))


def test_the_same_cells_and_code_are_known_again(analysis: Analysis, tiny: Path, tmp_path: Path) -> None:
    """Read again from the ledger, the same study has the same digest."""
    again = read(read_spec(str(tiny)), Home(tmp_path / "home"))
    assert again is not analysis
    assert digest_of(again) == digest_of(analysis) is not None


def test_whatever_files_are_made_from_makes_them_new(
    analysis: Analysis, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another number of one cell, a cell less, another run, threshold, source or version: another digest."""
    before, key = digest_of(analysis), analysis.plan.keys[7]
    record = analysis.stored[key]
    edited = tiny.with_name("edited.yaml")
    edited.write_text(tiny.read_text() + "region: {trained: 0.2}\n")
    plan = replace(analysis.plan, spec=read_spec(str(edited)))
    others = [
        replace(analysis, stored={**analysis.stored, key: replace(record, metric_final=0.123456)}),
        replace(analysis, stored={**analysis.stored, key: replace(record, dynamics='{"step": []}')}),
        replace(analysis, stored={one: found for one, found in analysis.stored.items() if one != key}),
        replace(analysis, runs={key: "another"}),
        replace(analysis, plan=plan),
    ]
    found = {before, *map(digest_of, others)}
    for name in ("_source", "_versions"):
        with monkeypatch.context() as patch:
            patch.setattr(stamp, name, lambda: [b"another"])
            found.add(digest_of(analysis))
    assert len(found) == 8


def test_every_file_of_this_package_counts() -> None:
    """A change of what measures, judges or draws is seen, wherever it stands."""
    names = [name.decode() for name in list(stamp._source())[::2]]
    wanted = {"study/measures/regions.py", "study/claims/spikes.py", "study/report/pictures/heatmaps.py"}
    assert wanted | {"trainers/__init__.py", "tracking/record.py", "study/report/page/page.js"} <= set(names)


def test_what_lies_on_the_path_beside_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray adds packages of its own to Python's path: files drawn after it are those drawn without it."""
    before = list(stamp._versions())
    assert any(line.startswith(b"matplotlib ") for line in before)
    assert any(line.startswith(b"pillow ") for line in before)
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other-1.0.dist-info" / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(stamp._versions()) == before


def test_where_code_of_the_users_own_has_a_part_nothing_is_known(analysis: Analysis) -> None:
    """Claims of the user's own may read any file; and damaged records are left out of what is seen."""
    spec = analysis.plan.spec.model_copy(update={"claims": ("mine:claim",)})
    assert digest_of(replace(analysis, plan=replace(analysis.plan, spec=spec))) is None
    assert digest_of(replace(analysis, damaged={"key": "why"})) is None


def test_files_from_code_of_the_users_own_are_listed_and_drawn_again(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`study check` has their hashes too, and no launch takes them for what it would draw."""
    drawn = []

    def export(_: Analysis, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "claims.md").write_text(f"written {len(drawn)}")
        drawn.append(folder)
        return [folder / "claims.md"]

    monkeypatch.setattr("study.report.export.export", export)
    monkeypatch.setattr("study.run.optuna_file.write", lambda path, studies: None)
    spec = analysis.plan.spec.model_copy(update={"claims": ("mine:claim",)})
    own = replace(analysis, plan=replace(analysis.plan, spec=spec))
    for number in (1, 2):
        drawing = Drawing(own, Home(tmp_path / "home"), Console(quiet=True))
        drawing.write(again=False)
        assert (len(drawn), drawing.kept) == (number, False)
        stamp = noted(drawn[0])
        assert stamp is not None
        assert (stamp.made_from, stamp.holds(drawn[0])) == (UNTOLD, True)


def test_a_stamp_holds_for_files_that_are_whole(tmp_path: Path) -> None:
    """One byte more, or a file less, and it does not hold; nor does one that cannot be read."""
    one, two = tmp_path / "one.csv", tmp_path / "pictures" / "two.png"
    two.parent.mkdir()
    for path in (one, two):
        path.write_text("whole")
    stamped("digest", tmp_path, [one, two]).note(tmp_path)
    found = noted(tmp_path)
    assert found is not None
    assert (found.made_from, list(found.files), found.run) == ("digest", ["one.csv", "pictures/two.png"], "")
    assert found.holds(tmp_path)
    two.write_text("whole.")
    assert not found.holds(tmp_path)
    two.unlink()
    assert not found.holds(tmp_path)
    assert not Stamp("digest", {}).holds(tmp_path)
    for text in ("", "[]", '{"made_from": "digest", "files": 3, "run": ""}', '{"made_from": "digest"}'):
        (tmp_path / NAME).write_text(text)
        assert noted(tmp_path) is None
