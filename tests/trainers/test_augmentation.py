"""Augmentation does what it says, from its seed alone, and batches are the same for every cell and run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.trainers.making import Dying, same
from trainers import (
    Budget,
    Checkpoint,
    Workload,
    feed,
    make_optimizer,
    make_transform,
    train_fused,
    train_serial,
)
from trainers.feed import Feed
from trainers.models import model_factory
from trainers.workloads.augmentation import Augmentation
from trainers.workloads.base import Stored
from trainers.workloads.pixels import pixel_workload, statistics

RELATIVE = 1e-9
"""Float64 rounding, amplified by a few steps of training."""
EVERYTHING = Augmentation(crop=2, flip=True, cutmix_alpha=1.0, cutmix_probability=0.5, classes=5)
X = torch.randint(256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 5
CELLS: dict[str, Any] = {
    "lr_C": torch.tensor([1e-3, 1e-2]),
    "weight_decay_C": torch.tensor([0.1, 0.0]),
    "seed": 2,
}


def pictures(augmentation: Augmentation = EVERYTHING, x: Tensor | Stored = X) -> Workload:
    """Forty pictures of noise in five classes."""
    return pixel_workload(
        "noise",
        model_factory("convnet"),
        (x, Y),
        (X[:7], Y[:7]),
        (3, 8, 8),
        5,
        augmentation,
        0.1,
        *statistics(X),
    )


def windows(image: Tensor, crop: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every view of an image that crop and flip may give."""
    found = {}
    for mirrored in (False, True):
        padded = functional.pad(image.flip(2) if mirrored else image, (crop,) * 4)
        for top in range(2 * crop + 1):
            for left in range(2 * crop + 1):
                found[padded[:, top : top + 8, left : left + 8].contiguous().numpy().tobytes()] = (
                    top,
                    left,
                    mirrored,
                )
    return found


def test_crop_and_flip_are_windows_and_mirror_images() -> None:
    """Every image is a window of itself or of its mirror image, with black around it, and all kinds occur."""
    augment = Augmentation(crop=2, flip=True)
    seen = set()
    for seed in range(20):
        out, y = augment(X, Y, seed)
        assert torch.equal(y, Y)
        seen |= {
            windows(before, 2)[after.contiguous().numpy().tobytes()]
            for before, after in zip(X, out, strict=True)
        }
    assert len(seen) == 50


def test_without_flip_nothing_is_mirrored() -> None:
    """Crop alone moves images, flip alone mirrors them."""
    moved, mirrored = Augmentation(crop=1)(X, Y, 3)[0], Augmentation(flip=True)(X, Y, 3)[0]
    assert not any(
        windows(before, 1)[after.contiguous().numpy().tobytes()][2]
        for before, after in zip(X, moved, strict=True)
    )
    alike = [(torch.equal(a, b), torch.equal(a, b.flip(2))) for a, b in zip(X, mirrored, strict=True)]
    assert all(one != other for one, other in alike)
    assert 8 < sum(one for one, _ in alike) < 32


def test_cutmix_mixes_targets_as_it_mixes_pixels() -> None:
    """In a mixed batch one box comes from another image, whose class has the box's share.

    Half of all are mixed.
    """
    flat = (torch.arange(40, dtype=torch.uint8) + 1).view(40, 1, 1, 1).expand(40, 3, 8, 8)
    augment = Augmentation(cutmix_alpha=1.0, cutmix_probability=0.5, classes=40)
    mixed, shares = 0, []
    for seed in range(200):
        x, y = augment(flat, torch.arange(40), seed)
        assert torch.equal(flat[:, 0, 0, 0], torch.arange(1, 41, dtype=torch.uint8))
        counted = (
            torch.stack([torch.bincount(image[0].flatten().int() - 1, minlength=40) for image in x]).double()
            / 64
        )
        torch.testing.assert_close(y, counted)
        mixed += not torch.equal(x, flat)
        shares.append(float(1 - y.diagonal().min()))
    assert 70 < mixed < 110  # boxes of no pixel mix nothing
    assert 0.1 < sum(shares) / mixed < 0.5


def test_loss_of_mixed_targets_is_the_mixed_loss() -> None:
    """Cross-entropy of shares is λ · (that of one class) + (1 - λ) · (that of the other)."""
    workload, logits = pictures(), torch.randn(1, 5, dtype=torch.float64)
    a, b = (workload.loss(logits, torch.tensor([k])) for k in (1, 3))
    shares = torch.tensor([[0.0, 0.7, 0.0, 0.3, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(workload.loss(logits, shares), 0.7 * a + 0.3 * b)


def test_everything_comes_from_the_seed() -> None:
    """One seed gives one batch, another seed another; torch's global generator is left alone."""
    before = torch.random.get_rng_state()
    one, again, other = (EVERYTHING(X, Y, seed) for seed in (5, 5, 6))
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"crop": -1}, "crop is -1"),
        ({"crop": 1.5}, "whole number of pixels"),
        ({"cutmix_alpha": 0}, "cutmix_alpha is 0"),
        ({"cutmix_probability": 1.1}, "cutmix_probability is 1.1"),
    ],
)
def test_constants_out_of_range(constants: dict[str, Any], words: str) -> None:
    """A constant that makes no sense is refused by name."""
    with pytest.raises(ValueError, match=words):
        Augmentation(**constants)


def batches_of(
    workload: Workload, seed: int = 0, first: int = 0, **changes: Any
) -> list[tuple[Tensor, Tensor]]:
    """What networks are given, step by step."""
    budget = Budget(steps=9, batch_size=12, **changes)
    found = []
    for _, micro in Feed(workload, budget, seed, "cpu").steps(first):
        x, y, _ = zip(*micro, strict=True)
        found.append((torch.cat(x), torch.cat(y)))
    return found


def equal(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for pair, also in zip(one, other, strict=True)
        for a, b in zip(pair, also, strict=True)
    )


def test_batches_do_not_depend_on_how_they_are_asked_for() -> None:
    """Split into micro-batches, or begun at a later step, they are bitwise the same.

    Steps and seeds differ.
    """
    whole = batches_of(pictures())
    assert equal(batches_of(pictures(), accumulation=3), whole)
    assert equal(batches_of(pictures(), first=4), whole[4:])
    assert not equal(batches_of(pictures(), seed=1), whole)
    assert len({x.sum().item() for x, _ in whole}) == 9


def test_evaluation_is_normalised_and_not_augmented(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees every example once, as stored, in parts that fit.

    Training channels have mean 0 and deviation 1.
    """
    monkeypatch.setattr(feed, "EVALUATION_NUMBERS", 3 * 3 * 64)
    parts = list(Feed(pictures(), Budget(1, 4, precision="float64"), 0, "cpu").evaluation())
    assert [len(x) for x, _ in parts] == [3, 3, 1]
    x, plain = torch.cat([x for x, _ in parts]), X.double() / 255
    mean, std = plain.mean((0, 2, 3), keepdim=True), plain.std((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(x, ((plain - mean) / std)[:7])


def test_fused_equals_serial() -> None:
    """With all augmentation and smoothing losses agree to rounding, whatever the micro-batches."""
    for accumulation in (1, 2):
        budget = Budget(steps=6, batch_size=8, points=3, precision="float64", accumulation=accumulation)
        parts = pictures(), make_transform("clip_norm"), make_optimizer("adamw"), budget
        fused, serial = train_fused(*parts, **CELLS), train_serial(*parts, **CELLS)
        torch.testing.assert_close(fused.loss_KC, serial.loss_KC, rtol=RELATIVE, atol=0)
        torch.testing.assert_close(fused.metric_KC, serial.metric_KC, rtol=0, atol=0)
        assert fused.loss_initial == pytest.approx(serial.loss_initial, rel=RELATIVE)


def test_half_precision_and_augmentation() -> None:
    """Normalised and mixed batches train in bfloat16 too."""
    parts = (
        pictures(),
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(steps=3, batch_size=8, points=1, precision="bfloat16"),
    )
    torch.testing.assert_close(
        train_fused(*parts, **CELLS).loss_KC, train_serial(*parts, **CELLS).loss_KC, rtol=0.05, atol=0
    )


def test_a_cell_does_not_depend_on_the_tile() -> None:
    """A cell alone sees the batches that it sees beside others."""
    parts = (
        pictures(),
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(steps=6, batch_size=8, points=3, precision="float64"),
    )
    alone = train_fused(
        *parts, **{**CELLS, "lr_C": CELLS["lr_C"][:1], "weight_decay_C": CELLS["weight_decay_C"][:1]}
    )
    torch.testing.assert_close(
        alone.loss_KC[:, 0], train_fused(*parts, **CELLS).loss_KC[:, 0], rtol=RELATIVE, atol=0
    )


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    """A run that died between two steps goes on with the augmentation that it would have had."""
    parts = (
        pictures(),
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(steps=9, batch_size=8, points=3),
    )
    undisturbed = train_fused(*parts, **CELLS)
    with pytest.raises(KeyboardInterrupt):
        train_fused(*parts, **CELLS, checkpoint=Dying(tmp_path / "run", 5))
    assert same(train_fused(*parts, **CELLS, checkpoint=Checkpoint(tmp_path / "run")), undisturbed)


class OnDisk(Stored):
    """The pictures as if they lay on disk; counts how many are read at a time."""

    nbytes, identity = 100, "forty pictures"

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        self.read.append(len(X[index]))
        return X[index]

    def decoded(self) -> Tensor:
        return self[:]


@pytest.mark.parametrize("held", [True, False])
def test_examples_on_disk_train_as_those_in_memory(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded once or read by batches, the numbers are those of tensors.

    What is too large is never read whole.
    """
    monkeypatch.setattr(feed, "HELD_BYTES", 100 if held else 99)
    images = OnDisk()
    run: Callable[[Workload], Any] = lambda workload: train_fused(  # noqa: E731  # said once
        workload,
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(steps=5, batch_size=8, points=2),
        **CELLS,
    )
    assert same(run(pictures(x=images)), run(pictures()))
    assert max(images.read) == (40 if held else 8)
    other = OnDisk()
    other.identity = "forty others"
    assert (
        pictures(x=images).fingerprint()
        == pictures(x=OnDisk()).fingerprint()
        != pictures(x=other).fingerprint()
    )
