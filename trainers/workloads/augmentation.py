"""Random crops, mirror images and CutMix, drawn for a whole batch from one seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainers.naming import check_range, short


@dataclass(frozen=True)
class Augmentation:
    """What is done to training batches of images; evaluation has none of it.

        crop:    the image with `crop` black pixels around it, through a window of the old size anywhere in it
        flip:    left and right exchanged, with probability 1/2
        CutMix:  x = M x_i + (1 - M) x_j,   y = λ y_i + (1 - λ) y_j

    In CutMix j is a permutation of the batch, M one box for the batch and λ ~ Beta(alpha, alpha). The box's
    sides are sqrt(1 - λ) of the image's, and its centre is uniform. λ is then set to the exact share.

    Crop and flip are drawn per image; whether a batch is mixed, λ and the box per batch. All draws are made
    on the CPU, so that they are the same on every device.

    Args:
        crop: black pixels on each side, >= 0 [pixels].
        flip: whether images are mirrored.
        cutmix_alpha: of the Beta distribution, > 0.
        cutmix_probability: that a batch is mixed, in [0, 1]; if it is not 0, targets become shares of the
            classes.
        classes: how many there are.

    Raises:
        ValueError: a value is out of range.

    Reference: Yun, Han, Oh, Chun, Choe, Yoo, "CutMix", 2019, equations 1 and 2, and its code, which mixes
        CIFAR's batches with probability 0.5 at alpha 1.
    Differs from the reference: nothing.
    """

    crop: int = 0
    flip: bool = False
    cutmix_alpha: float = 1.0
    cutmix_probability: float = 0.0
    classes: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.crop, bool) or not isinstance(self.crop, int):
            raise ValueError(f"crop is {short(self.crop)}; wanted a whole number of pixels")
        check_range("augmentation", 0, crop=self.crop)
        check_range("augmentation", 0.0, open_low=True, cutmix_alpha=self.cutmix_alpha)
        check_range("augmentation", 0.0, 1.0, cutmix_probability=self.cutmix_probability)

    @property
    def active(self) -> bool:
        """Whether anything is done."""
        return bool(self.crop or self.flip or self.cutmix_probability)

    def __call__(self, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Images [B, channels, H, W] of any type and classes [B], changed; both are new tensors."""
        generator = torch.Generator().manual_seed(seed)
        if self.crop or self.flip:
            x = self.moved(x, generator)
        if not self.cutmix_probability:
            return x, y
        chance = random.Random(seed)  # noqa: S311  # no secret
        return self.mixed(x, y, generator, chance)

    def moved(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Crop and flip, as one choice of pixels."""
        examples, _, height, width = x.shape
        shift_2B = torch.randint(2 * self.crop + 1, (2, examples, 1), generator=generator)
        mirrored_B = torch.rand(examples, 1, generator=generator) < (0.5 if self.flip else 0.0)
        columns = torch.arange(width)
        row_BH = (torch.arange(height) + shift_2B[0]).to(x.device)
        column_BW = (torch.where(mirrored_B, columns.flip(0), columns) + shift_2B[1]).to(x.device)
        padded = functional.pad(x, (self.crop,) * 4)
        return padded[
            torch.arange(examples, device=x.device)[:, None, None],
            :,
            row_BH[:, :, None],
            column_BW[:, None, :],
        ].permute(0, 3, 1, 2)

    def mixed(
        self, x: Tensor, y: Tensor, generator: torch.Generator, chance: random.Random
    ) -> tuple[Tensor, Tensor]:
        """CutMix; targets are shares of the classes [B, classes] in float64, of unmixed batches too."""
        shares = functional.one_hot(y, self.classes).double()
        if chance.random() >= self.cutmix_probability:
            return x, shares
        cut = math.sqrt(1.0 - chance.betavariate(self.cutmix_alpha, self.cutmix_alpha))
        (top, bottom), (left, right) = (box(side, cut, chance) for side in x.shape[2:])
        other_B = torch.randperm(len(x), generator=generator).to(x.device)
        new = x.clone()
        new[:, :, top:bottom, left:right] = x[other_B, :, top:bottom, left:right]
        kept = 1.0 - (bottom - top) * (right - left) / (x.shape[2] * x.shape[3])
        return new, kept * shares + (1.0 - kept) * shares[other_B]


def box(side: int, cut: float, chance: random.Random) -> tuple[int, int]:
    """First pixel of a box along a side, and the first one behind it.

    The box is `cut` of the side long, about a random centre, and clipped at the borders.
    """
    centre, half = chance.randrange(side), int(side * cut) // 2
    return max(centre - half, 0), min(centre + half, side)
