"""Vision transformers: a small one for small images, and ViT-B/16."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainers.models.attention import SelfAttention, WideLayerNorm, plain
from trainers.naming import check_range
from trainers.vision import check_images, vision


class Block(nn.Module):
    """Attention and a two-layer network with GELU, each behind a LayerNorm and around it a shortcut."""

    def __init__(self, width: int, heads: int, ratio: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = WideLayerNorm(width, eps=1e-6), WideLayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, ratio * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(ratio * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x))[0])
        out: Tensor = x + self.dropout(self.mlp(self.norm2(x)))
        return out


class SmallTransformer(nn.Module):
    """Patches, learned positions, a class token, blocks, LayerNorm, and one linear layer on the token."""

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        patch: int,
        width: int,
        layers: int,
        heads: int,
        ratio: int,
        dropout: float,
    ) -> None:
        super().__init__()
        channels, height, side = shape
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(
            torch.empty(1, 1 + height // patch * (side // patch), width).normal_(std=0.02)
        )
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(Block(width, heads, ratio, dropout) for _ in range(layers)), WideLayerNorm(width, eps=1e-6)
        )
        self.head = nn.Linear(width, outputs)
        nn.init.trunc_normal_(self.head.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        sequence = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions
        out: Tensor = self.head(self.blocks(self.dropout(sequence))[:, 0])
        return out


def vit(
    shape: tuple[int, ...],
    outputs: int,
    patch: int = 4,
    width: int = 192,
    layers: int = 6,
    heads: int = 3,
    ratio: int = 4,
    dropout: float = 0.0,
) -> nn.Module:
    """A small vision transformer.

    Args:
        shape: (channels, height, width) of one example.
        outputs: number of logits.
        patch: side of a patch, a divisor of height and width [pixels].
        width: of the sequence's vectors, a multiple of `heads`.
        layers: blocks of attention and two-layer network.
        heads: of each attention.
        ratio: width of the hidden layer, in `width`s.
        dropout: probability of dropping an entry, after the positions, in the hidden layer and behind each
            branch, in [0, 1]; not of the attention's weights.

    Raises:
        ValueError: a constant is out of range, or does not divide what it must.

    Reference: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, section 3.1; width and heads are
        those of DeiT-Ti (Touvron et al., 2021, table 1).
    Differs from the reference: six layers, not twelve; the last layer starts normal with deviation 0.02, not
        zero.
    """
    check_range("vit", 1, patch=patch, width=width, layers=layers, heads=heads, ratio=ratio)
    check_range("vit", 0.0, 1.0, dropout=dropout)
    if len(shape) != 3 or shape[1] % patch or shape[2] % patch:
        raise ValueError(
            f"vit: patch is {patch} and examples have shape {list(shape)}; wanted [channels, height, width] "
            "with sides that are multiples of patch"
        )
    if width % heads:
        raise ValueError(f"vit: width is {width} and heads is {heads}; wanted a multiple of heads")
    return SmallTransformer(shape, outputs, patch, width, layers, heads, ratio, dropout)


def vit_b_16(
    shape: tuple[int, ...],
    outputs: int,
    dropout: float = 0.0,
    patch: int = 16,
    width: int = 768,
    layers: int = 12,
    heads: int = 12,
) -> nn.Module:
    """torchvision's ViT-B/16, with the same parameter names.

    It has 86.6 million parameters at 224 pixels and 1,000 classes.

    Args:
        shape: (3, side, side) of one example; side is a multiple of `patch`.
        outputs: number of logits.
        dropout: probability of dropping an entry, in [0, 1]; not of the attention's weights.
        patch: side of a patch [pixels].
        width: of the sequence's vectors, a multiple of `heads`; hidden layers have four times as many.
        layers: blocks of attention and two-layer network.
        heads: of each attention.

    Raises:
        ValueError: the examples do not fit, a constant is out of range, or there is no torchvision.

    Reference: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, table 1;
        `torchvision.models.vit_b_16`.
    Differs from the reference: nothing; as in torchvision the last layer starts at zero.
    """
    check_range("vit_b_16", 0.0, 1.0, dropout=dropout)
    check_range("vit_b_16", 1, patch=patch, width=width, layers=layers, heads=heads)
    check_images("vit_b_16", shape, least=patch, multiple=patch, square=True)
    if width % heads:
        raise ValueError(f"vit_b_16: width is {width} and heads is {heads}; wanted a multiple of heads")
    transformer = vision().models.VisionTransformer(
        shape[1], patch, layers, heads, width, 4 * width, dropout=dropout, num_classes=outputs
    )
    return plain(transformer)
