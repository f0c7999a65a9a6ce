"""Linear layers that compute with quantised weights and inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.models.attention import SelfAttention
from trainers.models.sequences import Projection, linear, projected
from trainers.quantization.base import Rule, Scheme


def straight_through(rule: Rule, x: Tensor) -> Tensor:
    """The quantised values, with the derivative of the values as they are.

    A rule computes in float32 at least, and its result has the precision of what it is given.
    """
    with torch.no_grad():
        q = rule(x.float() if x.itemsize < 4 else x).to(x.dtype)
    # The difference is zero, or NaN for an infinity: x + (q - x) would round, and this does not. What is
    # asked is the mode, because inside of `torch.vmap` no tensor knows whether it requires a gradient.
    return q + (x - x.detach()) if torch.is_grad_enabled() else q


class Quantized(nn.Module):
    """A layer that is a product with a weight, which is taken of the quantised input and weight.

    The weight's gradient is taken with the quantised input, and the input's with the quantised weight. The
    bias is not quantised.
    """

    scheme: Scheme

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, quantised"

    def both(self, input: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Input and weight, quantised."""
        return straight_through(self.scheme.activation, input), straight_through(self.scheme.weight, weight)


class QuantizedLinear(Quantized, nn.Linear):
    """Linear with a quantised weight and input."""

    def forward(self, input: Tensor) -> Tensor:  # the name that callers of nn.Linear may use
        return functional.linear(*self.both(input, self.weight), self.bias)


class QuantizedProjection(Quantized, Projection):
    """The same of sequences, without a bias."""

    def forward(self, input: Tensor) -> Tensor:
        return projected(*self.both(input, self.weight))


class QuantizedSelfAttention(Quantized, SelfAttention):
    """SelfAttention whose queries, keys and values are those of a quantised linear layer."""

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values beside each other, [B, length, 3 · width]."""
        return linear(*self.both(x, self.in_proj_weight), self.in_proj_bias)


KINDS: dict[type[nn.Module], tuple[type[nn.Module], str]] = {
    nn.Linear: (QuantizedLinear, "weight"),
    nn.modules.linear.NonDynamicallyQuantizableLinear: (QuantizedLinear, "weight"),
    Projection: (QuantizedProjection, "weight"),
    SelfAttention: (QuantizedSelfAttention, "in_proj_weight"),
}
"""Layers that are products with a weight: what replaces them, and the weight's name."""


def quantized(model: nn.Module, scheme: Scheme | None, example: Tensor) -> nn.Module:
    """The same network with quantised linear layers; it is changed in place and returned.

    The head, which is the linear layer that is called last, stays as it is, and so do embeddings,
    convolutions and normalisation. Parameters keep their names and values.

    Args:
        scheme: None changes nothing.
        example: a batch of one input, on the model's device and in its precision.

    Raises:
        ValueError: there is nothing to quantise, or a layer cannot be quantised, or its weight has no whole
            number of groups.

    Reference: TianjinYellow/StableSPAM, utils/setup.py, which quantises the layers named q_proj, k_proj,
        v_proj, o_proj, gate_proj, up_proj and down_proj, and neither `lm_head` nor the embedding.
    Differs from the reference: layers are found by their kind and by which is called last, and not by names,
        so that other networks have them too. In `llama` they are the same.
    """
    if scheme is None:
        return model
    called = linear_layers(model, example)
    if len(called) < 2:
        raise ValueError(
            "the network has no linear layer beside its head, which stays as it is; "
            "take another model, or quantization none"
        )
    for name, module in called[:-1]:
        kind, weight = KINDS[type(module)]
        count = module.get_parameter(weight).numel()
        if count % scheme.weight_group:
            raise ValueError(
                f"the weight of layer {name} has {count} numbers; "
                f"wanted a multiple of {scheme.weight_group}, the group of this quantization"
            )
        module.__class__ = kind
        module.scheme = scheme  # type: ignore[assignment]  # torch's modules take tensors and modules alone
    return model


def linear_layers(model: nn.Module, example: Tensor) -> list[tuple[str, nn.Module]]:
    """Layers that are products with a weight, in the order in which they are first called.

    Raises:
        ValueError: one of them computes in a way of its own.
    """
    found: dict[nn.Module, str] = {}
    names = {module: name for name, module in model.named_modules()}

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found.setdefault(module, names[module])

    handles = []
    for module, name in names.items():
        if type(module) not in KINDS and isinstance(module, (nn.Linear, nn.MultiheadAttention)):
            raise ValueError(
                f"layer {name} is a {type(module).__name__}, which cannot be quantised; wanted one of "
                f"{', '.join(kind.__name__ for kind in KINDS)}"
            )
        if type(module) in KINDS:
            handles.append(module.register_forward_pre_hook(note))
    model.eval()
    with torch.no_grad():
        model(example)
    model.train()
    for handle in handles:
        handle.remove()
    return [(name, module) for module, name in found.items()]
