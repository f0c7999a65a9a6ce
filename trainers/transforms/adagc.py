"""AdaGC: adaptive gradient clipping by each tensor's own history."""

from __future__ import annotations

import torch

from trainers.naming import check_range
from trainers.transforms.base import Number, State, Tensors, Transform, scaled, tensor_norms


def adagc(
    lambda_rel: Number = 1.05,
    lambda_abs: Number = 1.0,
    beta: Number = 0.98,
    warmup_steps: Number = 100,
    eps: Number = 1e-8,
) -> Transform:
    """Keep each tensor's gradient norm below a multiple of the running average of its clipped norms.

    With N the global norm and n the norm of one tensor's gradient, at step t

        t < warmup_steps, or t = 1:  h = min(1, lambda_abs / (N + eps))
                                     γ <- min(γ, ||h g||)
        later:                       h = min(1, lambda_rel · max(γ, eps) / max(n, eps))
                                     γ <- beta · γ + (1 - beta) · ||h g||

    and g <- h · g; γ starts infinite. A zero gradient stays zero; if it comes in the warm-up, γ is 0 and the
    tensor's later norms start from lambda_rel · eps and can grow by (lambda_rel - 1) · (1 - beta) per step
    only. An infinite norm gives h = 0: finite entries become 0 and infinite ones NaN, and with a NaN entry γ,
    and so the tensor at all later steps, is NaN. A NaN in the warm-up reaches all tensors through N, later
    its own only.

    Args:
        lambda_rel: largest ratio of norm to average norm, > 0.
        lambda_abs: largest global norm during the warm-up [gradient units], > 0.
        beta: decay of γ, in [0, 1).
        warmup_steps: first step that is clipped by γ [steps], >= 0.
        eps: smallest norm that is divided by, and smallest average [gradient units], > 0.

    Raises:
        ValueError: a constant is out of range.

    Reference: "AdaGC: Improving Training Stability for Large Language Model Pretraining", arXiv:2502.11034,
        2025, Algorithm 1, as pytorch_optimizer's `AdaGC` has it (its defaults and eps).
    Differs from the reference: nothing that is known; the paper's own defaults are not confirmed.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("adagc", warmup_steps=1)
        >>> state = transform.init({"weight": torch.zeros(1)})
        >>> for norm in (0.8, 10.0):
        ...     out, state = transform.update({"weight": torch.tensor([norm])}, state, params={})
        >>> out["weight"]
        tensor([0.8400])
    """
    check_range("adagc", 0.0, open_low=True, lambda_rel=lambda_rel, lambda_abs=lambda_abs, eps=eps)
    check_range("adagc", 0.0, 1.0, open_high=True, beta=beta)
    check_range("adagc", 0.0, warmup_steps=warmup_steps)

    def init(params: Tensors) -> State:
        norms = tensor_norms(params)
        return {
            "average": torch.full_like(norms, torch.inf),
            "step": torch.zeros_like(norms[0], dtype=torch.float64),
        }

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        step, average, norms = state["step"] + 1, state["average"], tensor_norms(grads)
        is_warmup = (step < warmup_steps) | (step == 1)
        early = lambda_abs / (torch.linalg.vector_norm(norms) + eps)
        late = lambda_rel * torch.clamp(average, min=eps) / torch.clamp(norms, min=eps)
        factors = torch.clamp(torch.where(is_warmup, early, late), max=1.0)
        out = scaled(grads, factors)
        clipped = tensor_norms(out)
        # In the warm-up the smallest clipped norm is kept; an average would begin at infinity.
        average = torch.where(
            is_warmup, torch.minimum(average, clipped), beta * average + (1 - beta) * clipped
        )
        return out, {"average": average, "step": step}

    return Transform(init=init, update=update)
