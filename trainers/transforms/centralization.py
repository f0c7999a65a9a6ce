"""Gradient centralization."""

from __future__ import annotations

from trainers.transforms.base import State, Tensors, Transform, stateless


def centralization(*, conv_only: bool = False) -> Transform:
    """Subtract from the gradient of each output unit its mean.

    g_i <- g_i - mean(g_i) over all dimensions but the first, for tensors with more than one dimension; biases
    and normalisation scales pass unchanged. A zero gradient stays zero; a non-finite entry makes its whole
    unit non-finite.

    Args:
        conv_only: centralise only tensors with more than three dimensions.

    Reference: Yong, Huang, Hua, Zhang, "Gradient Centralization: A New Optimization Technique for Deep Neural
        Networks", 2020, eq. 1.
    Differs from the reference: the authors' SGD centralises the gradient with the L2 term added; here, as in
        every transform, coupled weight decay is added by the optimizer afterwards.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("centralization")
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"]
        tensor([[-0.5000,  0.5000]])
    """
    least = 4 if conv_only else 2

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        out = dict(grads)
        for name, g in grads.items():
            if g.dim() >= least:
                out[name] = g - g.mean(dim=tuple(range(1, g.dim())), keepdim=True)
        return out, state

    return Transform(init=stateless, update=update)
