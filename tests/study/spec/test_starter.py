"""`study specs NAME` and `study new`: a spec to look at, and one to start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.spec.names import KINDS, known
from study.spec.read import read_spec, shipped
from study.spec.starter import TRANSFORMS, starter
from tests.command import answer, study


def test_a_shipped_spec_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`study specs NAME` prints the file as it is, so that it can be redirected to one of one's own."""
    assert study("specs", "quickstart") == 0
    assert capsys.readouterr().out == shipped()["quickstart"]
    assert answer(capsys, "specs", "spikes") == (0, {"name": "spikes", "text": shipped()["spikes"]})
    assert study("specs", "quickstrat") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "not a shipped spec" in said.err
    assert "did you mean 'quickstart'?" in said.err


@pytest.mark.parametrize("workload", known("workload"))
def test_a_new_spec_can_be_planned(
    workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every workload `study new` writes a commented spec that `study plan` takes as it stands."""
    monkeypatch.chdir(tmp_path)
    assert study("new", "mine.yaml", "--workload", workload) == 0
    assert "study plan mine.yaml" in capsys.readouterr().out
    text = (tmp_path / "mine.yaml").read_text()
    lines = text.splitlines()
    assert sum(line.startswith("#") for line in lines) >= 10
    assert max(map(len, lines)) <= 110
    code, planned = answer(capsys, "plan", "mine.yaml")
    assert isinstance(planned, dict)
    assert (code, planned["study"], planned["transforms"]) == (0, "mine", list(TRANSFORMS))
    assert planned["workloads"][0].startswith(workload)
    assert os.listdir(tmp_path) == ["mine.yaml"]


def test_the_reader_chooses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Workload, model, optimizer and transforms are the reader's; constants stand as in a spec."""
    file = tmp_path / "My Study.yaml"
    words = ("--workload", "synthetic", "--model", "{name: mlp, hidden: [8]}", "--optimizer", "sgd")
    chosen = ("--transform", "agc", "--transform", "{name: zclip, alpha: [0.9, 1]}")
    assert study("new", str(file), *words, *chosen) == 0
    spec = read_spec(str(file))
    assert (spec.name, spec.workload[0].name, spec.optimizer[0].name) == ("my-study", "synthetic", "sgd")
    assert spec.model[0].technical_name == "mlp(hidden=(8,))"
    assert [one.technical_name for one in spec.transforms] == ["agc", "zclip(alpha=0.9)", "zclip(alpha=1)"]
    assert "baseline `none`, which is not here" in file.read_text()


def test_own_code_can_be_chosen(tmp_path: Path) -> None:
    """A name with a colon is a factory of the reader's own."""
    text = starter(tmp_path / "a.yaml", "my_data:sine", None, None, ["none", "my_methods:soft"])
    assert 'workload: {factory: "my_data:sine"}' in text
    assert '  - {factory: "my_methods:soft"}' in text
    assert "baseline" not in text


OWN = """
from trainers import Transform


def soft(bound=1.0):
    return Transform(init=lambda params: {}, update=lambda grads, state, params: (grads, state))
"""


@pytest.mark.parametrize("chosen", ["my_soft:soft", '{factory: "my_soft:soft", bound: [0.5, 1]}'])
def test_own_code_beside_the_new_file_is_found(
    chosen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module is looked for in the folder of the file that is written, not in the current one."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "my_soft.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    words = ("--transform", "none", "--transform", chosen)
    assert study("new", "mine.yaml", *words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "there is no module 'my_soft' beside the spec, in the current folder" in said
    assert not (tmp_path / "mine.yaml").exists()
    assert study("new", "specs/mine.yaml", *words) == 0
    code, planned = answer(capsys, "plan", "specs/mine.yaml")
    assert isinstance(planned, dict)
    assert (code, planned["transforms"][0]) == (0, "none")
    assert all("soft" in one for one in planned["transforms"][1:])


def test_every_name_is_listed(tmp_path: Path) -> None:
    """The comments name everything that may be chosen."""
    text = starter(tmp_path / "a.yaml", "digits", None, None, [])
    words = set(text.replace(",", " ").split())
    for kind in KINDS:
        assert set(known(kind)) <= words


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays as it is, byte by byte, also one that is a broken link."""
    file, link = tmp_path / "mine.yaml", tmp_path / "link.yaml"
    file.write_text("mine")
    link.symlink_to(tmp_path / "gone.yaml")
    for there in (file, link):
        assert study("new", str(there)) == 2
        assert "is there already, and stays as it is" in " ".join(capsys.readouterr().err.split())
    assert file.read_text() == "mine"
    assert not (tmp_path / "gone.yaml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("quickstart",), "wanted the name of a new YAML file, such as quickstart.yaml"),
        (("mine.txt",), "such as mine.yaml"),
        (("no/such/mine.yaml",), "cannot be written (No such file or directory)"),
        (("mine.yaml", "--workload", "digit"), "unknown workload 'digit'"),
        (("mine.yaml", "--transform", "none", "--transform", "clipnorm"), "did you mean 'clip_norm'?"),
        (("mine.yaml", "--transform", "none # x"), "unknown transform 'none # x'"),
        (("mine.yaml", "--transform", "none\nseeds: 9"), "found 'none\\nseeds: 9'"),
        (("mine.yaml", "--transform", "{name: none}\nseeds: 9"), "not valid YAML"),
        (("mine.yaml", "--model", "{name: mlp, hiden: [8]}"), "has no constant 'hiden'"),
    ],
)
def test_a_choice_that_is_none_writes_nothing(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong name of the file or of a method ends with exit code 2 in words, and no file."""
    monkeypatch.chdir(tmp_path)
    assert study("new", *words) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
