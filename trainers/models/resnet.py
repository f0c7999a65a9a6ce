"""Residual networks for small images."""

from __future__ import annotations

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut around them.

    Where the shape changes, the shortcut is a 1x1 convolution with BatchNorm.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(before, after, 3, stride), nn.ReLU(), *convolution(after, after, 3, 1)
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and before == after
            else nn.Sequential(*convolution(before, after, 1, stride))
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return out


def convolution(before: int, after: int, size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """Convolution without bias (BatchNorm has one), and BatchNorm."""
    layer = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, nn.BatchNorm2d(after)


def resnet(shape: tuple[int, ...], outputs: int, width: int, blocks: int) -> nn.Module:
    """A residual network of three stages of basic blocks, which halve the map between them.

    Before them are a 3x3 convolution, BatchNorm and ReLU, behind them the mean over the map and one linear
    layer. The stages have width, 2 width and 4 width channels.
    """
    layers: list[nn.Module] = [*convolution(shape[0], width, 3, 1), nn.ReLU()]
    before = width
    for stage in range(3):
        for k in range(blocks):
            layers.append(BasicBlock(before, width * 2**stage, stride=2 if stage > 0 and k == 0 else 1))
            before = width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, outputs))


def resnet20(shape: tuple[int, ...], outputs: int, width: int = 16) -> nn.Module:
    """ResNet-20: three stages of three basic blocks.

    Args:
        shape: (channels, height, width) of one example.
        outputs: number of logits.
        width: channels of the first stage; the second has twice, the third four times as many.

    Reference: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, section 4.2, n = 3.
    Differs from the reference: where the shape changes the shortcut is a 1x1 convolution with BatchNorm
        (option B; the reference pads with zeros).
    """
    return resnet(shape, outputs, width, blocks=3)


def resnet56(shape: tuple[int, ...], outputs: int, width: int = 16) -> nn.Module:
    """ResNet-56: three stages of nine basic blocks.

    Args:
        shape: (channels, height, width) of one example.
        outputs: number of logits.
        width: channels of the first stage; the second has twice, the third four times as many.

    Reference: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, section 4.2, n = 9.
    Differs from the reference: where the shape changes the shortcut is a 1x1 convolution with BatchNorm
        (option B; the reference pads with zeros).
    """
    return resnet(shape, outputs, width, blocks=9)
