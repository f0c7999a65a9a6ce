"""An operation with its arguments in their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from trainers.replay.kernel import Chained
from trainers.replay.tape import Place, numbers


@dataclass(frozen=True, eq=False)
class Bound:
    """One operation with its arguments in their places.

    Attributes:
        result: places of a result that no memory was laid for, and memory for small ones of several results;
            None if it is written into its memory.
        over: such results that are not needed after this operation.
    """

    op: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any = None
    over: Sequence[int] = ()

    def ready(self, found: dict[int, Any]) -> Callable[[], object]:
        """The operation, to be called. Where no memory was laid for a tensor, it is taken from `found`."""
        if self.result is None and not self.over and not numbers((self.args, self.kwargs)):
            if isinstance(self.op, Chained):
                return self.op.bind(*self.args)
            return partial(self.op, *self.args, **self.kwargs)
        return partial(self._taking, found)

    def _taking(self, found: dict[int, Any]) -> None:
        args, kwargs = self._given(found)
        result = self.op(*args, **kwargs)
        if isinstance(self.result, Place):
            found[self.result.number] = result
        elif self.result is not None:
            for place, value in zip(tree_leaves(self.result), tree_leaves(result), strict=True):
                if isinstance(place, Place):
                    found[place.number] = value
                elif isinstance(place, Tensor):
                    place.copy_(value)
        for number in self.over:
            found.pop(number, None)

    def _given(self, found: dict[int, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments."""
        if self._nested:
            args, kwargs = tree_map_only(Place, lambda place: found[place.number], (self.args, self.kwargs))
            return args, kwargs
        # A tenth of the time that the general form takes, which is longer than many an operation.
        return [found[one.number] if isinstance(one, Place) else one for one in self.args], self.kwargs

    @cached_property
    def _nested(self) -> bool:
        """Whether places stand inside of lists, or have names."""
        plain = [one for one in self.args if isinstance(one, Place)]
        return len(plain) < len(numbers((self.args, self.kwargs)))
