"""ZClip."""

from __future__ import annotations

import torch

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, global_norm, scaled


def zclip(
    alpha: Number = 0.97,
    z_threshold: Number = 2.5,
    max_grad_norm: Number | None = 1.0,
    eps: Number = 1e-6,
    warmup_steps: Number = 25,
    clip_factor: Number = 1.0,
) -> Transform:
    """Clip the global norm when it lies far above its running average, the harder the further it does.

    With N the global norm, μ and σ² its running mean and variance, and z = (N - μ) / (σ + eps),

        N* = clip_factor · (μ + z_threshold² · σ / z)   if z > z_threshold,  else  N
        c = min(N*, max_grad_norm),   g <- g · c / (N + 1e-6)  if N > c
        μ <- alpha · μ + (1 - alpha) · N*,   then   σ² <- alpha · σ² + (1 - alpha) · (N* - μ)²

    Only norms above the average count as spikes. During the first `warmup_steps` steps (one at least) the
    gradient is only clipped to `max_grad_norm`; μ and σ² then start from the mean and the population variance
    of those norms. Zero, tiny and subnormal gradients pass unchanged. A norm that is infinite, or overflows,
    is clipped to μ: finite entries become 0 and infinite ones NaN, and the averages move on as if N* = μ. A
    NaN norm leaves the gradient as it is, but in the warm-up, with `max_grad_norm`, it makes everything NaN.
    Any NaN, and an infinite norm in the warm-up, makes μ or σ² NaN for good. From then on only
    `max_grad_norm` clips.

    Args:
        alpha: decay of both averages, in [0, 1].
        z_threshold: z above which a norm is a spike [standard deviations], > 0.
        max_grad_norm: largest global norm at any time [gradient units], > 0; None clips spikes only.
        eps: added to σ [gradient units], > 0.
        warmup_steps: steps before the first clipping of a spike [steps], >= 0.
        clip_factor: multiplies the norm that a spike is clipped to, > 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: Kumar, Owen, Roy Chowdhury, Güra, "ZClip: Adaptive Spike Mitigation for LLM Pre-Training",
        arXiv:2504.02507, 2025, Algorithm 1, with the warm-up, eps and `max_grad_norm` of the official code
        (its mode "zscore", option "adaptive_scaling").
    Differs from the reference: mean and variance of the warm-up are accumulated instead of computed from a
        list of norms, which is the same up to rounding.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("zclip", warmup_steps=3, max_grad_norm=None)
        >>> state = transform.init({"weight": torch.zeros(1)})
        >>> for norm in (1.0, 1.2, 0.8, 10.0):
        ...     out, state = transform.update({"weight": torch.tensor([norm])}, state, params={})
        >>> out["weight"]
        tensor([1.0185])
    """
    check_range("zclip", 0.0, 1.0, alpha=alpha)
    check_range("zclip", 0.0, open_low=True, z_threshold=z_threshold, eps=eps, clip_factor=clip_factor)
    check_range("zclip", 0.0, warmup_steps=warmup_steps)
    if max_grad_norm is not None:
        check_range("zclip", 0.0, open_low=True, max_grad_norm=max_grad_norm)

    def init(params: Tensors) -> State:
        zero = torch.zeros_like(global_norm(params))
        return {"mean": zero, "variance": zero.clone(), "count": zero.to(torch.float64)}

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        norm, mean, variance, count = global_norm(grads), state["mean"], state["variance"], state["count"] + 1
        is_warmup = (count <= warmup_steps) | (count == 1)
        deviation = torch.sqrt(variance)
        z = (norm - mean) / (deviation + eps)
        is_spike = ~is_warmup & (z > z_threshold)
        kept = torch.where(is_spike, clip_factor * (mean + z_threshold * deviation / (z / z_threshold)), norm)

        limit = kept if max_grad_norm is None else torch.clamp(kept, max=max_grad_norm)
        factor = torch.where(norm > limit, limit / (norm + 1e-6), torch.ones_like(norm))
        if max_grad_norm is not None:
            # The warm-up clips as torch does, which differs within 1e-6 of the limit and for NaN.
            factor = torch.where(is_warmup, torch.clamp(max_grad_norm / (norm + 1e-6), max=1.0), factor)

        seen = count.to(norm.dtype)
        warm_mean = mean + (norm - mean) / seen
        warm_variance = variance + ((norm - mean) * (norm - warm_mean) - variance) / seen
        late_mean = alpha * mean + (1 - alpha) * kept
        late_variance = alpha * variance + (1 - alpha) * (kept - late_mean) ** 2
        state = {
            "mean": torch.where(is_warmup, warm_mean, late_mean),
            "variance": torch.where(is_warmup, warm_variance, late_variance),
            "count": count,
        }
        return scaled(grads, factor), state

    return Transform(init=init, update=update)
