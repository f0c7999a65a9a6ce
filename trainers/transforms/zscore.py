"""Z-score gradient normalisation (ZNorm)."""

from __future__ import annotations

import math

import torch

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, stateless, unit_of, widened


def zscore(eps: Number = 1e-8) -> Transform:
    """Give each weight tensor's gradient mean 0 and standard deviation 1.

    g <- (g - mean(g)) / (std(g) + eps), mean and unbiased standard deviation over the whole tensor, for
    tensors with more than one dimension and more than one entry; others pass unchanged. A zero gradient stays
    zero. A constant gradient becomes 0 if its mean is exact; if not, its rounding error is amplified as any
    tiny spread is, by up to 1/eps (in float32 to about ±1). A non-finite entry makes its tensor NaN.

    Args:
        eps: added to the standard deviation [gradient units], >= 0.

    Raises:
        ValueError: `eps` is negative.

    Reference: Yun, "ZNorm: Z-Score Gradient Normalization for Deep Neural Networks", arXiv:2408.01215, 2024.
    Differs from the reference: no code is published and the paper leaves open whether the deviation is
        unbiased and what happens to one-dimensional tensors; unbiased and "unchanged" are this project's
        choice.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("zscore")
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"]
        tensor([[-0.7071,  0.7071]])
    """
    check_range("zscore", 0.0, eps=eps)

    def normalised(g: torch.Tensor) -> torch.Tensor:
        wide, unit = widened(g), unit_of({"": g})
        centred = torch.addcdiv(-wide.mean() / unit, wide, unit)  # (wide - mean) / unit, in one pass
        # the deviation as a norm: torch's own is many times slower on a CPU
        std: torch.Tensor = torch.linalg.vector_norm(centred) / math.sqrt(g.numel() - 1)
        return (centred / (std + eps / unit)).to(g.dtype)

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        return {
            name: normalised(g) if g.dim() > 1 and g.numel() > 1 else g for name, g in grads.items()
        }, state

    return Transform(init=stateless, update=update)
