"""Where an export may be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.errors import UserError
from study.file_names import EXPORTS
from study.report.export import refuse_other_study
from tests.command import study
from tests.fabricated import WIDE, fabricate, hill


@pytest.mark.usefixtures("read_once")
def test_another_studys_export_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with the export of another study is refused, untouched; `--force` replaces it."""
    home, out = tmp_path / "home", tmp_path / "out"
    for name in ("one", "two"):
        spec = tmp_path / f"{name}.yaml"
        small = WIDE.replace("[none, unit_norm, autoscale]", "[none]").replace("name: tiny", f"name: {name}")
        spec.write_text(small)
        fabricate(spec, home, hill)
    one, two = (("export", str(tmp_path / f"{name}.yaml"), "--home", str(home)) for name in ("one", "two"))
    assert study(*one, "--out", str(out)) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert study(*two, "--out", str(out)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "holds the export of the study 'one', which that of 'two' would replace" in said
    assert "--force" in said
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert study(*one, "--out", str(out)) == 0
    assert study(*two, "--out", str(out), "--force") == 0
    assert json.loads((out / "provenance.json").read_text())["spec"]["name"] == "two"


@pytest.mark.parametrize("content", [None, "", "[]", '{"spec": 1}'])
def test_an_export_of_unknown_owner_stays(content: str | None, tmp_path: Path) -> None:
    """Files that are named as an export's are not replaced where nothing says whose they are."""
    (tmp_path / EXPORTS[0]).write_bytes(b"mine")
    if content is not None:
        (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(UserError, match="of an unknown study"):
        refuse_other_study(tmp_path, "one")


def test_other_files_are_no_export(tmp_path: Path) -> None:
    """A folder with anything else in it is free, as one that is not there."""
    (tmp_path / "notes.md").write_text("mine")
    refuse_other_study(tmp_path, "one")
    refuse_other_study(tmp_path / "none", "one")
