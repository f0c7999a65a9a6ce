"""VGG for small images."""

from __future__ import annotations

from torch import nn

from trainers.naming import check_range

POOL = 0
STAGES = (1, 1, POOL, 2, 2, POOL, 4, 4, 4, POOL, 8, 8, 8, POOL, 8, 8, 8, POOL)
"""Configuration D: channels of each convolution, in widths, and where the map is halved."""


def vgg16_bn(shape: tuple[int, ...], outputs: int, width: int = 64, dropout: float = 0.5) -> nn.Module:
    """VGG-16 with BatchNorm and the head that is usual for CIFAR; 15.3 million parameters with 100 classes.

    Thirteen 3x3 convolutions (with bias) have BatchNorm and ReLU, and five times the map is halved by its
    maxima. Then come the mean of the map, which is one pixel for images of 32, and three linear layers. The
    first two of these have 8 `width` outputs, ReLU and dropout.

    Args:
        shape: (channels, height, width) of one example, at least 32 pixels a side.
        outputs: number of logits.
        width: channels of the first stage.
        dropout: probability of dropping an output of the first two linear layers, in [0, 1].

    Raises:
        ValueError: a constant is out of range, or images are too small.

    Reference: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
        2015, table 1, column D.
    Differs from the reference: BatchNorm, and linear layers of 512, not 4096. Convolutions start normal with
        variance 2 / (outputs x 9).
    """
    check_range("vgg16_bn", 1, width=width)
    check_range("vgg16_bn", 0.0, 1.0, dropout=dropout)
    if len(shape) != 3 or min(shape[1:]) < 32:
        raise ValueError(
            f"vgg16_bn was given examples of shape {list(shape)}; wanted [channels, height, width] "
            "of at least 32 pixels a side, because it halves them five times"
        )
    layers: list[nn.Module] = []
    before, last = shape[0], 8 * width
    for stage in STAGES:
        if stage == POOL:
            layers.append(nn.MaxPool2d(2))
            continue
        convolution = nn.Conv2d(before, stage * width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # there is one
        before = stage * width
        layers += [convolution, nn.BatchNorm2d(before), nn.ReLU()]
    head = [
        nn.Linear(last, last),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(last, last),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(last, outputs),
    ]
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)
