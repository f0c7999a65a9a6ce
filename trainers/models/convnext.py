"""ConvNeXt."""

from __future__ import annotations

import itertools
from typing import Any

from torch import nn

from trainers.models.attention import plain
from trainers.naming import check_range
from trainers.vision import check_images, vision


def convnext_tiny(
    shape: tuple[int, ...],
    outputs: int,
    stochastic_depth: float = 0.1,
    width: int = 96,
    blocks: tuple[int, ...] | list[int] = (3, 3, 9, 3),
    layer_scale: float = 1e-6,
) -> nn.Module:
    """torchvision's ConvNeXt-T, with the same parameter names; 28.6 million parameters with 1,000 classes.

    Args:
        shape: (3, height, width) of one example, at least 32 pixels a side.
        outputs: number of logits.
        stochastic_depth: probability of dropping the last block's branch for an example, in [0, 1]; it rises
            linearly from 0 at the first block.
        width: channels of the first stage; each further stage has twice as many.
        blocks: of each stage; at least two in all.
        layer_scale: what each branch is multiplied by at the start, a parameter per channel.

    Raises:
        ValueError: the examples do not fit, a constant is out of range, or there is no torchvision.

    Reference: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", 2022, section 2.5;
        `torchvision.models.convnext_tiny`.
    Differs from the reference: nothing.
    """
    check_range("convnext_tiny", 0.0, 1.0, stochastic_depth=stochastic_depth)
    check_range(
        "convnext_tiny",
        1,
        width=width,
        **dict[str, Any]((f"blocks[{k}]", count) for k, count in enumerate(blocks)),
    )
    check_range("convnext_tiny", 2, **dict[str, Any]({"sum of blocks": sum(blocks)}))
    check_images("convnext_tiny", shape, least=4 * 2 ** (len(blocks) - 1))
    models = vision().models
    widths = [*(width * 2**k for k in range(len(blocks))), None]
    stages = [
        models.convnext.CNBlockConfig(before, after, count)
        for (before, after), count in zip(itertools.pairwise(widths), blocks, strict=True)
    ]
    return plain(
        models.ConvNeXt(
            stages, stochastic_depth_prob=stochastic_depth, layer_scale=layer_scale, num_classes=outputs
        )
    )
