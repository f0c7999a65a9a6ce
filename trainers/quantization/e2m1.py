"""The four-bit floating-point format E2M1 with a scale per block: OCP's MXFP4 and NVIDIA's NVFP4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.quantization.base import Scheme, blocks, unblocked

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 6.0
"""The largest number of E2M1."""
MX_BLOCK, NV_BLOCK = 32, 16
"""Consecutive values of a row that share a scale."""
LEAST_POWER = 2.0**-126
"""Least scale of MX here: E8M0 has 2^-127 too, which float32 has no normal number for."""
E4M3_LARGEST, E4M3_LEAST = 448.0, 2.0**-6
"""The largest number of E4M3, and its least normal one."""


def e2m1(x: Tensor) -> Tensor:
    """The nearest of 0, ±0.5, ±1, ±1.5, ±2, ±3, ±4, ±6; ties to the even mantissa; beyond 6 is 6, NaN is NaN.

    Reference: OCP Microscaling Formats (MX) Specification 1.0, section 5.3.3, and 6.3 (values beyond the
        largest are clamped).
    Differs from the reference: the format has no NaN, and here one stays one, so that divergence is seen.
    """
    x = x.clamp(-LARGEST, LARGEST)
    size = x.abs()
    # Levels are 0.5 apart up to 2, then 1 up to 4, then 2.
    inverse = (size < 4).to(x.dtype) / 2 + 0.5 + (size < 2).to(x.dtype)
    return (x * inverse).round() / inverse


def microscaling(x: Tensor) -> Tensor:
    """E2M1 in blocks of 32 values of a row, with a power of two as scale.

        q = X · e2m1(x / X),   X = 2^(floor(log2 max|x|) - 2), at least 2^-126

    A block with an infinity or a NaN is NaN.

    Reference: OCP Microscaling Formats (MX) Specification 1.0, section 6.3; torchao's `to_mx` with
        `ScaleCalculationMode.FLOOR`.
    Differs from the reference: a last block that is not full has zeros in the place of what lacks, as in
        microsoft/microxcaling; torchao refuses it.
    """
    cut = blocks(x, MX_BLOCK)
    # At least the smallest number that has the least scale, so that zeros have one too.
    largest = cut.abs().amax(-1, keepdim=True).clamp(min=4 * LEAST_POWER)
    # largest = mantissa · 2^exponent with a mantissa in [0.5, 1), so that this quotient is exact.
    scale = largest / largest.frexp().mantissa / 8
    return unblocked(e2m1(cut / scale) * scale, x)


def two_scales(x: Tensor) -> Tensor:
    """E2M1 in blocks of 16 values of a row, with an E4M3 scale per block and one scale for the tensor.

        t = max|tensor| / (448 · 6),   s = e4m3(max|block| / 6 / t) in [2^-6, 448]
        q = t·s · e2m1(x / (t·s))

    A tensor with an infinity or a NaN has one in every block.

    Reference: NVIDIA, "Pretraining Large Language Models with NVFP4", 2025; torchao's `NVFP4Tensor.to_nvfp4`
        with `per_tensor_amax_to_scale`, whose order of operations this is.
    Differs from the reference: a last block that is not full has zeros in the place of what lacks. Of the
        paper's recipe there is no Hadamard transform, no two-dimensional block for weights and no stochastic
        rounding, because gradients are not quantised.
    """
    import torch

    cut = blocks(x, NV_BLOCK)
    largest = cut.abs().amax(-1, keepdim=True)
    whole = (largest.amax() / (E4M3_LARGEST * LARGEST)).clamp(min=LEAST_POWER)
    scale = (largest / LARGEST / whole).clamp(E4M3_LEAST, E4M3_LARGEST).to(torch.float8_e4m3fn).to(x.dtype)
    return unblocked(e2m1(cut * (1.0 / whole / scale)) * (whole * scale), x)


MX = Scheme(microscaling, microscaling)
NV = Scheme(two_scales, two_scales)
