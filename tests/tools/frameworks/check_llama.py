"""The whole forward pass of `llama` is that of transformers' LLaMA."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainers.models import model_factory
from trainers.vision import vision

pytestmark = pytest.mark.filterwarnings("ignore")
FLOAT32 = 2e-6
"""Rounding of float32 (6e-8), through three blocks and back [relative]."""
NAMES = {
    "embed.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
    ".norm1.": ".input_layernorm.",
    ".norm2.": ".post_attention_layernorm.",
    ".attention.out.": ".self_attn.o_proj.",
    **{f".attention.{part}.": f".self_attn.{part}_proj." for part in "qkv"},
    **{f".mlp.{part}.": f".mlp.{part}_proj." for part in ("gate", "up", "down")},
}
"""What transformers calls the same weights."""


def test_logits_and_gradients_are_those_of_transformers() -> None:
    """With the same weights and tokens, to what float32 rounds: theirs normalises and turns in it."""
    vision()  # transformers imports torchvision, which does not let itself be imported beside every torch
    transformers: Any = pytest.importorskip("transformers")
    torch.manual_seed(0)
    ours = model_factory("llama", width=32, depth=3, heads=4, hidden=48)((20,), 50).double()
    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.LlamaConfig(
        **shape, vocab_size=50, rms_norm_eps=1e-6, tie_word_embeddings=False, attn_implementation="eager"
    )
    theirs = transformers.LlamaForCausalLM(config).double()
    renamed = {}
    for name, p in ours.named_parameters():
        # Norms of 1 would hide where they stand.
        torch.nn.init.normal_(p, std=0.3)
        for own, other in NAMES.items():
            name = name.replace(own, other)
        renamed[
            name if name.startswith(("model.", "lm_head.")) else name.replace("blocks.", "model.layers.")
        ] = p
    theirs.load_state_dict({name: p.detach() for name, p in renamed.items()})
    x = torch.randint(50, (2, 20))
    mine, wanted = ours(x), theirs(x).logits
    assert float((mine - wanted).norm() / wanted.norm()) < FLOAT32
    grads = torch.autograd.grad(mine.square().sum(), list(renamed.values()))
    expected = dict(theirs.named_parameters())
    others = torch.autograd.grad(wanted.square().sum(), [expected[name] for name in renamed])
    for name, a, b in zip(renamed, grads, others, strict=True):
        assert float((a - b).norm() / b.norm()) < FLOAT32, name
