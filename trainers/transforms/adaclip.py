"""AdaClip: the adaptive spike clipping of Stable-SPAM."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, widened


def adaclip(gamma3: Number = 0.999) -> Transform:
    """Shrink the entries of each tensor's gradient that exceed a running average of its largest entry.

    With G = max |g_i| over a tensor and k the number of steps,

        T = gamma3 · T + (1 - gamma3) · G,   T̂ = T / (1 - gamma3^k),   g_i <- g_i / G · T̂  where  |g_i| > T̂

    Zero gradients stay zero, and enter the average. Tiny and subnormal ones are treated as any other. An
    entry that is infinite or NaN passes unchanged, and switches AdaClip off for its tensor from then on,
    because T stays infinite or NaN.

    Args:
        gamma3: decay of the average of the largest entry, in [0, 1).

    Raises:
        ValueError: `gamma3` is out of range.

    Reference: "Stable-SPAM: How to Train in 4-Bit More Stably than 16-Bit Adam", arXiv:2502.17055 v1, 2025,
        AdaClip, as in the official code.
    Differs from the reference: nothing; the momentum restart that the official code adds is `stable_spam`.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("adaclip")
        >>> state = transform.init({"weight": torch.zeros(2)})
        >>> for spike in (1.0, 1.0, 7.0):
        ...     grads = {"weight": torch.tensor([0.5, spike])}
        ...     out, state = transform.update(grads, state, params=grads)
        >>> out["weight"]
        tensor([0.5000, 3.0020])
    """
    check_range("adaclip", 0.0, 1.0, open_high=True, gamma3=gamma3)

    def init(params: Tensors) -> State:
        zeros = torch.zeros_like(largest_entries(params))
        return {"largest": zeros, "count": torch.zeros_like(zeros[0], dtype=torch.float64)}

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        count = state["count"] + 1
        out, largest = with_spikes_shrunk(grads, state["largest"], gamma3, count)
        return out, {"largest": largest, "count": count}

    return Transform(init=init, update=update)


def largest_entries(grads: Tensors) -> Tensor:
    """Largest absolute entry of each tensor, [number of tensors], in at least float32; NaN if an entry is."""
    return torch.stack([widened(g).abs().amax() for g in grads.values()])


def with_spikes_shrunk(
    grads: Tensors, average: Tensor, gamma3: Number, count: Tensor
) -> tuple[Tensors, Tensor]:
    """One step of AdaClip: the gradients, and the average largest entries of all tensors."""
    largest = largest_entries(grads)
    # The average moves first, so that the step that is clipped is in its own limit, as in the official code.
    average = gamma3 * average + (1 - gamma3) * largest
    limits = average / (1 - gamma3**count).to(average.dtype)
    per_tensor = zip(grads.items(), limits.unbind(), (limits / largest).unbind(), strict=True)
    out = {}
    for (name, g), limit, ratio in per_tensor:
        out[name] = torch.where(widened(g).abs() > limit, g * ratio.to(g.dtype), g)
    return out, average
