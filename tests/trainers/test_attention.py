"""Attention beside torch's own, in both of its forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.models.attention import SHORT, SelfAttention, attend, plain

CELLS = 3


def heads(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Queries, keys and values of some cells, [C, B, heads, length, depth]."""
    torch.manual_seed(0)
    return [torch.randn(CELLS, 2, 2, length, 4, dtype=dtype) for _ in range(3)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 5, SHORT, SHORT + 1])
def test_values_and_gradients_are_those_of_torch(length: int, causal: bool) -> None:
    """Alone and over cells, on both sides of the length from which torch's kernel is called."""

    def one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, causal=causal)

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.stack([one(*cell) for cell in zip(q, k, v, strict=True)])

    found = []
    for way in (theirs, alone, torch.vmap(one)):
        leaves = [each.requires_grad_() for each in heads(length)]
        out = way(*leaves)
        found.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("length", [SHORT, SHORT + 1])
def test_later_places_are_not_seen(length: int) -> None:
    q, k, v = heads(length)
    before = attend(q, k, v, causal=True)
    k[..., -1, :] += 3
    v[..., -1, :] += 5
    after = attend(q, k, v, causal=True)
    assert torch.equal(after[..., :-1, :], before[..., :-1, :])
    assert not torch.equal(after[..., -1, :], before[..., -1, :])


def test_huge_logits_leave_the_largest() -> None:
    """Where torch's kernel gives NaN for finite numbers, the softmax is that of its largest logit."""
    q, k, v = heads(5)
    out = attend(q * 1e15, k * 1e15, v)
    largest = (q @ k.mT).argmax(-1, keepdim=True)
    torch.testing.assert_close(out, v.gather(-2, largest.expand(*largest.shape[:-1], 4)))


def test_a_layer_is_that_of_torch() -> None:
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(theirs.in_proj_bias)
    x = torch.randn(3, 6, 8, dtype=torch.float64)
    wanted, _ = theirs(x, x, x, need_weights=False)
    ours = plain(theirs)
    assert isinstance(ours, SelfAttention)
    torch.testing.assert_close(ours(x)[0], wanted)
