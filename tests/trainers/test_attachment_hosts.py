"""An optimizer that cannot have a transform is refused in words, and nothing is left at it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import nn, optim

from trainers import attach, make_transform
from trainers.attachment import KEY
from trainers.attachment.host import WRAPPERS

torch.set_num_threads(1)


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.ones(2))


def sgd(p: nn.Parameter | None = None) -> optim.SGD:
    return optim.SGD([parameter() if p is None else p], lr=1.0)


def hooks(optimizer: Any) -> int:
    return sum(len(value) for name, value in vars(optimizer).items() if name.endswith("_hooks"))


class WithoutConstructor(optim.Optimizer):
    """An optimizer whose steps run no hooks: its constructor does not call torch's."""

    def __init__(self) -> None:
        self.param_groups = [{"params": [parameter()]}]
        self.state = {}

    def step(self, closure: Any = None) -> None:
        pass


class Several(optim.SGD):
    """An optimizer that steps by a list of others."""

    def __init__(self) -> None:
        super().__init__([parameter()], lr=1.0)
        self.parts = [sgd(), sgd()]


def flattened() -> optim.Optimizer:
    # FullyShardedDataParallel marks what it has flattened so.
    p = parameter()
    p._fsdp_flattened = True
    return sgd(p)


def sharing() -> optim.Optimizer:
    kind = type("ZeroRedundancyOptimizer", (optim.SGD,), {})
    kind.__module__ = "torch.distributed.optim.zero_redundancy_optimizer"
    return kind([parameter()], lr=1.0)


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "LBFGS": (lambda: optim.LBFGS([parameter()]), ValueError, "LBFGS computes several gradients in one step"),
    "Lookahead": (lambda: pytorch_optimizer.Lookahead(sgd()), ValueError, r"attach\(optimizer\.optimizer, "),
    "PCGrad": (lambda: pytorch_optimizer.PCGrad(sgd()), ValueError, "PCGrad wraps another optimizer"),
    "SAM": (
        lambda: pytorch_optimizer.SAM([parameter()], base_optimizer=optim.SGD, lr=1.0),
        ValueError,
        r"attach\(optimizer\.base_optimizer, transform\)",
    ),
    "several": (Several, ValueError, "Several wraps another optimizer, in its attribute 'parts'"),
    "no hooks": (WithoutConstructor, ValueError, r"WithoutConstructor\.step\(\) runs no hooks"),
    "flattened": (flattened, ValueError, "FullyShardedDataParallel.*fully_shard"),
    "sharing": (sharing, ValueError, "each process of ZeroRedundancyOptimizer steps other parameters"),
    "no optimizer": (lambda: SimpleNamespace(), TypeError, r"a SimpleNamespace; wanted a torch\.optim"),
    "moments": (lambda: optim.Adagrad([parameter()]), ValueError, "moments of Adagrad are not declared"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_leaves_nothing_behind(name: str) -> None:
    """The message says what was found; no hook is set, and the optimizer can have a transform later."""
    build, error, words = REFUSED[name]
    optimizer = build()
    before = hooks(optimizer)
    for _ in range(2):  # and not "already has a transform" the second time
        with pytest.raises(error, match=words):
            attach(optimizer, make_transform("stable_spam"))
    assert hooks(optimizer) == before
    if name == "moments":
        attach(optimizer, make_transform("clip_norm"))


def test_the_advice_for_wrapped_optimizers_works() -> None:
    """Attached to the optimizer that SAM steps by, a transform sees the gradient that SAM steps with."""
    p = nn.Parameter(torch.tensor([3.0, 4.0]))
    rule = pytorch_optimizer.SAM([p], base_optimizer=optim.SGD, lr=1.0, rho=0.5)
    attach(rule.base_optimizer, make_transform("clip_norm", max_norm=1.0))

    def closure() -> torch.Tensor:
        loss = p.square().sum() / 2
        loss.backward()
        return loss

    closure()
    rule.step(closure)
    # Moved by the clipped gradient at the perturbed place, which lies in the same direction.
    torch.testing.assert_close(p.detach(), torch.tensor([2.4, 3.2]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("where", WRAPPERS)
def test_a_framework_wrapper_stands_for_its_optimizer(where: str) -> None:
    """Attached to the wrapper or to the optimizer in it is the same, also when asked twice."""
    module, _, name = where.rpartition(".")
    # Only the names matter here; the real classes are tried by `make frameworks`.
    kind = type(name, (optim.Optimizer,), {"__init__": lambda self: None, "__module__": module})
    wrapper, rule = kind(), sgd()
    setattr(wrapper, WRAPPERS[where], rule)
    handle = attach(wrapper, make_transform("clip_norm"))
    assert KEY in rule.state_dict()
    with pytest.raises(ValueError, match="already has transform 'clip_norm'"):
        attach(rule, make_transform("clip_norm"))
    handle.remove()
    attach(rule, make_transform("clip_norm"))
    with pytest.raises(ValueError, match="already has transform 'clip_norm'"):
        attach(wrapper, make_transform("clip_norm"))
