"""Muon: steps along the nearest orthogonal matrix of a momentum; AdamW for what is no hidden matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainers.naming import check_range, look_up
from trainers.optimizers.adamw import adamw
from trainers.optimizers.base import NamedParameters, Optimizer, OptimizerState, Tensors, by_name
from trainers.optimizers.layers import hidden

A, B, C = 3.4445, -4.7750, 2.0315
"""Coefficients of the iteration: steep at zero, so that few steps are enough."""
SMALLEST = 1e-7
"""Least norm that a matrix is divided by, as in `torch.optim.Muon`."""

ADJUSTMENTS: Mapping[str, Callable[[int, int], float]] = {
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
    "original": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
}
"""What lr of a hidden matrix [rows, columns] is multiplied by."""


def muon(
    momentum: float = 0.95,
    newton_schulz_steps: int = 5,
    adjust_lr: str = "match_rms_adamw",
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    adamw_lr: float = 1.0,
    *,
    nesterov: bool = True,
) -> Optimizer:
    """Orthogonal steps for hidden matrices, AdamW for all other tensors.

    For a hidden matrix θ [m, n], a convolution's kernel being [out, in · h · w]:

        b = momentum · b + (1 - momentum) · g
        u = momentum · b + (1 - momentum) · g with nesterov, else b
        θ <- (1 - lr · weight_decay) · θ - lr · adjust(m, n) · orthogonal(u)

    `orthogonal` divides u by its norm and iterates x <- A x + (B x xᵀ + C (x xᵀ)²) x, which brings all
    singular values near 1. A zero u gives no step, a u with a NaN makes its matrix NaN.

    Hidden matrices are those that `trainers.optimizers.layers.hidden` finds: weights of
    layers and kernels, without input layers, output layers and tables of positions. Names tell these
    (`embed`, `head`, `positions`); where no name does, the first and the last matrix are meant. A network
    with fewer than three matrices is trained by AdamW alone. Queries, keys and values that are packed in one
    tensor are one matrix.

    lr and weight decay are one number for both groups. With `match_rms_adamw` a step of a hidden matrix has
    about the size of one of AdamW (0.2 per entry), so lr and weight decay mean what they mean for AdamW. With
    `original` it has singular values near lr, and lr is usually about 0.02; `adamw_lr` then brings the other
    tensors to an lr of their own. In both the decay is lr · weight decay per step, without the adjustment. A
    restart zeroes b and AdamW's moments.

    Args:
        momentum: decay of the mean gradient, in [0, 1).
        newton_schulz_steps: of the iteration, in [1, 100).
        adjust_lr: a name of `ADJUSTMENTS`.
        beta1, beta2, eps: AdamW's, for the other tensors.
        adamw_lr: lr of the other tensors in units of lr, > 0.
        nesterov: look ahead along the mean.

    Raises:
        ValueError: a constant is out of range, or unknown.

    Reference: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, as
        `torch.optim.Muon` has it; `match_rms_adamw`: Liu et al., "Muon is Scalable for LLM Training",
        arXiv:2502.16982, 2025, eq. 4.
    Differs from the reference: the iteration is in the parameters' precision, torch's is in bfloat16 always,
        which moves single steps by about a hundredth. `adjust_lr` is `match_rms_adamw` by default, in torch
        `original`, because here one lr serves both groups. Kernels of convolutions are taken as matrices, as
        in the official code; torch refuses them.
    """
    check_range("muon", 0.0, 1.0, open_high=True, momentum=momentum)
    check_range("muon", 1, 100, open_high=True, newton_schulz_steps=newton_schulz_steps)
    check_range("muon", 0.0, math.inf, open_low=True, open_high=True, adamw_lr=adamw_lr)
    adjust = look_up("muon: adjust_lr", adjust_lr, ADJUSTMENTS)
    plain = adamw(beta1, beta2, eps)

    def init(params: Tensors) -> OptimizerState:
        inner = hidden(params)
        rest = {name: p for name, p in params.items() if name not in inner}
        # The counter's device is that of the parameters, and a network may be all matrices.
        empty = plain.init(params)
        return {
            "momentum": {name: torch.zeros_like(params[name]) for name in inner},
            "mean": {name: empty["mean"][name] for name in rest},
            "square": {name: empty["square"][name] for name in rest},
            "step": empty["step"],
        }

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        inner = list(state["momentum"])
        rest = [name for name in params if name not in state["momentum"]]
        new, after = plain.update(
            {name: grads[name] for name in rest},
            {key: state[key] for key in ("mean", "square", "step")},
            {name: params[name] for name in rest},
            lr * adamw_lr,
            weight_decay,
        )
        mean = {name: torch.lerp(state["momentum"][name], grads[name], 1 - momentum) for name in inner}
        ahead = {
            name: torch.lerp(grads[name], mean[name], momentum) if nesterov else mean[name] for name in inner
        }
        steps = orthogonal({name: u.flatten(1) for name, u in ahead.items()}, newton_schulz_steps)
        keep = 1 - lr * weight_decay
        for name, step in steps.items():
            p = params[name]
            new[name] = p * keep - lr * adjust(*step.shape) * step.reshape(p.shape)
        return {name: new[name] for name in params}, {"momentum": mean, **after}

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return Muon(
            params,
            lr,
            weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            newton_schulz_steps=newton_schulz_steps,
            adjust_lr=adjust_lr,
            betas=(beta1, beta2),
            eps=eps,
            adamw_lr=adamw_lr,
        )

    return Optimizer(
        "muon",
        init,
        update,
        reference,
        {"momentum": "momentum_buffer", "mean": "exp_avg", "square": "exp_avg_sq"},
        {
            "momentum": momentum,
            "newton_schulz_steps": newton_schulz_steps,
            "adjust_lr": adjust_lr,
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "adamw_lr": adamw_lr,
            "nesterov": nesterov,
        },
        elementwise=False,
    )


def orthogonal(tensors: Tensors, steps: int) -> Tensors:
    """The nearest orthogonal matrix of each matrix, about; those of one shape in one product."""
    alike: dict[tuple[int, int], list[str]] = {}
    for name, matrix in tensors.items():
        alike.setdefault((min(matrix.shape), max(matrix.shape)), []).append(name)
    found: Tensors = {}
    for names in alike.values():
        wide = [tensors[name] if lies(tensors[name]) else tensors[name].mT for name in names]
        for name, matrix in zip(names, iterated(torch.stack(wide), steps).unbind(), strict=True):
            found[name] = matrix if lies(tensors[name]) else matrix.mT
    return {name: found[name] for name in tensors}


def lies(matrix: Tensor) -> bool:
    """Whether it has no more rows than columns."""
    return matrix.shape[0] <= matrix.shape[1]


def iterated(x: Tensor, steps: int) -> Tensor:
    """The iteration on matrices [K, m, n] with m <= n."""
    x = x / torch.clamp(torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True), min=SMALLEST)
    for _ in range(steps):
        gram = x @ x.mT
        x = A * x + (B * gram + C * (gram @ gram)) @ x
    return x


class Muon(torch.optim.Optimizer):
    """The same as `torch.optim` would have it, matrix by matrix: what the serial trainer steps with.

    Args:
        params: names and parameters, of which the names tell hidden matrices.
        lr, weight_decay: of both groups.
        momentum, nesterov, newton_schulz_steps, adjust_lr, betas, eps, adamw_lr: as in `muon`.
    """

    def __init__(
        self,
        params: NamedParameters,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        newton_schulz_steps: int = 5,
        adjust_lr: str = "match_rms_adamw",
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        adamw_lr: float = 1.0,
    ) -> None:
        named = by_name(params, "Muon")
        inner = hidden(named)
        groups = [
            {"params": [named[name] for name in inner], "matrices": True},
            {"params": [p for name, p in named.items() if name not in inner], "matrices": False},
        ]
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "newton_schulz_steps": newton_schulz_steps,
            "adjust_lr": adjust_lr,
            "betas": tuple(betas),
            "eps": eps,
            "adamw_lr": adamw_lr,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step on every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            one = self._matrix if group["matrices"] else self._other
            for p in group["params"]:
                if p.grad is not None:
                    one(p, p.grad, group)
        return loss

    def _matrix(self, p: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        memory, lr, mu = self.state[p], group["lr"], group["momentum"]
        b = memory.setdefault("momentum_buffer", torch.zeros_like(p))
        b.mul_(mu).add_((1 - mu) * g)
        u = (mu * b + (1 - mu) * g if group["nesterov"] else b).flatten(1)
        tall = u.shape[0] > u.shape[1]
        x = u.T if tall else u
        x = x / max(float(x.norm()), SMALLEST)
        for _ in range(group["newton_schulz_steps"]):
            gram = x @ x.T
            x = A * x + B * gram @ x + C * gram @ gram @ x
        step = x.T if tall else x
        p.mul_(1 - lr * group["weight_decay"])
        p.sub_(lr * ADJUSTMENTS[group["adjust_lr"]](*u.shape) * step.reshape(p.shape))

    def _other(self, p: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        memory, lr = self.state[p], group["lr"] * group["adamw_lr"]
        beta1, beta2 = group["betas"]
        m = memory.setdefault("exp_avg", torch.zeros_like(p))
        v = memory.setdefault("exp_avg_sq", torch.zeros_like(p))
        t = memory.setdefault("step", torch.zeros(()))
        t += 1
        m.mul_(beta1).add_((1 - beta1) * g)
        v.mul_(beta2).add_((1 - beta2) * g * g)
        root = (v / (1 - beta2 ** float(t))).sqrt() + group["eps"]
        p.mul_(1 - lr * group["weight_decay"])
        p.sub_(lr * m / (1 - beta1 ** float(t)) / root)
