"""A small LLaMA: a decoder that predicts the next token at every position."""

from __future__ import annotations

import math
from functools import cache, partial

import torch
from torch import Tensor, nn

from trainers.models.attention import attend
from trainers.models.sequences import Embedding, Projection, rounded_once
from trainers.naming import check_range, look_up

SIZES: dict[str, tuple[int, int, int, int]] = {
    "0.1m": (64, 2, 4, 176),
    "0.4m": (96, 3, 4, 256),
    "0.9m": (128, 4, 4, 352),
    "9m": (128, 4, 4, 352),
    "20m": (256, 4, 4, 688),
    "35m": (384, 6, 8, 1024),
    "60m": (512, 8, 8, 1376),
    "130m": (768, 12, 12, 2048),
    "350m": (1024, 24, 16, 2736),
}
"""Width, depth, heads and hidden width by name.

Names below 1m say the parameters at 256 tokens, the others those at 32,000. From 9m on they are those of the
configurations that GaLore and Stable-SPAM publish, so `0.9m` and `9m` are one shape.
"""
EPS = 1e-6
"""Added to mean squares by every RMSNorm, as in the published configurations."""
TRUNCATED = 0.8796256610342398
"""Standard deviation of a standard normal number that is drawn within two deviations."""


class RMSNorm(nn.RMSNorm):
    """weight · x / sqrt(mean(x²) + eps) over the last dimension, computed in the weight's precision.

    The weight stays in float32 where the network computes in half precision. Returns its input's type.

    Reference: Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
    Differs from the reference: eps is added to the mean square.
    """

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        assert self.eps is not None
        wide = x.to(self.weight.dtype)
        # In plain operations, because torch's own has no rule for many cells in the oldest release.
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale * self.weight).to(x.dtype)


@cache
def angles(length: int, depth: int, base: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """cos and ∓ sin of the rotary angles, shape [2, length, depth]; once per device, so no step waits."""
    rate = base ** -(torch.arange(0, depth, 2, dtype=torch.float64) / depth)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)]).to(device, dtype)


def rotated(x: Tensor, base: float) -> Tensor:
    """Vectors [B, heads, length, depth] turned by angles that grow with their position.

        (a, b) -> (a cos φ - b sin φ, b cos φ + a sin φ),   φ = position · base^(-2 i / depth)

    a is entry i of a vector and b entry i + depth / 2.

    Reference: Su et al., "RoFormer", 2021, section 3.2.2; entries are paired as in Hugging Face's LLaMA.
    Differs from the reference: it pairs neighbouring entries, 2 i and 2 i + 1, and has no other base than
        10,000.
    """
    cos, sin = angles(x.shape[-2], x.shape[-1], base, x.dtype, x.device)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class Attention(nn.Module):
    """Causal self-attention with rotary positions, without biases; with `qk_norm` q and k are normalised."""

    def __init__(self, width: int, heads: int, base: float, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads, self.base = heads, base
        self.q, self.k, self.v, self.out = (Projection(width, width) for _ in range(4))
        depth = width // heads
        self.q_norm, self.k_norm = (RMSNorm(depth, eps=EPS) if qk_norm else nn.Identity() for _ in range(2))

    def queries_and_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of [B, length, width], both [B, heads, length, depth], as their products become logits."""
        q, k = self.q_norm(self.split(self.q(x))), self.k_norm(self.split(self.k(x)))
        return rotated(q, self.base), rotated(k, self.base)

    def largest_logit(self, x: Tensor) -> Tensor:
        """The largest q · k / sqrt(depth) of a place and one that it attends to; at least float32."""
        q, k = self.queries_and_keys(x)
        # Half precision would overflow at 65,504, which is where it becomes interesting.
        wide = torch.promote_types(q.dtype, torch.float32)
        logits = q.to(wide) @ k.to(wide).mT / math.sqrt(q.shape[-1])
        later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        return logits.masked_fill(later, -torch.inf).amax()

    def split(self, x: Tensor) -> Tensor:
        """[B, length, width] as [B, heads, length, depth]."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(-2, -3)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.queries_and_keys(x)
        mixed = rounded_once(partial(attend, causal=True), q, k, self.split(self.v(x)))
        out: Tensor = self.out(mixed.transpose(-2, -3).flatten(-2))
        return out


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)).

    Reference: Shazeer, "GLU Variants Improve Transformer", 2020, equation 6.
    Differs from the reference: nothing.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.up = (Projection(width, hidden) for _ in range(2))
        self.down = Projection(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    """Attention and SwiGLU, each behind an RMSNorm and with a shortcut around it."""

    def __init__(self, width: int, heads: int, hidden: int, base: float, *, qk_norm: bool) -> None:
        super().__init__()
        self.norm1 = RMSNorm(width, eps=EPS)
        self.attention = Attention(width, heads, base, qk_norm=qk_norm)
        self.norm2 = RMSNorm(width, eps=EPS)
        self.mlp = SwiGLU(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Llama(nn.Module):
    """Embedding, blocks, RMSNorm, and a head of its own: tokens [B, length] to logits [B, length, V]."""

    def __init__(
        self, vocabulary: int, width: int, depth: int, heads: int, hidden: int, base: float, *, qk_norm: bool
    ) -> None:
        super().__init__()
        self.embed = Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, base, qk_norm=qk_norm) for _ in range(depth))
        self.norm = RMSNorm(width, eps=EPS)
        self.head = Projection(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x))
        return out

    def probes(self, tokens: Tensor) -> dict[str, Tensor]:
        """The largest attention logit of any head and place, and the mean of log Z over all places.

        Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities",
            2023, sections 3.1.1 and 3.1.2.
        Differs from the reference: nothing that it names; both are computed in float32 at least.
        """
        x, largest = self.embed(tokens), []
        for block in self.blocks:
            assert isinstance(block, Block)
            largest.append(block.attention.largest_logit(block.norm1(x)))
            x = block(x)
        logits = self.head(self.norm(x))
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return {"attention_logit": torch.stack(largest).amax(), "log_z": wide.logsumexp(-1).mean()}


def llama(
    shape: tuple[int, ...],
    outputs: int,
    size: str = "0.1m",
    width: int | None = None,
    depth: int | None = None,
    heads: int | None = None,
    hidden: int | None = None,
    *,
    qk_norm: bool = False,
    init_std: float | None = None,
    base: float = 10_000.0,
) -> nn.Module:
    """A LLaMA that was not trained: pre-norm, RMSNorm, SwiGLU, rotary positions, no biases, untied head.

    Weights are normal within two deviations. Their standard deviation is 1 / sqrt(inputs of the layer), which
    for the embedding is 1 / sqrt(width), or `init_std` for all. The weights of norms are 1.

    Args:
        shape: (context,), the length of a sequence [tokens].
        outputs: number of different tokens.
        size: a name of `SIZES`, for what is not given by itself.
        width: of the vectors of a sequence, an even multiple of `heads`.
        depth: number of blocks.
        heads: of each attention.
        hidden: width inside of SwiGLU.
        qk_norm: whether queries and keys of each head pass an RMSNorm, which bounds attention logits.
        init_std: standard deviation of all weights, > 0; 0.02 in the published configurations.
        base: of the rotary angles, > 1.

    Raises:
        ValueError: a constant is out of range, does not divide what it must, or examples are no sequences.

    Reference: Touvron et al., "LLaMA", 2023, section 2.2; sizes as in Zhao et al., "GaLore", 2024; `qk_norm`
        and 1 / sqrt(inputs) as in Wortsman et al., "Small-scale proxies for large-scale Transformer training
        instabilities", 2023, sections 2.1 and 3.1.1.
    Differs from the reference: published configurations start from a normal distribution that is not
        truncated; Wortsman et al. have LayerNorm, and one over all of a head's entries for queries and keys.
    """
    published = look_up("size of llama", size, SIZES)
    given = (width, depth, heads, hidden)
    width, depth, heads, hidden = (
        own if own is not None else named for own, named in zip(given, published, strict=True)
    )
    check_range("llama", 1, width=width, depth=depth, heads=heads, hidden=hidden)
    check_range("llama", 1.0, open_low=True, base=base)
    if init_std is not None:
        check_range("llama", 0.0, open_low=True, init_std=init_std)
    if len(shape) != 1:
        raise ValueError(
            f"llama: examples have shape {list(shape)}; wanted [context], sequences of tokens; "
            "take workload: text"
        )
    if width % heads:
        raise ValueError(f"llama: width is {width} and heads is {heads}; wanted a multiple of heads")
    if width // heads % 2:
        raise ValueError(
            f"llama: width is {width} and heads is {heads}, so a head has {width // heads} entries; "
            "wanted an even number, because rotary positions turn pairs"
        )
    model = Llama(outputs, width, depth, heads, hidden, base, qk_norm=qk_norm)
    for p in model.parameters():
        if p.dim() > 1:
            std = (init_std or 1 / math.sqrt(p.shape[1])) / TRUNCATED
            nn.init.trunc_normal_(p, std=std, a=-2 * std, b=2 * std)
    return model
