"""PatchTST: a transformer over patches of each variable."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainers.naming import check_range, look_up

SETTINGS: dict[str, dict[str, Any]] = {
    "ETTh1": {"width": 16, "heads": 4, "hidden": 128, "dropout": 0.3},
    "weather": {"width": 128, "heads": 16, "hidden": 256, "dropout": 0.2},
}
"""Sizes of the paper's scripts for supervised forecasting, by the data that they are for."""
EPSILON = 1e-5
"""Added to a window's variance before its root is taken."""


class Layer(nn.Module):
    """Attention and a two-layer network with GELU, each with a shortcut and BatchNorm behind it.

    Tokens are [B · V · patches, width], so that linear maps of all cells are one product per cell.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads, depth = heads, width // heads
        self.scale = depth**-0.5
        self.query, self.key, self.value = (nn.Linear(width, heads * depth) for _ in range(3))
        self.out = nn.Linear(heads * depth, width)
        self.inner = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )
        self.dropout = nn.Dropout(dropout)
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor, patches: int, before: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v = (self.split(part(x), patches) for part in (self.query, self.key, self.value))
        # The queries are scaled, because there are fewer of them than scores.
        scores = (q * self.scale) @ k.mT
        if before is not None:
            scores = scores + before
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2).flatten(0, 1)
        # The reference drops twice here: behind the attention's own linear layer, and before the sum.
        x = normalised(self.norm1, x + self.dropout(self.dropout(self.out(mixed))))
        return normalised(self.norm2, x + self.dropout(self.inner(x))), scores

    def split(self, x: Tensor, patches: int) -> Tensor:
        """[B · V, heads, patches, depth] of [B · V · patches, heads · depth]."""
        heads: Tensor = x.unflatten(0, (-1, patches)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads


def normalised(norm: nn.Module, x: Tensor) -> Tensor:
    """BatchNorm of tokens [T, width] over all of them.

    They lie as one long example: under `torch.vmap` the cells are then more channels of it, in place.
    """
    out: Tensor = norm(x.mT.unsqueeze(0))
    return out.squeeze(0).mT


class PatchTST(nn.Module):
    """Normalised windows, patches with learned positions, layers, and one linear map of all of them."""

    def __init__(
        self,
        context: int,
        horizon: int,
        patch: int,
        stride: int,
        layers: int,
        width: int,
        heads: int,
        hidden: int,
        dropout: float,
        *,
        revin: bool,
    ) -> None:
        super().__init__()
        self.patch, self.stride, self.revin = patch, stride, revin
        self.patches = (context - patch) // stride + 2
        self.embed = nn.Linear(patch, width)
        self.positions = nn.Parameter(torch.empty(self.patches, width).uniform_(-0.02, 0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(width, heads, hidden, dropout) for _ in range(layers))
        self.head = nn.Linear(width * self.patches, horizon)

    def extra_repr(self) -> str:
        return f"patch={self.patch}, stride={self.stride}, revin={self.revin}"

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2)
        centre = rows.mean(-1, keepdim=True)
        spread = (rows.var(-1, correction=0, keepdim=True) + EPSILON).sqrt()
        if self.revin:
            rows = (rows - centre) / spread
        longer = torch.cat([rows, rows[..., -1:].expand(-1, -1, self.stride)], -1)
        tokens = self.embed(longer.unfold(-1, self.patch, self.stride).flatten(0, 2))
        placed = tokens.unflatten(0, (-1, self.patches)) + self.positions
        tokens, scores = self.dropout(placed.flatten(0, 1)), None
        for layer in self.layers:
            tokens, scores = layer(tokens, self.patches, scores)
        # Width before patches, as the reference flattens them.
        out: Tensor = self.head(tokens.unflatten(0, (-1, self.patches)).mT.flatten(1))
        out = out.unflatten(0, (len(x), -1))
        return (out * spread + centre if self.revin else out).transpose(1, 2)


def patchtst(
    shape: tuple[int, ...],
    outputs: int,
    settings: str = "ETTh1",
    patch: int = 16,
    stride: int = 8,
    layers: int = 3,
    width: int | None = None,
    heads: int | None = None,
    hidden: int | None = None,
    dropout: float | None = None,
    *,
    revin: bool = True,
) -> nn.Module:
    """PatchTST for supervised forecasting, with the same weights for every variable.

        x' = (x − mean) / sqrt(variance + 1e-5)      (RevIN, of each window and variable)
        z = W_p patches(x' with its last value repeated `stride` times) + positions
        each layer: s = q kᵀ / sqrt(width / heads) + s of the layer before
                    z ← BatchNorm(z + W_o softmax(s) v),   z ← BatchNorm(z + W_2 GELU(W_1 z))
        out = (W_h flatten(z) + b_h) · sqrt(variance + 1e-5) + mean

    Args:
        shape: (context, variables) of one example.
        outputs: horizon, the number of values to forecast for each variable.
        settings: a name of `SETTINGS`, whose sizes are taken for what is not given.
        patch: length of a patch, at most the context [rows].
        stride: from one patch to the next [rows].
        layers: of attention and two-layer network.
        width: of a patch's vector, a multiple of `heads`.
        heads: of each attention.
        hidden: width of the two-layer network.
        dropout: probability of dropping an entry, in [0, 1]; not of the attention's weights or the head.
        revin: whether windows are normalised, and forecasts scaled back.

    Raises:
        ValueError: a constant is out of range, or does not fit another one.

    Reference: Nie, Nguyen, Sinthong, Kalagnanam, "A Time Series is Worth 64 Words", 2023, section 3.1; its
        code, `PatchTST_supervised`, with the scripts' constants.
    Differs from the reference: RevIN has no weights of its own, as in the scripts.
    """
    named = look_up("settings of patchtst", settings, SETTINGS)
    given = {"width": width, "heads": heads, "hidden": hidden, "dropout": dropout}
    sizes: dict[str, Any] = {key: named[key] if value is None else value for key, value in given.items()}
    whole: dict[str, Any] = {key: sizes[key] for key in ("width", "heads", "hidden")}
    check_range("patchtst", 1, layers=layers, stride=stride, **whole)
    check_range("patchtst", 1, shape[0], patch=patch)
    check_range("patchtst", 0.0, 1.0, dropout=sizes["dropout"])
    if sizes["width"] % sizes["heads"]:
        raise ValueError(
            f"patchtst: width is {sizes['width']} and heads is {sizes['heads']}; wanted a multiple of heads"
        )
    return PatchTST(shape[0], outputs, patch, stride, layers, **sizes, revin=revin)
