"""AutoClip."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, global_norm, scaled


def autoclip(percentile: Number = 10.0, history: int = 10_000) -> Transform:
    """Clip the global norm to a percentile of all global norms so far.

    c_t = the `percentile`-th percentile of N_1, …, N_t (linear interpolation, as `numpy.percentile`), g <- g
    · min(1, c_t / (N_t + 1e-6)), N the global norm. The percentile is exact during the first `history` steps
    and then that of the last `history` norms. At the first step c_1 = N_1, so nothing is clipped. A zero
    gradient stays zero (and is remembered as norm 0, so that zeros more frequent than `percentile` make every
    c_t zero). A tiny or subnormal one passes unless c_t is of its size, where the 1e-6 shrinks it. A norm
    that is infinite, or overflows, counts as larger than all others; its finite entries become 0 and its
    infinite ones NaN (all NaN if c_t is infinite too). A NaN norm makes everything NaN at that step and is
    remembered as infinite.

    Args:
        percentile: in [0, 100].
        history: number of norms that are remembered [steps], >= 1; a plain whole number, because it is the
            shape of the state.

    Raises:
        ValueError: a constant is out of range, or `history` is not a plain whole number.

    Reference: Seetharaman, Wichern, Pardo, Le Roux, "AutoClip: Adaptive Gradient Clipping for Source
        Separation Networks", 2020, section 2, and the official code.
    Differs from the reference: the history is bounded; after a NaN norm the official threshold is NaN for
        good.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("autoclip", percentile=50)
        >>> state = transform.init({"weight": torch.zeros(1)})
        >>> for norm in (1.0, 2.0, 10.0):
        ...     out, state = transform.update({"weight": torch.tensor([norm])}, state, params={})
        >>> out["weight"]
        tensor([2.0000])
    """
    check_range("autoclip", 0.0, 100.0, percentile=percentile)
    if not isinstance(history, int) or isinstance(history, bool) or history < 1:
        raise ValueError(
            f"autoclip: history is {history!r}; wanted a plain whole number >= 1, the same for all cells"
        )

    def init(params: Tensors) -> State:
        norm = global_norm(params)
        # A free place is an infinite norm. The sum gives each cell a memory of its own; vmap would share one.
        empty = torch.full((history,), torch.inf, dtype=norm.dtype, device=norm.device)
        empty = empty + torch.zeros_like(norm)
        count = torch.zeros_like(norm, dtype=torch.float64)
        return {"arrived": empty, "ascending": empty.clone(), "count": count}

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        norm, count = global_norm(grads), state["count"] + 1
        newest = torch.where(torch.isnan(norm), torch.inf, norm).unsqueeze(0)
        place = torch.remainder(state["count"], history).long().unsqueeze(0)
        ascending = exchanged(state["ascending"], leaving=state["arrived"].gather(0, place), coming=newest)
        limit = interpolated(ascending, percentile / 100 * (torch.clamp(count, max=history) - 1))
        factor = torch.clamp(limit / (norm + 1e-6), max=1.0)
        return scaled(grads, factor), {
            "arrived": state["arrived"].scatter(0, place, newest),
            "ascending": ascending,
            "count": count,
        }

    return Transform(init=init, update=update)


def exchanged(ascending: Tensor, leaving: Tensor, coming: Tensor) -> Tensor:
    """A sorted vector with one of its values replaced, still sorted."""
    # Two shifts, which are much cheaper than sorting at every step.
    end, place = torch.full_like(leaving, torch.inf), torch.arange(len(ascending), device=ascending.device)
    without = torch.where(
        place < torch.searchsorted(ascending, leaving), ascending, torch.cat([ascending[1:], end])
    )
    at = torch.searchsorted(without, coming)
    return torch.where(place < at, without, torch.where(place == at, coming, torch.cat([end, without[:-1]])))


def interpolated(ascending: Tensor, position: Tensor) -> Tensor:
    """The value at a fractional position of a sorted vector.

    A place without weight does not enter, because it may hold infinity, and 0 · inf is NaN.
    """
    low = torch.floor(position)
    weight = (position - low).to(ascending.dtype)
    index = torch.stack([low, torch.clamp(low + 1, max=len(ascending) - 1)]).long()
    below, above = ascending.gather(0, index).unbind()
    return torch.where((weight > 0) & (above > below), below + (above - below) * weight, below)
