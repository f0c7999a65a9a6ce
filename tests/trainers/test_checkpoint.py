"""A run whose process died goes on where it was, with the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.making import Dying, same
from trainers import (
    Budget,
    Checkpoint,
    Curves,
    Optimizer,
    Transform,
    Workload,
    fused,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
)
from trainers.blocks import Next, grouped
from trainers.fused import train_together
from trainers.progress import LAYOUT
from trainers.run import Run
from trainers.width import train_within_memory

BUDGET = Budget(steps=24, batch_size=32, points=4, dynamics=5, spike_steps=(9,), spike_size=50.0)
CELLS = {
    "lr_C": torch.tensor([1e-3, 1e-2, 30.0, 1e8, 3e-3]),
    "weight_decay_C": torch.tensor([0.0, 0.1, 0.0, 1e3, 0.01]),
    "seed": 3,
}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that are taken, as they are taken."""
    taken: list[int] = []

    def noted(*args: Any) -> Iterator[list[Next]]:
        for group in grouped(*args):
            yield group
            taken.extend(one.step for one in group)

    monkeypatch.setattr(fused, "grouped", noted)
    return taken


@cache
def trained(
    model: str, transform: str, optimizer: str, precision: str
) -> tuple[tuple[Workload, Transform, Optimizer, Budget], Curves]:
    """The parts of a training, and what it gives where nothing disturbs it."""
    parts = (
        make_workload("digits", model, {"dropout": 0.1} if model == "mlp" else {}),
        make_transform(transform),
        make_optimizer(optimizer),
        replace(BUDGET, precision=precision),
    )
    return parts, train_fused(*parts, **CELLS)


@pytest.mark.parametrize("last", [1, 8, 9, 13, 18, 23])
@pytest.mark.parametrize(
    ("model", "transform", "optimizer", "precision"),
    [
        ("mlp", "gradient_stabilizer", "adamw", "float32"),
        ("convnet", "zclip", "sgd", "float32"),
        ("mlp", "spam", "adam", "float16"),
        ("convnet", "autoscale", "lion", "float64"),
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(
    model: str, transform: str, optimizer: str, precision: str, last: int, tmp_path: Path
) -> None:
    """Model, buffers, memories, loss scale, dropped cells, dynamics and the order of the data go on."""
    parts, undisturbed = trained(model, transform, optimizer, precision)
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, **CELLS, checkpoint=Dying(tmp_path / "run", last))
    kept = Checkpoint(tmp_path / "run")
    resumed = train_fused(*parts, **CELLS, checkpoint=kept)
    assert same(resumed, undisturbed)
    again = train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run"))
    assert same(again, undisturbed)
    kept.clear()
    assert not any(tmp_path.iterdir())


def test_a_resumed_run_does_not_start_again(tmp_path: Path, steps: list[int]) -> None:
    """Only the steps after the checkpoint are taken."""
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, **CELLS, checkpoint=Dying(tmp_path / "run", 20))
    assert steps == list(range(19))  # the last one was taken, and its process died
    steps.clear()
    train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run"))
    assert steps == [20, 21, 22, 23]


def test_a_run_that_was_kept_can_be_had_again_without_training(tmp_path: Path, steps: list[int]) -> None:
    """Until its results are safe, a finished run gives them from the checkpoint, and takes no step again."""
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    first = train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run", every=0.0))
    assert steps == list(range(BUDGET.steps))
    steps.clear()
    assert same(train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run")), first)
    assert steps == []
    other = *parts[:2], make_optimizer("adamw", beta1=0.8), parts[3]
    assert not same(train_fused(*other, **CELLS, checkpoint=Checkpoint(tmp_path / "run")), first)


def test_a_short_run_leaves_nothing(tmp_path: Path) -> None:
    """A run that ends before the first checkpoint is due writes none."""
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run"))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", None])
def test_what_is_not_this_run_is_not_gone_on_from(damage: bytes | None, tmp_path: Path) -> None:
    """A damaged file, or one of other cells, is as good as none."""
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    undisturbed = train_fused(*parts, **CELLS)
    if damage is None:
        with pytest.raises(KeyboardInterrupt):
            train_fused(*parts, **{**CELLS, "seed": 4}, checkpoint=Dying(tmp_path / "run", 8))
    else:
        (tmp_path / "run").write_bytes(damage)
    assert same(train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run")), undisturbed)


@pytest.mark.parametrize("change", ["tile", "moments", "index_C"])
def test_a_checkpoint_of_another_version_is_as_good_as_none(change: str, tmp_path: Path) -> None:
    """One whose content has another form is not used, even under the same identity, and does no harm."""
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    undisturbed = train_fused(*parts, **CELLS)
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, **CELLS, checkpoint=Dying(tmp_path / "run", 8))
    kept = torch.load(tmp_path / "run", weights_only=True)
    if change == "tile":
        kept["tile"]["state"] = kept["tile"].pop("optimizer")
    else:
        kept[f"{change} of another version"] = kept.pop(change)
    torch.save(kept, tmp_path / "run")
    assert Checkpoint(tmp_path / "run").load(kept["identity"]) is None
    assert same(train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run")), undisturbed)


def test_what_an_older_version_kept_is_gone_on_from() -> None:
    """Parts of a tile keep the names that they have in files, whatever the code calls them."""
    assert LAYOUT[1] == (
        *("params", "buffers", "memory", "optimizer", "scale"),
        *("lr_C", "weight_decay_C", "constants_C", "loss_scale_C", "world"),
    )


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    """A file that would run a command when it is unpickled is refused."""
    import pickle

    class Bad:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "pwned",))

    (tmp_path / "run").write_bytes(pickle.dumps(Bad(), protocol=2))
    assert Checkpoint(tmp_path / "run").load("any") is None
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    """Where the folder is a file, the run goes on without."""
    (tmp_path / "file").write_text("")
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    assert same(
        train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "file" / "run", every=0.0)),
        train_fused(*parts, **CELLS),
    )


def test_parts_of_a_halved_tile_have_checkpoints_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory holds two cells at a time, the run dies in its second part and goes on there."""
    from trainers import width

    def small(run: Run, checkpoint: Checkpoint | None) -> Curves:
        if run.cells > 2:
            raise torch.OutOfMemoryError("out of memory")
        return train_together(run, checkpoint)

    monkeypatch.setattr(width, "train_together", small)
    parts = make_workload("digits", "mlp"), make_transform("none"), make_optimizer("adamw"), BUDGET
    undisturbed = train_within_memory(*parts, **CELLS)
    with pytest.raises(KeyboardInterrupt):
        train_within_memory(*parts, **CELLS, checkpoint=Dying(tmp_path / "run", 12))
    assert [path.name for path in tmp_path.iterdir()] == ["run.1.1"]
    kept = Checkpoint(tmp_path / "run")
    assert same(train_within_memory(*parts, **CELLS, checkpoint=kept), undisturbed)
    kept.clear()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["train", "a[b]*", "run.v1"])
def test_clearing_removes_nothing_else(name: str, tmp_path: Path) -> None:
    """Of the files that begin with the checkpoint's name, only those that a checkpoint writes go."""
    ours = (name, f"{name}.0", f"{name}.1.0", f".{name}.17.partial", f".{name}.1.0.17.partial")
    others = (
        f"{name}.py",
        f"{name}.1.yaml",
        f"{name}.partial",
        f".{name}.swp",
        f"{name}2",
        "ab.0",
        "runxv1.0",
    )
    for file in (*ours, *others):
        (tmp_path / file).write_text("")
    Checkpoint(tmp_path / name).clear()
    assert {path.name for path in tmp_path.iterdir()} == set(others)
    Checkpoint(tmp_path / "no folder" / name).clear()
