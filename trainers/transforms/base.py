"""What a gradient transform is, and how one is made from its factory and constants."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from trainers.naming import check_keywords

Tensors = dict[str, Tensor]
"""Named tensors of one cell, in the order of `Module.named_parameters`."""
State = dict[str, Tensor]
"""What a transform remembers between steps: tensors only, so that it can be stacked over cells."""
Number = float | Tensor
"""A constant: a plain number, or a 0-d tensor when every cell of a tile has its own."""


def stateless(params: Tensors) -> State:
    """The `init` of a transform that remembers nothing."""
    return {}


@dataclass(frozen=True)
class Signal:
    """What a transform asks of the optimizer at a step, besides handing it gradients.

    Attributes:
        restart: 0-d bool; the optimizer forgets its moments before this step.
        lr_scale: 0-d; multiplies lr at this step.
        keep_count: whether a restart leaves the optimizer's step counter (and so its bias correction) as it
            is.
        recount: 0-d bool; the step counter starts again before this step, and the moments stay. None: never.
    """

    restart: Tensor
    lr_scale: Tensor
    keep_count: bool = False
    recount: Tensor | None = None


@dataclass(frozen=True)
class Transform:
    """A pair of pure functions on the gradients of **one** cell.

    `init(params) -> state` and `update(grads, state, params) -> (grads, state)`. Both leave their inputs
    unchanged, keep dtypes, and never look at a value in Python (`torch.where`, no `.item()`), so that a
    trainer can `torch.vmap` them over cells, and record and repeat what they do: their Python need not run at
    each step. `signal(state)`, if there is one, is asked after `update` and
    says what the optimizer shall do besides its step.
    """

    init: Callable[[Tensors], State]
    update: Callable[[Tensors, State, Tensors], tuple[Tensors, State]]
    name: str = "custom"
    constants: Mapping[str, Any] = field(default_factory=dict)
    signal: Callable[[State], Signal] | None = None
    factory: Callable[..., Transform] | None = None

    def with_constants(self, **constants: Any) -> Transform:
        """The same method with some constants replaced; values may be 0-d tensors inside `torch.vmap`.

        Raises:
            TypeError: the transform was written by hand, without a factory, or the factory has no such
                constant.
        """
        if self.factory is None:
            raise TypeError(
                f"transform {self.name!r} has no factory, so its constants cannot be varied; "
                "build it with a factory"
            )
        return build(self.name, self.factory, **{**self.constants, **constants})


def build(name: str, factory: Callable[..., Transform], **constants: Any) -> Transform:
    """Call a factory and note on the result what it was made from.

    Raises:
        TypeError: a constant is absent, or the factory does not have it; the message names those that it has.
    """
    signature = inspect.signature(factory)
    check_keywords(f"transform {name!r}", constants, signature)
    defaults = {
        key: parameter.default
        for key, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty
    }
    return replace(factory(**constants), name=name, constants={**defaults, **constants}, factory=factory)


def global_norm(grads: Tensors) -> Tensor:
    """Euclidean norm over all tensors, ||(||g_1||, ||g_2||, …)||, as in `torch.nn.utils.get_total_norm`."""
    norm: Tensor = torch.linalg.vector_norm(tensor_norms(grads))
    return norm


def tensor_norms(grads: Tensors) -> Tensor:
    """Euclidean norm of each tensor, shape [number of tensors], in at least float32."""
    return torch.stack([torch.linalg.vector_norm(widened(g)) for g in grads.values()])


def widened(tensor: Tensor) -> Tensor:
    """The tensor in at least float32, so that statistics of half-precision gradients are not lost."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def unit_of(grads: Tensors) -> Tensor:
    """A power of two to divide all gradients by, so that their squares neither overflow nor underflow; 0-d.

    It is 1 for gradients of ordinary size. To divide by a power of two changes no digit of a result.
    """
    norm = global_norm(grads)
    limits, ordinary = torch.finfo(norm.dtype), torch.ones_like(norm)
    # Where a norm is below 2^-20, this is the middle of what its entries can be. Above, the smallest
    # deviation that rounding leaves (2^-24 of an entry) still has a square that is a normal number.
    small = 2.0 ** (math.log2(limits.tiny) // 2 - 10)
    large = 2.0 ** (math.log2(limits.max) // 2 + 14)
    unit = torch.where(norm < 2.0**-20, small * ordinary, ordinary)
    return torch.where(torch.isinf(norm), large * ordinary, unit)


def scaled(grads: Tensors, factors: Tensor) -> Tensors:
    """Multiply tensor i by factors[i] (or all by one 0-d factor), keeping dtypes."""
    each = factors.expand(len(grads)) if factors.dim() == 0 else factors
    pairs = zip(grads.items(), each.unbind(), strict=True)
    return {name: g * factor.to(g.dtype) for (name, g), factor in pairs}


def matrices(grads: Tensors) -> Tensors:
    """The tensors with more than one dimension: weights, not biases or normalisation scales."""
    return {name: g for name, g in grads.items() if g.dim() > 1}
