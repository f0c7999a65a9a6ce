"""ResNet-50."""

from __future__ import annotations

from typing import Any

from torch import nn

from trainers.models.attention import plain
from trainers.naming import check_range
from trainers.vision import check_images, vision


def resnet50(
    shape: tuple[int, ...], outputs: int, blocks: tuple[int, ...] | list[int] = (3, 4, 6, 3)
) -> nn.Module:
    """torchvision's ResNet-50, with the same parameter names; 25.6 million parameters with 1,000 classes.

    Args:
        shape: (3, height, width) of one example, at least 32 pixels a side.
        outputs: number of logits.
        blocks: of each of the four stages.

    Raises:
        ValueError: the examples do not fit, a constant is out of range, or there is no torchvision.

    Reference: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, table 1;
        `torchvision.models.resnet50`.
    Differs from the reference: where the map is halved the 3x3 convolution has the stride, not the 1x1 before
        it (as in torchvision, "V1.5").
    """
    if len(blocks) != 4:
        raise ValueError(
            f"resnet50: blocks has {len(blocks)} entries; wanted one for each of its four stages"
        )
    check_range("resnet50", 1, **dict[str, Any]((f"blocks[{k}]", count) for k, count in enumerate(blocks)))
    check_images("resnet50", shape, least=32)
    models = vision().models
    return plain(models.ResNet(models.resnet.Bottleneck, list(blocks), num_classes=outputs))
