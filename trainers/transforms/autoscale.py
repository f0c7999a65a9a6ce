"""Gradient Autoscaled Normalization."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, matrices, unit_of, widened


def autoscale(
    eps: Number = 1e-8,
    numerator: Number = 4.0,
    switch: Number = 0.5,
    exponent: Number | None = None,
    cap: Number = math.inf,
    *,
    center: bool = True,
    scale: bool = True,
) -> Transform:
    """Remove each weight tensor's mean gradient, and scale all by one number that follows their deviation.

    With s_t the unbiased standard deviation of all entries of all gradients with more than one dimension,

        a_t = min(cap, (numerator / (|ln s_t| + eps)) ** p_t),   g <- a_t · (g - mean(g))

    p_1 = 2; afterwards p_t = 1 if a_1 < switch, else 2. Tensors with one dimension pass unchanged. a_t
    exceeds 1 for e^-4 < s < e^4 and is singular at s = 1 (4e8 for p = 1), which the paper does not mention. A
    zero gradient (s = 0) stays zero, because a = 0. A non-finite entry makes s, and so every weight gradient,
    NaN or 0 · inf = NaN.

    Args:
        eps: added to |ln s|, >= 0.
        numerator: the 4 of the paper, > 0.
        switch: below this a_1 the later exponent is 1, >= 0.
        exponent: None follows the rule above; a number is used at every step.
        cap: largest a_t, > 0; infinite as printed.
        center: False leaves the mean in (scale only).
        scale: False leaves a_t out (mean removal only).

    Raises:
        ValueError: a constant is out of range.

    Reference: Yun, "Gradient Autoscaled Normalization", arXiv:2509.03677, 2025, eq. 1 and the rule after it.
    Differs from the reference: no code is published. The natural logarithm, the meaning of "first iteration"
        (step 1) and the exponent of a_1 (2) are not stated there. Equation 1 is read as its stated
        simplification (4/(|log s|+eps))^p.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("autoscale", cap=2.0)
        >>> grads = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> out, state = transform.update(grads, transform.init(grads), params=grads)
        >>> out["weight"], state["factor"]
        (tensor([[-1.,  1.]]), tensor(2.))
    """
    check_range("autoscale", 0.0, eps=eps, switch=switch)
    check_range("autoscale", 0.0, open_low=True, numerator=numerator, cap=cap)
    if exponent is not None:
        check_range("autoscale", exponent=exponent)

    def init(params: Tensors) -> State:
        first = next(iter(params.values()))
        return {
            name: torch.full((), value, device=first.device)
            for name, value in {"exponent": 2.0, "step": 0.0, "factor": 1.0}.items()
        }

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        weights = matrices(grads)
        if not weights:
            return dict(grads), state
        out = dict(grads)
        if center:
            out |= {name: g - g.mean() for name, g in weights.items()}
        if not scale:
            return out, state
        p = state["exponent"] if exponent is None else exponent
        factor = (numerator / (torch.log(global_std(weights)).abs() + eps)) ** p
        factor = torch.clamp(factor, max=cap)
        is_first = state["step"] == 0
        later = torch.where(factor < switch, 1.0, 2.0).to(state["exponent"].dtype)
        state = {
            "exponent": torch.where(is_first, later, state["exponent"]),
            "step": state["step"] + 1,
            # Recorded with the dynamics, as the transform's own scale.
            "factor": factor.to(state["factor"].dtype),
        }
        out |= {name: out[name] * factor.to(g.dtype) for name, g in weights.items()}
        return out, state

    return Transform(init=init, update=update)


def global_std(grads: Tensors) -> Tensor:
    """Unbiased standard deviation of all entries of all tensors together."""
    # In two passes, and without a copy of all gradients behind each other.
    n, unit = sum(g.numel() for g in grads.values()), unit_of(grads)
    mean = torch.as_tensor(sum(widened(g).sum() / unit for g in grads.values())) / n
    squares = torch.zeros_like(mean)
    for g in grads.values():
        centred = torch.addcdiv(-mean, widened(g), unit)  # (g - mean) / unit, in one pass
        squares = squares + (centred**2).sum()
    return unit * torch.sqrt(squares / max(n - 1, 1))
