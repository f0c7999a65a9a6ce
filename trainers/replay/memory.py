"""Memory for the results of operations, used again when nobody needs them any more."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Memory:
    """Blocks of memory that are handed out, given back, and handed out again."""

    _free: list[torch.UntypedStorage] = field(default_factory=list)

    def take(self, like: Tensor) -> Tensor:
        """A tensor of this shape and these strides on a block that is free, or a new one."""
        need = max(like.untyped_storage().nbytes(), 64)
        fitting = [block for block in self._free if need <= block.nbytes() <= 2 * need]
        if fitting and like.device == fitting[0].device:
            block = min(fitting, key=torch.UntypedStorage.nbytes)
            self._free = [one for one in self._free if one is not block]
        else:
            block = torch.empty(need, dtype=torch.uint8, device=like.device).untyped_storage()
        empty = torch.empty(0, dtype=like.dtype, device=like.device)
        return empty.set_(block, 0, like.shape, like.stride())

    def give(self, tensor: Tensor) -> None:
        """The tensor's block may be handed out again."""
        self._free.append(tensor.untyped_storage())


def alike(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have the same kind, shape and strides."""
    return a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride()
