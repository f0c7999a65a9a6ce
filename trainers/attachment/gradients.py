"""The gradients of an optimizer as whole tensors, and the answer written back where they came from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, optim

from trainers.transforms.base import State, Tensors


def named_parameters(optimizer: optim.Optimizer) -> dict[str, Tensor]:
    """All parameters of an optimizer, named `group.index`, in order."""
    named: dict[str, Tensor] = {}
    for i, group in enumerate(optimizer.param_groups):
        named |= {f"{i}.{j}": p for j, p in enumerate(group["params"])}
    return named


def gradients_of(named: dict[str, Tensor]) -> Tensors:
    """The gradients of parameters that have one, as they stand there.

    Raises:
        ValueError: one is sparse, or a sum whose terms lie on several processes.
    """
    grads = {name: p.grad.detach() for name, p in named.items() if p.grad is not None}
    for name, g in grads.items():
        if g.layout != torch.strided:
            raise ValueError(
                f"the gradient of parameter {name} is {str(g.layout).removeprefix('torch.')}; "
                "wanted a dense one; build its layer without sparse=True"
            )
        if is_distributed(g) and any(placement.is_partial() for placement in g.placements):  # type: ignore[attr-defined]
            raise ValueError(
                f"the gradient of parameter {name} is a sum that the processes have not added up "
                f"({g.placements}); wanted shards or copies; redistribute it before step()"  # type: ignore[attr-defined]
            )
    return grads


def is_distributed(tensor: Tensor) -> bool:
    """Whether it is a DTensor: one tensor of which each process has a part."""
    # By what it can do: torch.distributed.tensor takes long to import, and some builds of torch lack it.
    return hasattr(tensor, "full_tensor")


def whole(tensors: Tensors) -> Tensors:
    """The same tensors, those that are spread over processes gathered on each of them."""
    return {name: t.full_tensor() if is_distributed(t) else t for name, t in tensors.items()}  # type: ignore[attr-defined]


def write(values: Tensor, place: Tensor) -> None:
    """Write a whole tensor into a gradient, or into this process's part of it."""
    if not is_distributed(place):
        place.copy_(values)
        return
    from torch.distributed.tensor import distribute_tensor

    # No source rank: every process has computed the same values, so nothing needs to be sent.
    parts = distribute_tensor(values, place.device_mesh, place.placements, src_data_rank=None)  # type: ignore[attr-defined]
    place.to_local().copy_(parts.to_local())  # type: ignore[attr-defined]


def kept_apart(state: State, *others: Any) -> State:
    """The state, with copies of tensors that share memory with gradients or parameters."""
    # Gradients and parameters change in place, and would take what is remembered with them.
    lent = {t.untyped_storage().data_ptr() for tensors in others for t in tensors}
    return {key: t.clone() if t.untyped_storage().data_ptr() in lent else t for key, t in state.items()}
