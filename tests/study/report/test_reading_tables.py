"""The tables of reading verbs say what they count, and can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.errors import UserError
from study.spec.read import parse_spec
from tests.command import study
from tests.conftest import TINY
from tests.fabricated import WIDE, fabricate, hill


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    study(*words)
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _no_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """fANOVA's forests and pictures cost more than all the rest, and no table here is about them."""
    monkeypatch.setattr("study.analysis.importances", lambda *_, **__: [])
    monkeypatch.setattr("study.report.pictures.difference_map.save_difference", lambda *_: [])


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options of a study with two settings."""
    folder = tmp_path_factory.mktemp("several")
    spec = folder / "tiny.yaml"
    spec.write_text(WIDE + "conditions: {loss_scale: [0.01, 1]}\n")
    fabricate(spec, folder / "home", hill)
    return str(spec), "--home", str(folder / "home")


@pytest.mark.usefixtures("read_once")
def test_departed_cells_are_called_so(several: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """No column counts cells that left late as diverged: it is called departed, and says how many did."""
    said = printed(capsys, "analyse", *several)
    table = said[said.index("Regions of tiny") : said.index("Claims of tiny")]
    head = next(line for line in table.splitlines() if "transform" in line)
    assert "departed" in head
    assert "diverged" not in head
    assert " diverged, the others were trained to the end" in " ".join(table.split())


@pytest.mark.usefixtures("read_once")
def test_claims_of_several_settings_have_room(
    several: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings head blocks of claims, so that at 120 columns estimates stay on one line."""
    said = printed(capsys, "analyse", *several)
    table = said[said.index("Claims of tiny") :]
    assert "setting" not in table.splitlines()[2]
    lines = [line.strip() for line in table.splitlines()]
    for setting in ("digits/mlp · adamw", "digits/mlp · adamw · loss_scale=1"):
        assert lines.count(setting) == 1
    rows = [line for line in lines if line.startswith("autoscale-accuracy") and "] accuracy, against" in line]
    assert len(rows) == 2
    assert max(map(len, table[: table.index("What it would take")].splitlines())) <= 120


@pytest.mark.usefixtures("read_once")
def test_a_comparison_shows_what_is_decidable(
    several: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Differences that exclude 0 come, the clearest first; others are named, and `--all` has them."""
    place = ("unit_norm", "none", *several[1:], "--out", str(Path(several[2]).parent / "maps"))
    few = printed(capsys, "compare", several[0], *place)
    every = printed(capsys, "compare", several[0], *place, "--all")
    assert "Differences that exclude 0" in few
    assert "--all shows their numbers" in few
    assert "Differences that include 0" not in few
    assert "Differences that include 0" in every
    assert "by chance" in few
    shown = few[few.index("Differences that exclude 0") : few.index("not decidable")]
    assert "divergence share" in shown


def test_one_misspelt_key_is_one_error() -> None:
    """A key that is nearly right is refused once; it is not missing as well. One that is absent is."""
    with pytest.raises(UserError) as found:
        parse_spec(TINY.replace("transforms:", "transfroms:"))
    assert len(str(found.value).splitlines()) == 1
    assert "did you mean 'transforms'?" in str(found.value)
    with pytest.raises(UserError) as found:
        parse_spec(TINY.replace("transforms: [none, unit_norm]\n", ""))
    assert "missing" in str(found.value)
    with pytest.raises(UserError) as found:
        parse_spec(TINY.replace("transforms: [none, unit_norm]\n", "zzz: 1\n"))
    assert len(str(found.value).splitlines()) == 2


@pytest.fixture(scope="module")
def bracketed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options of a study whose labels look like rich's markup."""
    folder = tmp_path_factory.mktemp("bracketed")
    spec = folder / "tiny.yaml"
    text = TINY.replace("workload: digits", "workload: {name: digits, label: 'data [bold]'}")
    text = text.replace("model: mlp", "model: {name: mlp, label: 'net [red]'}")
    spec.write_text(text.replace("[none, unit_norm]", "[none, {name: unit_norm, label: 'unit [/d]'}]"))
    fabricate(spec, folder / "home", hill)
    return str(spec), "--home", str(folder / "home")


@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("plan", ()),
        ("analyse", ("--measures", "--specification")),
        ("compare", ("none", "unit [/d]")),
        ("verdicts", ()),
        ("table", ()),
        ("twins", ("--replicates", "2")),
        ("watch", ()),
    ],
)
def test_brackets_of_labels_are_words(
    verb: str, more: tuple[str, ...], bracketed: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A label may look like markup: no verb obeys it, drops it or ends with it."""
    spec, *options = bracketed
    said = printed(capsys, verb, spec, *more, *options)
    assert ("unit [/d]" in said) == (verb in ("analyse", "compare", "watch"))
