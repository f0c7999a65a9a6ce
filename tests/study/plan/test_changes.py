"""A spec that changed under its name, and tiles that stay the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.plan.cells import make_plan, settings
from study.spec.read import parse_spec
from tests.command import answer, runs, stored, study
from tests.conftest import TINY


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the tiny study, trained in this process."""
    folder = tmp_path_factory.mktemp("changes")
    (folder / "tiny.yaml").write_text(TINY)
    assert study("launch", str(folder / "tiny.yaml"), "--home", str(folder / "home"), "--here") == 0
    return folder / "home"


REFUSED = {
    "budget.steps: stored 20, now 21": ("steps: 20", "steps: 21"),
    "model.constants: stored defaults, now hidden=[8]": ("model: mlp", "model: {name: mlp, hidden: [8]}"),
    'model.name: stored "mlp", now "convnet"': ("model: mlp", "model: convnet"),
    'optimizer.name: stored "adamw", now "sgd"': ("optimizer: adamw", "optimizer: sgd"),
    "workload.constants: stored defaults, now label_smoothing=0.1": (
        "workload: digits",
        "workload: {name: digits, label_smoothing: 0.1}",
    ),
}


@pytest.mark.parametrize(("words", "change"), REFUSED.items())
def test_another_meaning_is_refused(
    words: str, change: tuple[str, str], launched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Budget, model, optimizer or data of stored cells cannot change under their name.

    Every command exits with 2, shows the difference in the same words, and touches nothing.
    """
    spec = tmp_path / "tiny.yaml"
    spec.write_text(TINY.replace(*change))
    before, said = (stored(launched), runs(launched)), set()
    export = ["export", "--out", str(tmp_path / "out")]
    for verb, *options in (["launch", "--here"], ["plan"], ["status"], ["analyse"], export):
        assert study(verb, str(spec), *options, "--home", str(launched)) == 2
        said.add(capsys.readouterr().err)
    (one,) = said
    assert words in one
    assert "another name" in one
    assert (stored(launched), runs(launched)) == before


@pytest.mark.parametrize(
    ("change", "trained"),
    [
        (("seeds: 3", "seeds: 4"), 12),
        pytest.param(("model: mlp", "model: [mlp, {name: mlp, hidden: [8]}]"), 36, marks=pytest.mark.long),
        (("[none, unit_norm]", "[none, unit_norm, zscore]"), 18),
        pytest.param(("[1e-3, 1e-2, 30]", "[1e-3, 1e-2, 0.1, 30]"), 12, marks=pytest.mark.long),
        (("optimizer: adamw", "optimizer: [adamw, sgd]"), 36),
        (("budget:", "region: {trained: 0.2}\nworkers: {tile: 3}\nbudget:"), 0),
        (("[none, unit_norm]", "[none]"), 0),
    ],
)
def test_additions_train_what_is_missing(
    change: tuple[str, str], trained: int, launched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of seeds, values, transforms and settings that are added only their own cells are trained.

    Tolerances and workers change nothing. The plan says before how many cells and tiles that will be, and how
    many stored cells the spec does not ask for.
    """
    import re
    import shutil

    home = tmp_path / "home"
    shutil.copytree(launched, home)
    spec = tmp_path / "tiny.yaml"
    spec.write_text(TINY.replace(*change))
    where = (str(spec), "--home", str(home), "--here")
    code, planned = answer(capsys, "plan", *where)
    assert isinstance(planned, dict)
    assert (code, planned["to_train"]) == (0, trained)
    assert planned["not_asked"] == (18 if change[1] == "[none]" else 0)
    assert study("launch", *where, "--json") == 0
    printed = capsys.readouterr()
    ended = json.loads(printed.out)
    assert (ended["trained_now"], ended["pending"]) == (trained, 0)
    assert ("18 more stored cells" in printed.err) == (planned["not_asked"] == 18)
    said = re.search(r"training (\d+) cells in (\d+) tile", printed.err)
    assert bool(said) == bool(trained)
    if said:
        assert int(said[1]) == trained
        assert int(said[2]) >= planned["tiles"]
        assert int(said[2]) == planned["tiles"] or not planned["tiles_are_known"]
    # Known is what a setting had when it was first launched, as long as no tile could be larger now.
    assert planned["tiles_are_known"] == (not change[0].startswith(("model", "optimizer", "[1e-3")))


def test_cells_of_a_dropped_setting_are_told(launched: Path, tmp_path: Path) -> None:
    """Stored cells of an optimizer that the spec no longer has count as not asked for; failed ones do not."""
    from contextlib import closing

    from study.home import Home
    from study.plan.changes import not_asked
    from tracking import Ledger

    with closing(Ledger(Home(launched).ledger, create=False)) as ledger:
        prints, outcomes = ledger.fingerprints("tiny"), ledger.outcomes(ledger.meanings("tiny"))
    assert not_asked(make_plan(parse_spec(TINY), prints), outcomes) == 0
    assert not_asked(make_plan(parse_spec(TINY.replace("adamw", "sgd")), prints), outcomes) == 36
    failed = dict.fromkeys(outcomes, "failed")
    assert not_asked(make_plan(parse_spec(TINY.replace("adamw", "sgd")), prints), failed) == 0


def test_another_name_is_another_study(
    launched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The change that is refused under the old name is trained under a new one, in the same home."""
    spec = tmp_path / "tiny.yaml"
    spec.write_text(TINY.replace("steps: 20", "steps: 5").replace("name: tiny", "name: shorter"))
    code, ended = answer(capsys, "launch", str(spec), "--home", str(launched), "--here")
    assert isinstance(ended, dict)
    assert (code, ended["trained_now"]) == (0, 36)


def test_a_name_without_cells_stands_for_nothing(tmp_path: Path) -> None:
    """A study that was launched but stored nothing may still change."""
    from contextlib import closing

    from study.home import Home
    from study.plan.changes import refuse_other_meaning

    old, new = (parse_spec(TINY.replace("steps: 20", f"steps: {steps}")) for steps in (20, 21))
    home = Home(tmp_path)
    home.prepare()
    with closing(home.open_ledger()) as ledger:
        ledger.note_study("tiny", old.canonical(), make_plan(old, {}).meanings)
        refuse_other_meaning(make_plan(new, {}), ledger.meanings("tiny"))


def test_an_interrupted_study_keeps_its_tiles() -> None:
    """Whatever tiles are done, the others are those of the undisturbed study.

    They have the same cells in the same order, so the same bits and checkpoints.
    """
    plan = make_plan(parse_spec(TINY), {})
    widths = dict.fromkeys(plan.settings, 4)
    whole = plan.jobs(plan.cells, widths)
    for done in range(len(whole)):
        gone = {cell.key for cell in whole[done].tile.cells}
        assert plan.jobs(plan.missing(gone), widths) == [job for k, job in enumerate(whole) if k != done]
    torn = {whole[0].tile.cells[0].key, whole[1].tile.cells[2].key}
    rest = plan.jobs(plan.missing(torn), widths)
    assert sorted(cell.key for job in rest for cell in job.tile.cells) == sorted(
        cell.key for cell in plan.missing(torn)
    )
    assert whole[2] in rest


def test_a_stored_spec_can_be_read_again() -> None:
    """What the ledger keeps of a spec, `study sync` reads: constants, conditions and all."""
    from study.spec.read import SPECS, shipped
    from study.spec.user_modules import OwnCode

    beside = OwnCode(str(SPECS))  # of which some name modules
    for text in [
        *shipped().values(),
        TINY.replace("unit_norm", "{name: clip_norm, max_norm: 0.5}").replace(
            "budget:", "conditions: {loss_scale: [0.1, 1]}\nbudget:"
        ),
    ]:
        spec = parse_spec(text, code=beside)
        again = parse_spec(spec.canonical(), code=beside)
        assert again == spec
        assert make_plan(again, {}).keys == make_plan(spec, {}).keys
        assert settings(again) == settings(spec)
