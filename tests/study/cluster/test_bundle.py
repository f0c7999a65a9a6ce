"""What travels to a cluster: exactly the files that a spec needs, under an id that says which study it is."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from study.cluster import bundle
from study.cluster.bundle import Bundle
from study.errors import UserError
from study.spec.read import read_spec, shipped

SPEC = """
name: own.study-1
workload: digits
model: mlp
optimizer: adamw
transforms: [none, {factory: 'own:mine'}]
claims: 'rules:more'
lr: [1e-3]
weight_decay: [0]
seeds: 1
budget: {steps: 20, batch_size: 32, points: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec, modules of the user's own, and what shall stay at home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("STABILITY_STUDY_ALLOW", raising=False)
    for name, text in {
        "spec.yaml": SPEC,
        "own.py": "import torch\nimport parts.one\nfrom beside import X\ndef mine(): ...\n",
        "beside.py": "X = 1\n",
        "rules.py": "import judge\ndef more(): ...\n",
        "judge.py": "",
        "parts/__init__.py": "",
        "parts/one.py": "from . import two\n",
        "parts/two.py": "",
        "parts/three.py": "",
        "secret.py": "PASSWORD = 1\n",
        ".env": "PASSWORD=1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def bundled(source: str = "spec.yaml", *allow: str) -> Bundle:
    return bundle.bundle_of(source, read_spec(source, allow=allow), allow)


def test_the_files_that_a_spec_needs_and_no_others(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The spec, modules that it names for methods and claims, and what these import from beside them."""
    found = bundled()
    names = ("own", "beside", "rules", "judge", "parts/__init__", "parts/one", "parts/two")
    assert set(found.files) == {"files/spec.yaml", *(f"files/{name}.py" for name in names)}
    there = tmp_path_factory.mktemp("head")
    found.write(there)
    # The head reads the same study out of it.
    assert read_spec(str(there / "files" / "spec.yaml")).remembered() == read_spec("spec.yaml").remembered()
    assert (there / "files" / "spec.yaml").read_text() == SPEC
    assert (there / "files").stat().st_mode & 0o077 == 0


def test_a_study_has_one_id_and_another_study_another(folder: Path) -> None:
    """Comments, line ends and a mark of the byte order change nothing; code of methods or claims does."""
    first = bundled()
    assert first.id.startswith("study-own.study-1-")
    (folder / "spec.yaml").write_bytes(b"\xef\xbb\xbf" + f"# why{SPEC}".replace("\n", "\r\n").encode())
    assert bundled().id == first.id
    ids = {first.id}
    for name, text in (
        ("spec.yaml", SPEC.replace("steps: 20", "steps: 21")),
        ("beside.py", "X = 2\n"),
        ("judge.py", "X = 2\n"),
    ):
        (folder / name).write_text(text)
        ids.add(bundled().id)
    assert len(ids) == 4


def test_a_shipped_study_travels_as_a_file(folder: Path) -> None:
    """A file of its name changes nothing."""
    (folder / "quickstart").write_text(SPEC)
    found = bundled("quickstart")
    assert (found.study, found.files) == ("quickstart", {"files/spec.yaml": shipped()["quickstart"].encode()})


def test_a_module_that_is_too_large_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the file, its size and the limit."""
    monkeypatch.setattr(bundle, "MOST_BYTES", 1000)
    (folder / "beside.py").write_text("X = 1\n" + "#" * 2000)
    with pytest.raises(UserError, match=r"beside.py: has 2,006 bytes; .* at most 1,000"):
        bundled()


def test_two_files_of_one_name(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Modules of two folders with a file of the same name cannot both be sent."""
    other = tmp_path_factory.mktemp("other")
    (other / "elsewhere.py").write_text("import beside\ndef theirs(): ...\n")
    (other / "beside.py").write_text("X = 3\n")
    (folder / "spec.yaml").write_text(
        SPEC.replace("'own:mine'}", "'own:mine'}, {factory: 'elsewhere:theirs'}")
    )
    sys.path.append(str(other))
    with pytest.raises(UserError, match=r"elsewhere:theirs: .* both have beside.py; .* rename one"):
        bundled("spec.yaml", "elsewhere")
    (other / "beside.py").write_text("X = 1\n")
    assert "files/elsewhere.py" in bundled("spec.yaml", "elsewhere").files


def test_an_installed_package_stays_and_is_allowed_there(folder: Path) -> None:
    """Its files do not travel; the command on the head may name it, and so may one that is pasted here."""
    (folder / "spec.yaml").write_text(SPEC.replace("'own:mine'", "'packaging.version:parse'"))
    found = bundled("spec.yaml", "packaging")
    assert set(found.files) == {"files/spec.yaml", "files/rules.py", "files/judge.py"}
    words = shlex.split(found.command("study", "launch", address="http://h:1"))
    assert words[-5:] == ["study", "launch", "files/spec.yaml", "--allow", "packaging"]
    assert words[0] == "STABILITY_STUDY_ASKED=spec.yaml --allow packaging --cluster http://h:1"


@pytest.mark.parametrize("given", ["", "/data/studies"])
def test_a_command_is_for_the_head_alone(given: str, folder: Path) -> None:
    """A file name is one word there, the head asks no other cluster, and its home outlives the copy."""
    odd = folder / "my 'spec' $(touch harm).yaml"
    odd.write_text(SPEC)
    command = bundled(str(odd)).command("printenv", address="http://h:1").removesuffix(" files/spec.yaml")
    done = subprocess.run(
        command,
        shell=True,
        env={
            "PATH": "/bin:/usr/bin",
            "HOME": "/h",
            "STABILITY_STUDY_CLUSTER": "http://x:1",
            "STABILITY_STUDY_HOME": given,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert shlex.split(found["STABILITY_STUDY_ASKED"]) == [str(odd), "--cluster", "http://h:1"]
    assert found["STABILITY_STUDY_CLUSTER"] == ""
    assert found["STABILITY_STUDY_HOME"] == (given or "/h/stability-study-home")
    assert not (folder / "harm").exists()


def test_a_function_or_a_command_travels_with_its_files(folder: Path) -> None:
    """The modules of a function, and the files that a command names or declares, lie beside the copy."""
    told = "metric: score, direction: max, untrained: 0, paired: true"
    lines = [line for line in SPEC.splitlines() if not line.startswith(("model", "optimizer", "claims"))]
    text = "\n".join(lines).replace("[none, {factory: 'own:mine'}]", "[none]")
    (folder / "spec.yaml").write_text(text.replace("digits", f"{{function: 'own:mine', {told}}}"))
    spec = read_spec("spec.yaml", runs=False)
    parts = ["own.py", "beside.py", *(f"parts/{name}.py" for name in ("__init__", "one", "two"))]
    assert sorted(bundle.bundle_of("spec.yaml", spec, ()).files) == sorted(
        ["files/spec.yaml", *(f"files/{name}" for name in parts)]
    )
    command = f"{{command: [python, own.py, '{{lr}}'], inputs: [parts/two.py], {told}}}"
    (folder / "spec.yaml").write_text(text.replace("digits", command))
    spec = read_spec("spec.yaml", runs=False)
    sent = bundle.bundle_of("spec.yaml", spec, ())
    assert sorted(sent.files) == ["files/own.py", "files/parts/two.py", "files/spec.yaml"]
    (folder / "parts" / "two.py").write_text("X = 2\n")
    assert bundle.bundle_of("spec.yaml", read_spec("spec.yaml", runs=False), ()).id != sent.id
    for elsewhere in ("/etc/hostname", f"../{folder.name}/own.py", "parts/../own.py"):
        (folder / "spec.yaml").write_text(text.replace("digits", command.replace("parts/two.py", elsewhere)))
        with pytest.raises(UserError, match="does not lie beside the spec"):
            bundle.bundle_of("spec.yaml", read_spec("spec.yaml", runs=False), ())
