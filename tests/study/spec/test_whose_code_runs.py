"""Whose code runs: that of modules beside the spec and of allowed packages, in a launch, and no other."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.errors import UserError
from study.home import Home
from study.spec.factory import factory
from study.spec.model import StudySpec
from study.spec.read import read_spec
from study.spec.user_modules import ALLOW, OwnCode
from tests.command import answer, study
from tests.conftest import TINY
from tests.pages import OF_STUDY, shown_files

NOTED = "from pathlib import Path\nPath({place!r}).write_text('ran')\n"
"""The first lines of a module that leaves a mark when it is imported."""
CLIP = """
from trainers import make_transform

def clip(at=1.0):
    return make_transform('clip_norm', max_norm=at)
"""
ANYTHING = """
class Anything:
    def __getattr__(self, name):
        return True

    def __call__(self):
        1 / 0

clip = Anything()
"""
PARTIAL = f"from functools import partial\n{CLIP}\nclip = partial(clip)\n"
OWN = shown_files(*OF_STUDY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; what tests put on Python's path or import goes again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def written(place: Path, transform: str, **more: str) -> str:
    """A spec file with one transform of the user's own."""
    text = TINY.replace("[none, unit_norm]", f"[none, {transform}]")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text + "".join(f"{key}: {value}\n" for key, value in more.items()))
    return str(place)


def launched(path: str, **options: object) -> StudySpec:
    return read_spec(path, runs=True, **options)  # type: ignore[arg-type]


def test_reading_a_home_runs_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a stored text or a spec names is not run by reading: neither a package's callable nor own modules.

    The cells are known all the same, by the hashes that the ledger notes. In homes from before it noted any
    they are known by the files of the current folder. Own claims are judged for who gives the spec's file.
    """
    marks = {name: folder / f"{name}.ran" for name in ("my_methods", "my_workloads", "my_claims")}
    for name, mark in marks.items():
        (folder / f"{name}.py").write_text(NOTED.format(place=str(mark)) + OWN[f"{name}.py"])
    text = OWN["own.yaml"].replace("seeds: 3", "seeds: 1").replace("high: 10", "high: 1e-2")
    (folder / "own.yaml").write_text(text.replace("steps: 30", "steps: 2"))
    assert study("launch", "own.yaml", "--home", "home", "--here") == 0
    for name, mark in marks.items():
        del sys.modules[name]
        mark.unlink()
    place = folder / "elsewhere"
    place.mkdir()
    pwned = place / "pwned"
    shell = {"factory": "yaml:unsafe_load", "stream": f"!!python/object/apply:os.mkdir ['{pwned}']"}
    with sqlite3.connect(Home(Path("home")).ledger) as ledger:
        ((stored,),) = ledger.execute("SELECT spec FROM studies").fetchall()
        theirs = json.loads(stored) | {
            "name": "theirs",
            "transforms": [shell],
            "claims": ["yaml:unsafe_load"],
        }
        ledger.execute("INSERT INTO studies VALUES ('theirs', ?, 0)", (json.dumps(theirs),))

    def synced() -> dict[str, int]:
        _, shown = answer(capsys, "sync", "--home", str(folder / "home"))
        return {one["study"]: one["stored"] for one in shown}  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert synced() == {"own": 8, "theirs": 0}
    _, counts = answer(capsys, "status", "own.yaml", "--home", "home")
    assert counts["pending"] == 0  # type: ignore[index]
    with sqlite3.connect(Home(Path("home")).ledger) as ledger:
        noted = json.loads(stored)
        assert set(noted.pop("own_code")) == {"my_methods:soft_clip", "my_workloads:sine"}
        ledger.execute("UPDATE studies SET spec = ? WHERE name = 'own'", (json.dumps(noted),))
    assert synced() == {"own": 8, "theirs": 0}
    study("figures", "own.yaml", "--home", "home")
    assert not pwned.exists()
    assert not any(mark.exists() for mark in marks.values())
    capsys.readouterr()
    study("analyse", "own.yaml", "--home", "home")
    assert "my_claims:diverges_less" in capsys.readouterr().out
    assert [name for name, mark in marks.items() if mark.exists()] == ["my_claims"]


@pytest.mark.parametrize(
    ("module", "text", "words"),
    [
        ("mine", CLIP, None),
        ("mine", f"{PARTIAL}\nfrom study import factory\nclip = factory(clip)\n", None),
        ("mine", "from other import clip", "write there `from study import factory` and `clip = factory("),
        ("mine", "from yaml import unsafe_load as clip", "not a function that mine.py itself defines"),
        ("mine", PARTIAL, "not a function that mine.py itself defines"),
        ("mine", ANYTHING, "not a function that mine.py itself defines"),
        ("yaml", CLIP, "'yaml' beside the spec has the name of an installed package; rename the file"),
        ("study.run", None, "'study' is a part of Stability Study; wanted a module of yours"),
        ("absent", None, "there is no module 'absent' beside the spec"),
        ("other", None, "'other' does not lie beside the spec, in"),
        ("numpy.random", None, "name its package with --allow numpy if you trust it"),
    ],
)
def test_what_a_spec_may_call(module: str, text: str | None, words: str | None, folder: Path) -> None:
    """What a module beside the spec defines, or declares to be a factory; each refusal is one line."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other.py").write_text(CLIP)
    sys.path.insert(0, str(elsewhere))
    if text is not None:
        (folder / "specs").mkdir()
        (folder / "specs" / f"{module}.py").write_text(text)
    path = written(folder / "specs" / "s.yaml", f"{{factory: '{module}:clip'}}")
    if words is None:
        assert launched(path).transforms[1].technical_name == "mine:clip"
        return
    with pytest.raises(UserError, match=r"transforms\[1\]") as refused:
        launched(path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("reference", ["numpy:sqrt", "numpy.linalg:norm", "torch.nn.functional:relu"])
def test_nobody_is_told_to_edit_an_installed_package(reference: str, folder: Path) -> None:
    """Its functions are refused with the way that works: a function of the user's own that calls them."""
    spec = written(folder / "s.yaml", f"{{factory: '{reference}'}}")
    name = reference.partition(":")[2]
    for allow, words in (
        ([reference.partition(".")[0].partition(":")[0]], f"as in {{factory: 'mine:{name}'}}"),
        ([], "write a function of your own there that calls it, or name its package"),
    ):
        with pytest.raises(UserError) as refused:
            launched(spec, allow=allow)
        assert words in str(refused.value)
        assert "of your own" in str(refused.value)
        assert ".py" not in str(refused.value)


def test_a_package_is_allowed_by_name_and_says_what_is_a_factory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a package that the user names only decorated functions are called; the environment may name it."""
    package = folder / "path" / "pack"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "clips.py").write_text(
        "from study import factory\n" + CLIP + "good = factory(lambda: clip())\n"
    )
    sys.path.insert(0, str(package.parent))
    plain, good = (
        written(folder / f"{name}.yaml", f"{{factory: 'pack.clips:{name}'}}") for name in ("clip", "good")
    )
    with monkeypatch.context() as patch:
        # To be refused takes no look at all files of the package, which may have thousands.
        patch.setattr("study.spec.user_modules.source_hash", lambda *_: pytest.fail("was hashed"))
        with pytest.raises(UserError, match="does not say that it is a factory"):
            launched(plain, allow=["pack"])
    assert study("plan", good) == 2
    assert "does not lie beside the spec, in the current folder" in capsys.readouterr().err
    assert study("plan", good, "--allow", "json", "--allow", "pack") == 0
    assert study("plan", plain, "--allow", "pack") == 2
    assert (
        "in clips.py, write `from study import factory` and, above its def, `@factory`"
        in capsys.readouterr().err
    )
    with pytest.raises(UserError, match="does not lie beside"):
        launched(good, allow=["pac", "pack.clips.inner"])
    monkeypatch.setenv(ALLOW, "json pack")
    assert launched(good).transforms[1].folder == ""
    assert study("plan", good) == 0


def test_modules_lie_beside_the_spec_and_not_in_the_current_folder(folder: Path) -> None:
    """The current folder's module of the same name is not taken, whichever of two specs is read first."""
    for name, at in (("one", 1.0), ("two", 2.0)):
        (folder / name).mkdir()
        (folder / name / "mine.py").write_text(CLIP.replace("at=1.0", f"at={at}, layers=({at},)"))
    (folder / "mine.py").write_text("1 / 0\n")
    paths = [
        written(folder / name / "s.yaml", "{factory: 'mine:clip', at: [3, 4]}") for name in ("one", "two")
    ]
    for path in (*paths, *paths):
        found, read = launched(path), read_spec(path)
        assert [one.folder for one in found.transforms[1:]] == [str(Path(path).parent)] * 2
        assert read.transforms == found.transforms
    assert launched(paths[0]).transforms[1].source != launched(paths[1]).transforms[1].source


def test_hashes_of_own_modules_stay_what_they_were(folder: Path) -> None:
    """Cells of own code keep their keys: these files had these hashes before modules were found by file."""
    for name in ("my_methods.py", "my_workloads.py"):
        (folder / name).write_text(OWN[name])
    pack = folder / "pack"
    pack.mkdir()
    (pack / "__init__.py").write_text("from pack import inner\n")
    (pack / "inner.py").write_text("from .deep import f\nimport beside\n")
    (pack / "deep.py").write_text("def f():\n    return 1\n")
    (folder / "beside.py").write_text("X = 1\n")
    code = OwnCode(str(folder))
    assert {name: code.source_of(name) for name in ("my_methods:f", "my_workloads:f", "pack.inner:f")} == {
        "my_methods:f": "0b5054e2ce74fefc",
        "my_workloads:f": "273efb7b80ce770c",
        "pack.inner:f": "0c3430bbe8cd4ed9",
    }


def test_a_package_is_parsed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of a package is wanted several times by a launch; each of its files is parsed once."""
    import ast

    (folder / "mine.py").write_text("import beside\n" + CLIP)
    (folder / "beside.py").write_text("# as large as you like\n")
    parsed: list[bytes] = []
    real = ast.parse

    def counted(content: bytes, *more: object, **other: object) -> object:
        parsed.append(content)
        return real(content, *more, **other)  # type: ignore[call-overload]

    monkeypatch.setattr("study.spec.user_source.ast.parse", counted)
    path = written(folder / "s.yaml", "{factory: 'mine:clip'}")
    for _ in range(3):
        launched(path)
    ours = [
        content for content in parsed if b"as large" in bytes(content) or b"import beside" in bytes(content)
    ]
    assert len(ours) == 2


def test_what_cannot_be_marked_is_said() -> None:
    """A function that is built into Python cannot be declared; the error says what to write instead."""
    with pytest.raises(TypeError, match="write a function of your own that calls it"):
        factory(print)
