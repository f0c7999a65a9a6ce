"""Self-attention and LayerNorm that are the same alone and vectorised over cells, in every precision."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_batchedtensor
from torch.nn import functional

from trainers.models.sequences import linear

SHORT = 64
"""Longest sequence whose attention is products of their own on a CPU.

Measured were milliseconds of torch's kernel and of products, forward and backward in float32, on one core:

    17 places of 16 numbers, 2,048 heads: 12.0, 5.4       64 of 32, 256 heads: 14.8, 10.4
    32 places of 32 numbers, 128 heads: 1.2, 0.9          128 of 32, 256 heads: 39.7, 40.8
"""


class SelfAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` of a sequence with itself, batch first, in plain operations.

        softmax(q kᵀ / sqrt(width / heads)) v,   q, k, v and the output being linear in x

    In evaluation the base class calls a kernel of its own, which `torch.vmap` cannot vectorise. Its dropout
    draws masks that cannot be paired. Here both modes are the same, and there is no dropout.

    Parameters and results are those of the base class. Shapes: [B, length, width] in and out.

    Reference: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.
    Differs from the reference: the four linear layers have biases, as the base class has them.
    """

    # callers give the sequence three times
    def forward(  # type: ignore[override]
        self, query: Tensor, *_: Tensor, need_weights: bool = False, **__: Any
    ) -> tuple[Tensor, None]:
        heads = self.project(query).unflatten(-1, (3, self.num_heads, self.head_dim))
        q, k, v = heads.movedim(-3, 0).transpose(-2, -3).unbind(0)
        mixed = attend(q, k, v).transpose(-2, -3).flatten(-2)
        out: Tensor = self.out_proj(mixed)
        return out, None

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values beside each other, [B, length, 3 · width]."""
        return linear(x, self.in_proj_weight, self.in_proj_bias)


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """`scaled_dot_product_attention` of [B, heads, length, depth].

        softmax(q kᵀ / sqrt(depth)) v

    Written in products where sequences are short. Of longer ones, the cells are more examples of one call
    under `torch.vmap`, because torch has no rule for it on a CPU.

    Args:
        causal: each place attends to itself and those before it.
    """
    if q.shape[-2] <= SHORT and q.device.type == "cpu":
        return attended(q, k, v, causal=causal)
    if is_batchedtensor(q):
        out: Tensor = Attend.apply(q, k, v, causal)  # type: ignore[no-untyped-call]  # torch has no types
        return out
    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def attended(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """The same in products, which hold every weight in memory, and are finite for logits of 10²⁴ too."""
    scores = (q / math.sqrt(q.shape[-1])) @ k.mT
    if causal:
        scores = scores + later(scores.shape[-1], scores.dtype)
    return scores.softmax(-1) @ v


@cache
def later(length: int, dtype: torch.dtype) -> Tensor:
    """What takes away the places after each one, [length, length]: minus infinity there, and 0 elsewhere."""
    return torch.full((length, length), -torch.inf, dtype=dtype).triu(1)


class Attend(torch.autograd.Function):
    """Attention with a vectorised form of its own. What `vmap` calls is differentiated by autograd itself."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept: this runs under `torch.vmap` only."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], q: Tensor, k: Tensor, v: Tensor, causal: bool
    ) -> tuple[Tensor, int]:
        q, k, v = (
            (t.expand(info.batch_size, *t.shape) if d is None else t.movedim(d, 0)).flatten(0, 1)
            for t, d in zip((q, k, v), in_dims[:3], strict=True)
        )
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return out.unflatten(0, (info.batch_size, -1)), 0


class WideLayerNorm(nn.LayerNorm):
    """LayerNorm that computes in its parameters' precision, and returns its input's.

    Its parameters stay in float32 where the network computes in half precision.
    """

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of nn.LayerNorm may use
        return functional.layer_norm(
            input.to(self.weight.dtype), self.normalized_shape, self.weight, self.bias, self.eps
        ).to(input.dtype)


class WideLayerNorm2d(WideLayerNorm):
    """The same over the channels of maps [B, channels, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


KINDS: dict[str, type[nn.Module]] = {
    "MultiheadAttention": SelfAttention,
    "LayerNorm": WideLayerNorm,
    "LayerNorm2d": WideLayerNorm2d,
}
"""Classes of torch and torchvision by name, and what replaces them."""


def plain(model: nn.Module) -> nn.Module:
    """The same network in operations that vectorise over cells; changed in place and returned."""
    for module in model.modules():
        module.__class__ = KINDS.get(type(module).__name__, type(module))
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model
