"""A user's own transform, workload, claim, model and optimizer: named in a spec, and known by their code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from study.claims import CLAIMS
from study.errors import UserError
from study.home import Home
from study.plan.cells import make_plan
from study.spec.build import transform_of
from study.spec.method_choice import Choice
from study.spec.model import StudySpec
from study.spec.read import parse_spec
from study.spec.user_modules import OwnCode
from tests.command import answer, study
from tests.conftest import TINY
from tests.making import every_format
from tests.pages import OF_STUDY, shown_files
from tests.tools import malformed

OWN = {name: text for name, text in shown_files(*OF_STUDY).items() if name.startswith(("my_", "own"))}
MODULES = [name for name in OWN if name.endswith(".py")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the README's files in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in OWN.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def spec_of(transforms: str, **more: str) -> StudySpec:
    lines = [
        line
        for line in TINY.strip().splitlines()
        if not line.startswith(("transforms:", *(f"{key}:" for key in more)))
    ]
    return parse_spec(
        "\n".join([*lines, f"transforms: {transforms}", *(f"{key}: {value}" for key, value in more.items())]),
        code=OwnCode(str(Path.cwd()), runs=True),
    )


def with_files(folder: Path) -> None:
    for name, source in malformed.FILES.items():
        (folder / name).write_text(source)


def test_the_readme_shows_each_in_under_fifteen_lines() -> None:
    """Transform, workload and claim take fewer than fifteen lines of code each."""
    assert len(MODULES) == 3
    for name in MODULES:
        assert len([line for line in OWN[name].splitlines()[1:] if line.strip()]) < 15


def test_the_readmes_own_study_appears_everywhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The README's lines train as they are; their names reach every file, picture and tracker."""
    import optuna
    import pandas as pd
    from mlflow.tracking import MlflowClient

    home = folder / "home"
    with every_format():
        assert study("launch", "own.yaml", "--home", str(home), "--here") == 0
    shown = capsys.readouterr().out
    transform, workload, claim = "my_methods:soft_clip", "my_workloads:sine", "my_claims:diverges_less"
    assert claim in shown
    exports = Home(home).exports("own")
    entry = next(
        one
        for one in json.loads((exports / "regions.json").read_text())
        if one["transform"].startswith(transform)
    )
    assert entry["transform"] == f"{transform}(bound=0.5)"
    assert entry["workload"].startswith(workload)
    assert entry["metric"] == "mse"
    judged = next(one for one in json.loads((exports / "claims.json").read_text()) if one["id"] == claim)
    assert judged["estimate"] is not None
    assert judged["n_seeds"] == 3
    cells = pd.read_parquet(exports / "cells.parquet")
    own = cells[cells["transform"] == transform]
    assert len(own) == len(cells) // 2 == 30
    assert set(judged["cells"]) == set(cells.key)
    assert set(own.constants) == {'{"bound": 0.5}'}
    assert f"`{claim}`" in (exports / "claims.md").read_text()
    behind = json.loads((exports / "provenance.json").read_text())
    assert {name: len(source) for name, source in behind["own_code"].items()} == {workload: 16, transform: 16}
    assert behind["spec"]["transforms"][1] == {"factory": transform, "bound": 0.5}
    (picture,) = (exports / "heatmaps").glob("my_workloads-sine*.svg")
    assert f"{transform}(bound=0.5)" in picture.read_text()
    client = MlflowClient(Home(home).mlflow_uri)
    experiment = client.get_experiment_by_name("own")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.cell_key = '{own.key.iloc[0]}'")
    assert (run.data.params["transform"], run.data.params["constants"]) == (transform, '{"bound": 0.5}')
    assert run.data.params["workload"].startswith(workload)
    (parent,) = client.search_runs([experiment.experiment_id], "tags.stability_study = 'parent'")
    assert parent.data.tags[f"claim.{claim}"] == judged["verdict"]
    assert any(
        transform in name for name in optuna.get_all_study_names(f"sqlite:///{Home(home).optuna('own')}")
    )
    assert not (folder / "__pycache__").exists()
    (folder / "my_methods.py").write_text(OWN["my_methods.py"].replace("tanh", "atan"))
    arguments = ("status", "own.yaml", "--home", str(home))
    assert answer(capsys, *arguments)[1]["pending"] == 30  # type: ignore[index]
    (folder / "my_methods.py").write_text(OWN["my_methods.py"])
    assert answer(capsys, *arguments)[1]["pending"] == 0  # type: ignore[index]
    (folder / "my_workloads.py").write_text(OWN["my_workloads.py"].replace("sin(x)", "cos(x)"))
    assert study("launch", "own.yaml", "--home", str(home), "--here") == 2
    assert "give the changed spec another name" in capsys.readouterr().err


@pytest.mark.long  # it starts Ray; the gate tries modules on the head of test_head.py
def test_rays_workers_find_the_modules(folder: Path) -> None:
    """Ray's workers find modules beside the spec, whose folder is on no path and is not the current one.

    They find data by a relative path, which begins in the current folder. Files there that have the names of
    installed packages or of Python's own modules are left alone.
    """
    for name in ("torch", "statistics", "pandas", "trainers", "study"):
        (folder / f"{name}.py").write_text("raise RuntimeError('the wrong file')\n")
    (folder / "specs").mkdir()
    for name in MODULES:
        (folder / name).rename(folder / "specs" / name)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (80, 4, 4, 1), dtype=np.uint8), rng.integers(0, 2, 80)
    np.savez(folder / "own.npz", train_x=x[:40], train_y=y[:40], test_x=x[40:], test_y=y[40:])
    both = '[{factory: "my_workloads:sine", noise: 0.2}, {name: arrays, file: own.npz, crop: 0}]'
    (folder / "specs" / "own.yaml").write_text(
        OWN["own.yaml"]
        .replace("seeds: 3", "seeds: 1\nworkers: {tile: 20}")  # nothing to measure: seconds less
        .replace('{factory: "my_workloads:sine", noise: 0.2}', both)
    )
    # -P keeps the current folder off the driver's path, as the installed command has it.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "study.cli", "launch", "specs/own.yaml", "--json"],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert (ended["trained_now"], ended["failed"], ended["failures"]) == (40, 0, [])


def test_keys_know_the_code(folder: Path) -> None:
    """Keys of a factory's cells change with its code and with that of a file it imports; no others do."""
    (folder / "beside.py").write_text("SHARE = 1.0\n")
    (folder / "mine.py").write_text(
        "from trainers import make_transform\n\n"
        "def halve():\n    import beside\n    return make_transform('clip_value')\n"
    )

    def keys() -> tuple[set[str], set[str]]:
        cells = make_plan(spec_of("[none, {factory: 'mine:halve'}]"), {}).cells
        return {cell.key for cell in cells if cell.transform == "none"}, {
            cell.key for cell in cells if cell.transform != "none"
        }

    none, own = keys()
    assert len(none) == len(own) == 18
    assert keys() == (none, own)
    (folder / "beside.py").write_text("SHARE = 2.0\n")
    assert keys()[0] == none
    assert not keys()[1] & own
    (folder / "beside.py").write_text("SHARE = 1.0\n")
    assert keys() == (none, own)
    assert none == {cell.key for cell in make_plan(spec_of("[none]"), {}).cells}


def test_a_builtin_of_the_same_name_is_another(folder: Path) -> None:
    """A factory that is named like a method of the table has a label and keys of its own."""
    (folder / "mine.py").write_text(
        "from trainers import make_transform\n\n"
        "def clip_norm(max_norm=1.0):\n    return make_transform('clip_norm', max_norm=max_norm)\n"
    )
    plan = make_plan(spec_of("[clip_norm, {factory: 'mine:clip_norm'}]"), {})
    assert [choice.technical_name for choice in plan.spec.transforms] == ["clip_norm", "mine:clip_norm"]
    assert len(set(plan.keys)) == len(plan.cells) == 36
    jobs = plan.jobs(plan.cells, dict.fromkeys(plan.settings, 6))
    assert {job.transform for job in jobs} == set(plan.spec.transforms)


def test_other_code_than_at_the_launch_is_not_trained(folder: Path) -> None:
    """A worker whose file differs refuses, instead of storing numbers under the wrong key."""
    choice = spec_of("[{factory: 'my_methods:soft_clip'}]").transforms[0]
    assert transform_of(choice).name == "my_methods:soft_clip"
    with pytest.raises(ValueError, match="was 0123 when the study was launched; launch again"):
        transform_of(Choice(choice.name, (), "0123", choice.folder))


def test_lists_of_constants_are_axes_of_a_factory_too(folder: Path) -> None:
    """A list for a constant that is a number makes one transform of each value; other lists stay lists."""
    (folder / "mine.py").write_text(
        "from trainers import make_transform\n\n"
        "def clip(at=1.0, layers=(1, 2)):\n    return make_transform('clip_norm', max_norm=at)\n"
    )
    spec = spec_of("[{factory: 'mine:clip', at: [0.5, 2.0], layers: [3]}]")
    assert [choice.technical_name for choice in spec.transforms] == [
        "mine:clip(at=0.5, layers=(3,))",
        "mine:clip(at=2.0, layers=(3,))",
    ]


def test_every_part_of_the_users_own_is_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several optimizers with one workload and model each takes its step before anything is written."""
    rule = (
        "def {}():\n    step = lambda grads, state, params, lr, wd: ({}, state)\n"
        "    return Optimizer('x', lambda params: {{}}, step, lambda params, lr, wd: None)\n"
    )
    (folder / "rules.py").write_text(
        "from trainers import Optimizer\n"
        + rule.format("good", "params")
        + rule.format("bad", "params['lost']")
    )
    for own in (
        "[{factory: 'rules:bad'}, {factory: 'rules:good'}]",
        "[{factory: 'rules:good'}, {factory: 'rules:bad'}]",
    ):
        (folder / "s.yaml").write_text(TINY.replace("optimizer: adamw", f"optimizer: {own}"))
        assert study("launch", "s.yaml", "--home", "home", "--here") == 2
        assert (
            "rules:bad cannot train digits/mlp: KeyError: 'lost' (rules.py, line 6)"
            in capsys.readouterr().err
        )
        assert not Path("home").exists()


def test_own_model_and_optimizer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model and an optimizer of the user's own train by the same rule, beside the tables' own."""
    (folder / "nets.py").write_text(
        "from torch import nn, optim\nfrom trainers import Optimizer\n\n"
        "def line(shape, outputs, bias=True):\n    inputs = shape[0] * shape[1] * shape[2]\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs, bias=bias))\n\n"
        "def plain(boost: float):\n    def step(grads, state, params, lr, wd):\n"
        "        return {k: p - boost * lr * (grads[k] + wd * p) for k, p in params.items()}, state\n\n"
        "    serial = lambda params, lr, wd: optim.SGD(params, boost * lr, weight_decay=wd)\n"
        "    return Optimizer('plain', lambda params: {}, step, serial)\n"
    )
    text = TINY.replace("model: mlp", "model: [mlp, {factory: 'nets:line', bias: false}]").replace(
        "optimizer: adamw", "optimizer: {factory: 'nets:plain', boost: 1}"
    )
    (folder / "nets.yaml").write_text(
        text.replace("[none, unit_norm]", "[none]").replace("seeds: 3", "seeds: 1")
    )
    code, ended = answer(capsys, "launch", "nets.yaml", "--home", "home", "--here")
    assert code == 0
    assert ended["trained_now"] == 12  # type: ignore[index]
    labels = {
        (entry["workload"], entry["optimizer"])
        for entry in json.loads((Home(Path("home")).exports("tiny") / "regions.json").read_text())
    }
    assert labels == {
        ("digits/mlp", "nets:plain(boost=1)"),
        ("digits/nets:line(bias=False)", "nets:plain(boost=1)"),
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "transforms: [{factory: 'my_method:soft_clip'}]",
            ["transforms[0]", "no module 'my_method'", "the current folder", "did you mean 'my_methods'?"],
        ),
        (
            "transforms: [{factory: 'my_methods:softclip'}]",
            ["transforms[0]", "has no 'softclip'", "my_methods.py", "did you mean 'soft_clip'?"],
        ),
        (
            "transforms: [{factory: 'own:constant'}]",
            ["own:constant is 3", "wanted a function that returns a Transform"],
        ),
        (
            "transforms: [{factory: 'my_methods:soft_clip', bond: 1}]",
            ["has no constant 'bond'", "its constants: bound", "did you mean 'bound'?"],
        ),
        ("transforms: [{factory: 'own:needs'}]", ["lacks its constant 'factor'", "give it a value"]),
        ("transforms: [{factory: 'own:number'}]", ["own:number returned 3.5; wanted a trainers.Transform"]),
        ("transforms: [{factory: 'own:raises'}]", ["own:raises raised KeyError: 'lost' (own.py, line 10)"]),
        (
            "transforms: [{factory: 'raising:f'}]",
            ["cannot be imported: ZeroDivisionError", "raising.py, line 1"],
        ),
        ("transforms: [{factory: 'broken:f'}]", ["SyntaxError", "broken.py, line 1"]),
        ("transforms: [{factory: 'lacking:f'}]", ["No module named 'no_such_library_at_all'"]),
        (
            "transforms: ['own:good']",
            ["transforms[0]", "a factory of your own is written {factory: own:good}"],
        ),
        ("transforms: [{factory: 'own'}]", ["wanted 'package.module:name'"]),
        ("transforms: [{factory: 'own:good', name: none}]", ["both 'name' and 'factory'"]),
        (
            "transforms: [{factory: 'own:looks'}]",
            ["own:looks cannot train digits/mlp", "torch.where instead of if"],
        ),
        (
            "transforms: [{factory: 'own:reshapes'}]",
            [
                "returns gradients['1.weight'] as torch.float32 of shape []; "
                "wanted torch.float32 of shape [64, 64]"
            ],
        ),
        ("transforms: [{factory: 'own:forgets'}]", ["returns gradients named nothing; wanted 1.weight"]),
        ("transforms: [{factory: 'own:in_place'}]", ["changes the gradients that it is given"]),
        (
            "workload: {factory: 'own:no_workload'}",
            ["own:no_workload returned {'x': 1}; wanted a trainers.Workload"],
        ),
        ("workload: {factory: 'own:flat_workload'}", ["its score of 2 examples has shape []; wanted [2]"]),
        (
            "workload: {factory: 'own:nan_workload'}",
            ["the untrained network's loss is nan; wanted a finite number"],
        ),
        (
            "workload: {factory: 'own:array_workload'}",
            ["own:array_workload raised TypeError: workload 'w': train_x is a ndarray; wanted a tensor"],
        ),
        (
            "workload: {factory: 'own:loss_workload'}",
            ["its metric_name is 'loss'", "not one of loss, grad_std, scale"],
        ),
        (
            "transforms: [{factory: 'os:system', command: 'touch pwned'}]",
            ["'os' is Python's own; wanted a module of yours"],
        ),
        (
            "workload: {factory: 'own:no_arguments'}",
            ["takes 0 arguments; wanted 2", "(model, model_name, …)"],
        ),
        ("model: {factory: 'own:no_model'}", ["own:no_model returned 'net'; wanted a torch.Module"]),
        ("optimizer: {factory: 'own:good'}", ["own:good returned Transform(", "wanted a trainers.Optimizer"]),
        (
            "claims: ['own:no_rule']",
            ["claims[0]: own:no_rule is <function", "wanted a Rule(sentence, source, method, decide)"],
        ),
        ("claims: ['my_claims:diverges_more']", ["claims[0]", "did you mean 'diverges_less'?"]),
        (
            "claims: ['own:wide_rule']",
            ["its across is ('seed',); wanted a tuple of some of condition, optimizer"],
        ),
        ("claims: ['own:bad_rule']", ["its decide is 'not a function'"]),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    line: str, words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each error of the user's code is one line with found, wanted and do, exit 2, and no file written."""
    with_files(folder)
    kept = [one for one in TINY.strip().splitlines() if not one.startswith(line.split(":")[0])]
    (folder / "s.yaml").write_text("\n".join([*kept, line]))
    before = sorted(folder.rglob("*"))
    assert study("launch", "s.yaml", "--home", "home", "--here") == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said
    assert len(said.strip().splitlines()) == 1
    assert sorted(folder.rglob("*")) == before


def test_a_rule_that_fails_leaves_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A claim whose function raises or returns something wrong is undecided with that reason.

    The other claims are judged.
    """
    decides = {
        "lost": "{}['x']",
        "none": "None",
        "empty": "Finding('m', 'u')",
        "nan": "Finding('m', 'u', (Comparison('none', Estimate((float('nan'),) * 3), 0.0, True),))",
    }
    decides |= {
        "odd": "Finding('m', 'u', (Comparison('none', Estimate((1.0, 2.0, 3.0), 'wide'), 0.0, True),))",
        "keys": "Finding('m', 'u', (Comparison('none', THREE, 0.0, True),), keys=(b'x',))",
    }
    rules = "\n".join(
        f"{name} = Rule('sentence', 'source', 'unit_norm', lambda evidence, own: {body})"
        for name, body in decides.items()
    )
    imports = (
        "from study.claims import Comparison, Estimate, Finding, Rule\nTHREE = Estimate((1.0, 2.0, 3.0))\n"
    )
    (folder / "rules.py").write_text(imports + rules + "\n")
    (folder / "s.yaml").write_text(TINY + f"claims: [{', '.join(f'rules:{name}' for name in decides)}]")
    assert study("launch", "s.yaml", "--home", "home", "--here") == 0
    claims = {
        claim["id"]: claim
        for claim in json.loads((Home(Path("home")).exports("tiny") / "claims.json").read_text())
    }
    for name, words in {
        "lost": "raised KeyError: 'x' (rules.py, line 3)",
        "none": "returned None",
        "empty": "compares with nothing",
        "nan": "not finite, against none",
        "odd": "raised AttributeError: 'str' object has no attribute 'own'; mend it",
        "keys": "raised TypeError: Object of type bytes is not JSON serializable; mend it",
    }.items():
        assert claims[f"rules:{name}"]["verdict"] == "inconclusive"
        assert words in claims[f"rules:{name}"]["reason"]
    assert set(claims) == {*CLAIMS, *(f"rules:{name}" for name in decides)}


def test_a_changed_folder_is_seen(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the same name in another folder is not taken for the one that was imported before."""
    first = spec_of("[{factory: 'my_methods:soft_clip'}]").transforms[0]
    other = tmp_path_factory.mktemp("other")
    monkeypatch.chdir(other)
    (other / "my_methods.py").write_text("hard_clip = 1\n")
    with pytest.raises(UserError, match="has no 'soft_clip'"):
        spec_of("[{factory: 'my_methods:soft_clip'}]")
    (other / "my_methods.py").write_text(OWN["my_methods.py"] + "\n# another\n")
    assert spec_of("[{factory: 'my_methods:soft_clip'}]").transforms[0].source != first.source


def test_malformed_specs_of_every_kind_are_refused(folder: Path) -> None:
    """Two of each kind go through the command line: words, exit 2, in seconds, and nothing is written."""
    with_files(folder)
    # What is changed was right before.
    assert malformed.verdict(json.dumps(malformed.GOOD).encode(), folder)[0] == "accepted"
    n = 2 * len(malformed.KINDS)
    said: list[str] = []
    assert malformed.run(n, 3, said.append)["refused"] == n, "\n".join(said)
