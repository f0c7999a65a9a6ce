"""A cell of a user's own function: every way in which it can end is a record that says how."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import torch

from study.run.own_training import client
from tests.study.run.own_training.making import spec_of, trained
from trainers import Budget, make_optimizer, make_transform, make_workload, train_serial

ENDS = """
import os, signal, subprocess, sys, time


def returns(cell):
    cell.report(step=0, loss=2.0, accuracy=0.1)
    for step in range(1, cell.budget.steps + 1):
        cell.report(step=step, loss=2.0 / step)
    return {"accuracy": cell.lr}


def yields(cell):
    yield {"step": 10, "loss": 1.0, "metric": 0.3}
    yield {"step": 20, "loss": 0.5, "metric": 0.2}


def returns_nothing(cell):
    pass


def returns_text(cell):
    return "done"


def tells_only_the_start(cell):
    cell.report(step=0, loss=2.0, accuracy=0.1)


def begins_lost(cell):
    cell.report(step=0, loss=float("nan"), accuracy=0.1)


def notes_half(cell):
    cell.note(name=chr(0xD800))


def notes_much(cell):
    cell.note(name="x" * 1_000_000)


def notes_nan(cell):
    cell.note(share=float("nan"))


def says_half(cell):
    cell.diverged("half " + chr(0xD800) + " here")


def returns_nan(cell):
    return {"accuracy": float("nan")}


def returns_unknown(cell):
    return {"accurracy": 0.5}


def reports_text(cell):
    cell.report(step=1, loss="0.5")


def reports_late(cell):
    cell.report(step=21, loss=0.5)


def reports_backwards(cell):
    cell.report(step=2, loss=0.5)
    cell.report(step=1, loss=0.5)
    return {"accuracy": 0.5}


def raises(cell):
    raise KeyError("no such layer")


def ends_python(cell):
    os._exit(0)


def exits(cell):
    sys.exit(3)


def is_killed(cell):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(cell):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.01)


def loses(cell):
    cell.report(step=3, loss=1.0, accuracy=0.4)
    try:
        cell.report(step=5, loss=float("inf"))
    except Exception:
        pass
    return {"accuracy": 0.9}


def says_so(cell):
    cell.report(step=4, loss=1.0)
    cell.diverged("the policy has collapsed")


def prints(cell):
    for _ in range(100):
        print("x" * 1_000_000)
    return {"accuracy": 0.5}


def forks(cell):
    if os.fork() == 0:
        return {"accuracy": 0.0}
    os.wait()
    return {"accuracy": 0.5}


def leaves_others(cell):
    started = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    cell.note(left=started.pid, clipping=1.0)
    return {"accuracy": 0.5}
"""

WRONG = {
    "returns_nothing": "reported no accuracy",
    "tells_only_the_start": "reported no accuracy after step 0",
    "notes_half": "wanted texts of at most 300 printable characters",
    "notes_much": "wanted texts of at most 300 printable characters",
    "notes_nan": "noted 'share' = nan; wanted a finite number",
    "returns_text": "returned 'done'; wanted a dict",
    "returns_nan": "accuracy = nan at last",
    "returns_unknown": "known: step, loss, metric, accuracy; did you mean 'accuracy'?",
    "reports_text": "reported loss = '0.5'; wanted a number (ends.py, line",
    "reports_late": "step 21 of a budget of 20 steps",
    "reports_backwards": "line 2 of its reports: reported step 1 after step 2",
    "raises": "raised KeyError: 'no such layer' (ends.py, line",
    "ends_python": "ended Python by itself, with exit status 0",
    "exits": "raised SystemExit: 3",
    "is_killed": "was ended by SIGKILL, most often for lack of memory",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the functions, beside which specs are written."""
    folder = tmp_path_factory.mktemp("ends")
    (folder / "ends.py").write_text(ENDS)
    return folder


@pytest.mark.parametrize(("name", "why"), WRONG.items())
def test_an_end_without_a_score_is_failed_and_says_why(folder: Path, name: str, why: str) -> None:
    """A cell that neither finished nor diverged is failed, with its reason in one sentence."""
    record = trained(spec_of(folder, {"function": f"ends:{name}"}))
    assert record.failed
    assert why in (record.reason or "")
    assert f"ends:{name}" in record.reason or "reports" in record.reason
    assert "\n" not in (record.reason or "")


def test_reports_become_a_curve_at_the_trainers_steps(folder: Path) -> None:
    """Losses are means since the point before, and the final loss is that of the last tenth."""
    record = trained(spec_of(folder, {"function": "ends:returns"}))
    assert record.finished
    losses = [2.0 / step for step in range(1, 21)]
    means = [sum(losses[at : at + 5]) / 5 for at in (0, 5, 10, 15)]
    assert [point[0] for point in record.curve] == [0, 5, 10, 15, 20]
    assert [point[1] for point in record.curve] == pytest.approx([2.0, *means])
    assert [point[2] for point in record.curve] == [0.1, None, None, None, 0.1]
    assert record.loss_final == pytest.approx((losses[-1] + losses[-2]) / 2)
    assert (record.metric_initial, record.metric_final, record.loss_initial) == (0.1, 0.1, 2.0)


def test_a_generator_reports_what_it_yields(folder: Path) -> None:
    """The last score that it yields is the final one, and the best one is kept."""
    record = trained(spec_of(folder, {"function": "ends:yields"}))
    assert (record.metric_initial, record.metric_final, record.metric_best) == (0.1, 0.2, 0.3)


def test_the_score_before_training_is_told_or_reported(folder: Path) -> None:
    """A spec that says `reported` needs a report of step 0; one that gives a number is not needed then."""
    assert trained(spec_of(folder, {"function": "ends:returns", "untrained": "reported"})).finished
    record = trained(spec_of(folder, {"function": "ends:yields", "untrained": "reported"}))
    assert "reported no accuracy at step 0" in (record.reason or "")


def test_divergence_is_a_loss_or_what_the_function_says(folder: Path) -> None:
    """A loss that is not finite, or `cell.diverged`, is a divergence at its step, whatever comes later."""
    record = trained(spec_of(folder, {"function": "ends:loses"}))
    assert (record.outcome, record.reason, record.diverged_step) == ("diverged", "nonfinite_loss", 5)
    assert (record.metric_final, record.metric_best) == (None, 0.4)
    record = trained(spec_of(folder, {"function": "ends:begins_lost"}))
    assert (record.reason, record.diverged_step) == ("nonfinite_loss", 1)
    record = trained(spec_of(folder, {"function": "ends:says_half"}))
    assert record.reason == "said: half \\ud800 here"
    record = trained(spec_of(folder, {"function": "ends:says_so"}))
    assert (record.reason, record.diverged_step) == ("said: the policy has collapsed", 4)


def test_time_that_is_up_ends_a_cell_that_ignores_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that hangs, and does not heed SIGTERM, is failed after its limit; the next one trains."""
    record = trained(spec_of(folder, {"function": "ends:hangs", "limit": 0.3}))
    assert record.reason == "ends:hangs was ended after its limit of 0.3 s"
    assert trained(spec_of(folder, {"function": "ends:returns"})).finished


def test_processes_of_a_cell_end_with_it(folder: Path) -> None:
    """What a function forks has no word, and what it leaves behind is ended, in whatever group it is."""
    assert trained(spec_of(folder, {"function": "ends:forks"})).metric_final == 0.5
    record = trained(spec_of(folder, {"function": "ends:leaves_others"}))
    noted = json.loads(record.provenance)
    assert (noted["clipping"], noted["torch"]) == (1.0, "2")
    with pytest.raises(ProcessLookupError):
        os.kill(noted["left"], 0)


def test_a_cell_ends_with_the_process_that_asked_for_it(folder: Path) -> None:
    """The server of cells ends when its process does."""
    trained(spec_of(folder, {"function": "ends:returns"}))
    assert client._server is not None
    process = client._server[1]
    client.end()
    assert process.poll() is not None


LIKE_THE_TRAINERS = """
import json
from pathlib import Path


def train(cell):
    for step, loss, score in json.loads((Path(__file__).parent / f"{cell.lr:g}.json").read_text()):
        cell.report(step=step, loss=loss, metric=score)
"""


@pytest.mark.parametrize("lr", [0.1, 30.0, 1e30])
def test_the_rule_of_divergence_is_that_of_the_trainers(tmp_path: Path, lr: float) -> None:
    """A function that reports every loss ends as the same cell does in the trainers, at the same step."""
    (tmp_path / "like.py").write_text(LIKE_THE_TRAINERS)
    every, few = (
        train_serial(
            make_workload("synthetic", "mlp"),
            make_transform("none"),
            make_optimizer("sgd"),
            Budget(20, 32, points=points),
            lr_C=torch.tensor([lr]),
            weight_decay_C=torch.tensor([0.0]),
            seed=0,
        )
        for points in (20, 4)
    )
    points = zip(every.step_K, every.loss_KC[:, 0].tolist(), every.metric_KC[:, 0].tolist(), strict=True)
    (tmp_path / f"{lr:g}.json").write_text(json.dumps(list(points)))
    record = trained(spec_of(tmp_path, {"function": "like:train"}, lr=[lr]))
    assert record.outcome == few.outcome_C[0]
    assert (record.reason, record.diverged_step) == (few.reason_C[0], few.diverged_step_C[0])
    curve = [math.nan if loss is None else loss for _, loss, _ in record.curve]
    # The trainers have a mean of the steps before the loss was lost within an interval, or none.
    lost = record.reason == "nonfinite_loss"
    if not lost:
        assert curve == pytest.approx(few.loss_KC[:, 0].tolist(), rel=1e-5)
        assert record.loss_final == pytest.approx(few.loss_final_C.item(), rel=1e-5)
        assert record.metric_final == pytest.approx(few.metric_final_C.item())


CLIPS = """
import torch


def train(cell):
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=cell.lr, weight_decay=cell.weight_decay)
    cell.attach(optimizer)
    weight.grad = torch.tensor([3.0, 4.0])
    optimizer.step()
    names = f"{cell.model} {cell.optimizer} {cell.device} {cell.transform} {cell.budget.batch_size}"
    (cell.directory / "mine").write_text(names)
    cell.note(names=(cell.directory / "mine").read_text(), directory=str(cell.directory))
    return {"accuracy": float(weight[0])}
"""


def test_the_cells_transform_stands_before_the_optimizer(tmp_path: Path) -> None:
    """The gradient (3, 4) clipped to the length 1 is (0.6, 0.8); the cell's folder is gone at its end."""
    (tmp_path / "clips.py").write_text(CLIPS)
    spec = spec_of(
        tmp_path,
        {"function": "clips:train"},
        transforms=["none", {"name": "clip_norm", "max_norm": 1.0}],
        model="tiny",
        optimizer=["sgd"],
    )
    assert trained(spec, transform="none").metric_final == pytest.approx(-0.3)
    record = trained(spec, transform="clip_norm")
    assert record.metric_final == pytest.approx(-0.06)
    noted = json.loads(record.provenance)
    assert noted["names"] == "tiny sgd cpu clip_norm 32"
    assert not Path(noted["directory"]).exists()
