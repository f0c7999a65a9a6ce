"""Adam-mini: Adam with one squared mean per block of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.optimizers.base import (
    NamedParameters,
    Optimizer,
    OptimizerState,
    Tensors,
    by_name,
    step_zero,
    zeros_like,
)
from trainers.optimizers.layers import matrices, outer, words

QUERIES = frozenset({"q", "k", "query", "key", "wq", "wk"})
"""Words of a name that tell the weights of queries or keys."""


def adam_mini(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, heads: int = 1) -> Optimizer:
    """AdamW that divides a whole block of a tensor by one number.

        m = beta1 · m + (1 - beta1) · g,   v = beta2 · v + (1 - beta2) · mean of g² over the block
        θ <- (1 - lr · weight_decay) · θ - lr · m̂ / (sqrt(v̂) + eps)

    with the corrections of AdamW. Blocks are told by names and shapes. Of input layers, output layers and
    tables of positions (`trainers.optimizers.layers.outer`) every entry is a block, which is AdamW. Weights
    of queries and of keys have one block per head, and where queries, keys and values are packed in one
    tensor, it has `heads` blocks for each. Every other tensor is one block.

    lr and weight decay mean what they mean for AdamW. A restart zeroes m and v.

    Args:
        beta1: decay of the mean, in [0, 1).
        beta2: decay of the squared mean, in [0, 1).
        eps: added to the root, >= 0.
        heads: of the network's attention, >= 1; 1 serves networks without attention.

    Raises:
        ValueError: a constant is out of range. In `init`: heads do not divide a tensor of queries.

    Reference: Zhang et al., "Adam-mini: Use Fewer Learning Rates To Gain More", arXiv:2406.16793, 2024,
        Algorithm 1, as `pytorch_optimizer.AdamMini` has it.
    Differs from the reference: weight decay acts on norm layers too, as in every optimizer here. Input and
        output layers are found by position too where no name tells. In networks that are no transformers the
        reference has no such layers. Memory is that of the parameters' precision, not float32.
    """
    check_range("adam_mini", 0.0, 1.0, open_high=True, beta1=beta1, beta2=beta2)
    check_range("adam_mini", 0.0, eps=eps)
    check_range("adam_mini", 1, heads=heads)

    def init(params: Tensors) -> OptimizerState:
        count = blocks(params, heads)
        square = {}
        for name, p in params.items():
            square[name] = torch.zeros_like(p.reshape(count[name], -1)[:, :1])
        return {"mean": zeros_like(params), "square": square, "step": step_zero(params)}

    def update(
        grads: Tensors, state: OptimizerState, params: Tensors, lr: Tensor, weight_decay: Tensor
    ) -> tuple[Tensors, OptimizerState]:
        step = state["step"] + 1
        rate = lr / (1 - beta1**step).to(lr.dtype)
        root = torch.sqrt(1 - beta2**step).to(lr.dtype)
        keep = 1 - lr * weight_decay
        mean = {k: torch.lerp(state["mean"][k], g, 1 - beta1) for k, g in grads.items()}
        square = {}
        for k, g in grads.items():
            v = state["square"][k]
            square[k] = torch.lerp(v, g.reshape(len(v), -1).square().mean(1, keepdim=True), 1 - beta2)
        new = {}
        for k, p in params.items():
            v = square[k]
            u = mean[k].reshape(len(v), -1) * (rate / (v.sqrt() / root + eps))
            new[k] = p * keep - u.reshape(p.shape)
        return new, {"mean": mean, "square": square, "step": step}

    def reference(params: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return AdamMini(params, lr, weight_decay, betas=(beta1, beta2), eps=eps, heads=heads)

    return Optimizer(
        "adam_mini",
        init,
        update,
        reference,
        {"mean": "exp_avg", "square": "exp_avg_sq"},
        {"beta1": beta1, "beta2": beta2, "eps": eps, "heads": heads},
        elementwise=False,
    )


def blocks(params: Mapping[str, Tensor], heads: int) -> dict[str, int]:
    """How many blocks each tensor of one cell has, of equally many entries that follow each other.

    Raises:
        ValueError: heads do not divide a tensor of queries, or of keys.
    """
    every, weights = set(outer(params)), set(matrices(params))
    found = {}
    for name, p in params.items():
        found[name] = 1
        if name in every:
            found[name] = p.numel()
        elif name in weights:
            found[name] = heads if words(name) & QUERIES else 3 * heads if is_packed(name) else 1
        if p.shape and name not in every and p.shape[0] % found[name]:
            raise ValueError(
                f"adam_mini: heads is {heads} and {name} has {p.shape[0]} rows; "
                f"wanted a number of heads that divides them{' in three' if is_packed(name) else ''}"
            )
    return found


def is_packed(name: str) -> bool:
    """Whether a weight holds queries, keys and values: `attn.qkv.weight`, `in_proj_weight`."""
    found = words(name)
    return "qkv" in found or {"in", "proj"} <= found


class AdamMini(torch.optim.Optimizer):
    """The same as `torch.optim` would have it, block by block: what the serial trainer steps with.

    Args:
        params: names and parameters, of which the names tell blocks.
        lr, weight_decay, betas, eps, heads: as in `adam_mini`.
    """

    def __init__(
        self,
        params: NamedParameters,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        *,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        heads: int = 1,
    ) -> None:
        named = by_name(params, "AdamMini")
        groups = [{"params": [named[name]], "blocks": count} for name, count in blocks(named, heads).items()]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "betas": tuple(betas), "eps": eps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step on every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (p,), (beta1, beta2) = group["params"], group["betas"]
            if p.grad is None:
                continue
            memory = self.state[p]
            m = memory.setdefault("exp_avg", torch.zeros_like(p))
            v = memory.setdefault("exp_avg_sq", p.new_zeros(group["blocks"]))
            t = memory.setdefault("step", torch.zeros(()))
            t += 1
            m.mul_(beta1).add_((1 - beta1) * p.grad)
            v.mul_(beta2).add_((1 - beta2) * (p.grad**2).flatten().view(group["blocks"], -1).mean(1))
            p.mul_(1 - group["lr"] * group["weight_decay"])
            root = torch.sqrt(v / (1 - beta2 ** float(t))) + group["eps"]
            rows = m.view(group["blocks"], -1) / (1 - beta1 ** float(t)) / root.unsqueeze(1)
            p.sub_(group["lr"] * rows.view(p.shape))
        return loss
