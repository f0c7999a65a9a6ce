"""Which tensors of a network are hidden matrices, told by their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

INPUTS = frozenset({"embed", "embedding", "embeddings", "wte"})
"""Words of a name that tell an input layer."""
OUTPUTS = frozenset({"head", "heads"})
"""Words of a name that tell an output layer."""
NETWORKS = frozenset({"actor", "critic"})
"""Words of a name that tell one of several networks, each with layers of its own."""
PLACES = frozenset({"position", "positions", "pos", "wpe", "token"})
"""Words of a name that tell a table of positions, or a token of its own."""


def matrices(params: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors of one cell that map vectors to vectors: weights of layers and of convolutions.

    A kernel of a depthwise convolution, [C, 1, h, w], is none, and neither is a class token, [1, 1, width],
    nor a scale of channels, [C, 1, 1].
    """
    return [name for name, p in params.items() if p.dim() == 2 or (p.dim() > 2 and is_wide(p))]


def hidden(params: Mapping[str, Tensor]) -> list[str]:
    """Names of the matrices of two rows and columns or more that are no input or output layers, in order.

    Names tell these layers: a word of `INPUTS` or `OUTPUTS` between the dots and underscores. Where no name
    tells, the first matrix is the input layer, and the last is the output layer; so it is for each of
    `NETWORKS`. Tables of positions are no hidden matrices either.
    """
    found = [name for name in matrices(params) if not words(name) & PLACES]
    ends: set[str] = set()
    for network in dict.fromkeys(frozenset(words(name) & NETWORKS) for name in found):
        own = [name for name in found if words(name) & NETWORKS == network]
        ends.update([name for name in own if words(name) & INPUTS] or own[:1])
        ends.update([name for name in own if words(name) & OUTPUTS] or own[-1:])
    return [name for name in found if name not in ends and is_wide(params[name])]


def outer(params: Mapping[str, Tensor]) -> list[str]:
    """Names of the other matrices: input and output layers, tables of positions, single rows."""
    inner = set(hidden(params))
    return [name for name in matrices(params) if name not in inner]


def is_wide(p: Tensor) -> bool:
    """Whether the first two dimensions are above 1."""
    return min(p.shape[:2]) > 1


def words(name: str) -> set[str]:
    """`lm_head.weight` has the words lm, head and weight."""
    return set(re.split(r"[._]", name.lower()))
