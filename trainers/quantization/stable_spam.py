"""The four-bit grid that the code of Stable-SPAM computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.quantization.base import Scheme, groups, ungrouped

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 256
"""Consecutive values of the flattened tensor that share a scale."""
KEPT = 2
"""Largest magnitudes of a group that stay as they are."""
LEAST = 1e-6
"""Least scale."""


def nine_levels(x: Tensor) -> Tensor:
    """The two largest magnitudes of each group as they are, and the others on a uniform grid of nine levels.

        q = a/4 · round(x / (a/4)),   a = max(third largest magnitude of the group, 1e-6)

    Ties go to the even level. A group has 256 consecutive values of the flattened tensor. Infinities among
    the two kept values stay. A third one, or a third NaN, makes the group NaN.

    Reference: TianjinYellow/StableSPAM, utils/act_weight_fp4.py, `fp4_fake_quantize` with its defaults e = 1,
        m = 2, b = 1, topk = 2. With these its exponent is the same for every value, so that the levels are
        k·a/4, k = -4 ... 4.
    Differs from the reference: zeros fill a last group that is not full, which the reference refuses. It
        computes in the network's precision, this in float32 at least. Of values that are tied below 1e-6 this
        one keeps none.
    """
    cut = groups(x, GROUP)
    size = cut.abs()
    third = size.topk(KEPT + 1, dim=-1, sorted=True).values[..., KEPT:]
    step = third.clamp(min=LEAST) / 4
    level = (cut / step).round() * step
    # What ties with the third is on the grid in any case.
    return ungrouped(cut.where(size > third, level), x)


STABLE_SPAM = Scheme(nine_levels, nine_levels, GROUP)
