"""A step never waits for the device: no tensor becomes a number of Python, or a shape that data decide."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused
from trainers.optimizers import OPTIMIZERS
from trainers.step import Step
from trainers.transforms import TRANSFORMS

WAITS = (
    "_local_scalar_dense",  # .item(), float(), bool(), and a tensor in an `if`
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "unique",
    "_unique2",
)
"""Operations for which a GPU's queue has to run empty."""


class Waiting(TorchDispatchMode):
    """Counts operations that wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        # A boolean mask as an index is `nonzero` inside.
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        masked = any(index is not None and index.dtype is torch.bool for index in indices)
        if name in WAITS or masked:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


STEPS = 30


def waits(transform: str, optimizer: str) -> int:
    """How often a tile waits: at its beginning, its end and recorded points, of which there is one."""
    with Waiting() as seen:
        train_fused(
            make_workload("synthetic", "linear"),
            make_transform(transform),
            make_optimizer(optimizer),
            Budget(steps=STEPS, batch_size=8, points=1),
            lr_C=torch.tensor([1e-3, 1e-2]),
            weight_decay_C=torch.tensor([0.1, 0.0]),
            seed=0,
        )
    return seen.counts.total()


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as a GPU takes them: of all cells at once, none repeated from a recording."""
    init = Step.__init__

    def unrepeated(self: Step, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.repeatable = False

    monkeypatch.setattr(Step, "__init__", unrepeated)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_no_step_of_a_transform_waits(transform: str, whole: None) -> None:
    """A tile waits less often than every other step, so that no step does."""
    assert waits(transform, "adamw") < STEPS / 2


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_step_of_an_optimizer_waits(optimizer: str, whole: None) -> None:
    """Likewise."""
    assert waits("none", optimizer) < STEPS / 2


def test_waiting_is_seen() -> None:
    """A number taken from a tensor, a tensor in an `if`, and a mask as an index are counted."""
    with Waiting() as seen:
        tensor = torch.arange(3.0)
        tensor[1].item()
        assert tensor[2]
        tensor[tensor > 1]
    assert seen.counts["_local_scalar_dense"] + seen.counts["is_nonzero"] >= 2
    assert seen.counts["index"] == 1
