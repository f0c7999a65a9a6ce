"""What a function did with tensors, recorded: every operation below autograd and `torch.vmap`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from trainers.replay.forms import OF_TYPES
from trainers.replay.kernel import Chained


@dataclass(frozen=True)
class Place:
    """Stands for a tensor of a tape: its number among them."""

    number: int


@dataclass(frozen=True, eq=False)
class Call:
    """One operation; tensors among its arguments and in its result are places."""

    op: OpOverload | Chained
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any


class Tape(TorchDispatchMode):
    """The operations that ran inside of `with`, in their order.

    Autograd, `torch.vmap` and functions of Python have been taken apart into them, so that repeating them
    with other numbers gives what the function would give. This needs a function whose operations do not
    depend on numbers: one that asks for a number in Python has `aten._local_scalar_dense` on its tape.

    Attributes:
        tensors: each tensor that was met, as it was when it was met, kept alive.
        calls: the operations.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's modes are not typed
        self.tensors: list[Tensor] = []
        self.calls: list[Call] = []
        self._places: dict[int, Place] = {}

    def place(self, tensor: Tensor) -> Place:
        """Where a tensor stands; it is kept alive, so that no other one gets its identity."""
        found = self._places.get(id(tensor))
        if found is None:
            found = self._places[id(tensor)] = Place(len(self.tensors))
            self.tensors.append(tensor)
        return found

    def places(self, tree: Any) -> Any:
        """The same with places for tensors."""
        return tree_map_only(Tensor, self.place, tree)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing here is compiled, and a yes would import the compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        assert isinstance(func, OpOverload)
        if func in OF_TYPES:
            return func(*args, **(kwargs or {}))
        given = self.places(args), self.places(dict(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        self.calls.append(Call(func, *given, self.places(result)))
        return result


def numbers(tree: Any) -> list[int]:
    """The places in arguments or results."""
    return [leaf.number for leaf in tree_leaves(tree) if isinstance(leaf, Place)]
