"""Integers of four and eight bits with a scale per group or row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.quantization.base import Scheme, groups, ungrouped
from trainers.quantization.stable_spam import GROUP, KEPT, LEAST

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = 15
"""Steps between the least and the largest of four bits without a sign."""
LEAST_RANGE = 1e-5
"""Least difference between the largest and the least value of a group."""
HALF, BYTE = 7, 127
"""The largest numbers of four and of eight bits with a sign."""
LEAST_SCALE = 2.0**-100
"""Least largest magnitude of a row: a row of zeros needs a scale too."""


def with_zero_point(x: Tensor) -> Tensor:
    """Sixteen levels between the least and the largest value of each group, of which zero is one.

        s = max(max x - min x, 1e-5) / 15,   z = clamp(-round(min x / s), 0, 15)
        q = s · (clamp(round(x / s) + z, 0, 15) - z)

    Ties go to the even level. A group has 256 consecutive values of the flattened tensor. One with an
    infinity or a NaN is NaN.

    Reference: TianjinYellow/StableSPAM, utils/act_weight_quantization.py, `_quantize_tensor` with n_bit = 4.
    Differs from the reference: a NaN passes, which the reference asserts against.
    """
    cut = groups(x, GROUP)
    least, largest = cut.aminmax(dim=-1, keepdim=True)
    scale = (largest - least).clamp(min=LEAST_RANGE) / LEVELS
    zero = (-(least / scale).round()).clamp(0, LEVELS)
    return ungrouped((((cut / scale).round() + zero).clamp(0, LEVELS) - zero) * scale, x)


def fifteen_levels(x: Tensor) -> Tensor:
    """The two largest magnitudes of each group as they are, and the others as integers from -7 to 7.

        q = round(x · 7/a) · a / 7,   a = max(third largest magnitude of the group, 1e-6)

    Ties go to the even level. A group has 256 consecutive values of the flattened tensor.

    Reference: TianjinYellow/StableSPAM, utils/dummy_quant.py, `fake_topk_quantize` with bit = 4, topk = 2,
        stochastic = False, which is how its four-bit layers treat what they are given.
    Differs from the reference: as `nine_levels` does.
    """
    cut = groups(x, GROUP)
    size = cut.abs()
    third = size.topk(KEPT + 1, dim=-1, sorted=True).values[..., KEPT:]
    scale = third.clamp(min=LEAST)
    level = (cut * (HALF / scale)).round() * scale / HALF
    return ungrouped(cut.where(size > third, level), x)


def rows(x: Tensor) -> Tensor:
    """Integers from -127 to 127 with a scale per row: an output of a weight, or a token of an activation.

        s = max|row| / 127,   q = s · round(x / s)

    Ties go to the even level. A row with an infinity or a NaN is NaN.

    Reference: Dettmers et al., "LLM.int8()", 2022, section 2.1 (row-wise absmax on both sides), without its
        outlier columns; torchao's `quantize_int8_rowwise`.
    Differs from the reference: nothing is stored as an integer.
    """
    scale = x.abs().amax(-1, keepdim=True).clamp(min=LEAST_SCALE) / BYTE
    return (x / scale).round() * scale


INT4 = Scheme(with_zero_point, fifteen_levels, GROUP)
INT8 = Scheme(rows, rows)
