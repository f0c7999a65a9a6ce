"""Forms of torch's operations: which are views, and which write into memory that is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from trainers.replay.kernel import Chained

aten = torch.ops.aten
SHAPE_ALONE = {
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.full_like.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
}
"""Operations whose result does not depend on the numbers in their arguments."""
OF_TYPES = {aten.promote_types.default}
"""Operations that give a type, which no number decides. `torch.vmap` asks where tensors are stacked."""
INTO = {
    aten.relu.default: lambda out, x: aten.clamp_min.out(x, 0, out=out),
    aten._to_copy.default: lambda out, x, **kind: out.copy_(x),
    aten.clone.default: lambda out, x, **kind: out.copy_(x),
    aten.new_zeros.default: lambda out, *given, **kind: out.zero_(),
}
"""Operations without a form that writes into given memory, and what does the same there."""

QUIET = {aten._scaled_dot_product_flash_attention_for_cpu.default}
"""Operations that torch marks as drawing numbers, and that do not: this one is never given dropout."""
QUICK: Mapping[OpOverload, Callable[..., Any]] = {
    aten.add.out: torch.add,
    aten.addcdiv.out: torch.addcdiv,
    aten.addcmul.out: torch.addcmul,
    aten.bmm.out: torch.bmm,
    aten.clamp.out: torch.clamp,
    aten.div.out: torch.div,
    aten.gather.out: torch.gather,
    aten.lerp.Scalar_out: torch.lerp,
    aten.lerp.Tensor_out: torch.lerp,
    aten.maximum.out: torch.maximum,
    aten.minimum.out: torch.minimum,
    aten.mul.out: torch.mul,
    aten.neg.out: torch.neg,
    aten.sqrt.out: torch.sqrt,
    aten.sub.out: torch.sub,
    aten.where.self_out: torch.where,
}
"""The same operations as torch's own functions, which Python calls in half the time."""


def changes(op: OpOverload | Chained) -> bool:
    """Whether an operation changes an argument."""
    return isinstance(op, OpOverload) and op._schema.is_mutable


def is_view(op: OpOverload | Chained) -> bool:
    """Whether the result of an operation is a part of its first argument's memory."""
    if isinstance(op, Chained):
        return False
    schema = op._schema
    aliases = any(one.alias_info is not None and not one.alias_info.is_write for one in schema.returns)
    return op is aten._unsafe_view.default or (aliases and not schema.is_mutable)


@cache
def writing(op: OpOverload) -> tuple[OpOverload, str] | None:
    """The form of an operation that writes its result into given memory, and that argument's name."""
    wanted = [(one.name, str(one.type)) for one in op._schema.arguments]
    if len(op._schema.returns) != 1:
        return None
    for name in op.overloadpacket.overloads():
        form = getattr(op.overloadpacket, name)
        outs = [one for one in form._schema.arguments if one.is_out]
        rest = [(one.name, str(one.type)) for one in form._schema.arguments if not one.is_out]
        # Generated forms compute elsewhere and copy.
        if len(outs) == 1 and rest == wanted and torch.Tag.generated not in form.tags:
            return form, outs[0].name
    return None


def quick(
    form: OpOverload, out: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The quickest way to call a form that writes into given memory."""
    function = QUICK.get(form)
    if function is None:
        return form, args, kwargs
    return function, args, {"out" if name == out else name: value for name, value in kwargs.items()}


def copied(op: OpOverload, place: Tensor, *args: Any, **kwargs: Any) -> None:
    """Do an operation and copy its result to a place."""
    place.copy_(op(*args, **kwargs))


def draws(op: OpOverload | Chained) -> bool:
    """Whether an operation draws numbers."""
    return isinstance(op, OpOverload) and torch.Tag.nondeterministic_seeded in op.tags and op not in QUIET
