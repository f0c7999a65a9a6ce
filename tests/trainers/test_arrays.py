"""What the workload `arrays` makes of a file: images as bytes, a table of floats, or an error in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers import Budget, make_optimizer, make_transform, train_fused
from trainers.workloads import Workload, make_workload

RANDOM = np.random.default_rng(0)


def made(folder: Path, train_x: Any, test_x: Any = None, model: str = "mlp", **constants: Any) -> Workload:
    """The workload of a file with these examples, of three classes."""
    test_x = train_x[:6] if test_x is None else test_x
    y = {"train_y": np.arange(len(train_x)) % 3, "test_y": np.arange(len(test_x)) % 3}
    np.savez(folder / "own.npz", train_x=train_x, test_x=test_x, **y)
    return make_workload("arrays", model, file=str(folder / "own.npz"), **constants)


def noise(*shape: int) -> Any:
    """Bytes of that shape."""
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def trains(workload: Workload) -> None:
    """Train it for some steps; every number is finite."""
    two = torch.full((2,), 1e-3, dtype=torch.float64)
    parts = make_transform("none"), make_optimizer("adamw"), Budget(steps=3, batch_size=4, points=1)
    curves = train_fused(workload, *parts, lr_C=two, weight_decay_C=two, seed=0)
    assert curves.loss_KC.isfinite().all()


@pytest.mark.parametrize("model", ["mlp", "convnet"])
def test_grey_images_have_one_channel(model: str, tmp_path: Path) -> None:
    """[N, height, width] is [N, height, width, 1], bit by bit."""
    images = noise(12, 8, 7)
    grey = made(tmp_path, images, model=model, crop=1, flip=True)
    one = made(tmp_path, images[..., None], model=model, crop=1, flip=True)
    assert grey.train_x[:].shape == (12, 1, 8, 7)
    assert torch.equal(grey.train_x[:], one.train_x[:])
    assert grey.fingerprint() == one.fingerprint()
    trains(grey)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("model", ["mlp", "linear"])
def test_a_table_is_normalised_by_its_training_rows(dtype: str, model: str, tmp_path: Path) -> None:
    """[N, features] of any float; a constant column becomes 0, and the rows for evaluation decide nothing."""
    rows = (RANDOM.normal(size=(12, 5)) * [1, 10, 100, 0, 0.1] + [0, 5, -50, 3, 0]).astype(dtype)
    table = made(tmp_path, rows, 2 * rows[:6], model=model)
    x = table.train_x[:].double()
    assert x.shape == (12, 5)
    torch.testing.assert_close(x.mean(0), torch.zeros(5).double(), atol=1e-6, rtol=0)
    wanted = torch.tensor([1, 1, 1, 0, 1]).double()
    torch.testing.assert_close(x.std(0, correction=0), wanted, atol=1e-6, rtol=0)
    wide = rows.astype("float64")
    deviation = np.where(wide.std(0) > 0, wide.std(0), 1)
    assert np.allclose(table.eval_x[:].numpy(), (2 * wide[:6] - wide.mean(0)) / deviation, atol=1e-5)
    trains(table)


def test_channels_in_front_are_never_misread(tmp_path: Path) -> None:
    """Torch's order is refused with what to do; said to be so it gives the same workload, bit by bit."""
    images = noise(12, 8, 7, 3)
    front = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    with pytest.raises(ValueError, match=r"look like \[N, channels, height, width\].*channels: first"):
        made(tmp_path, front)
    there = made(tmp_path, images)
    assert there.train_x[:].shape == (12, 3, 8, 7)
    for other in (
        made(tmp_path, front, channels="first"),
        made(tmp_path, np.moveaxis(front, 1, -1)),
        made(tmp_path, images, channels="last"),
    ):
        assert torch.equal(other.train_x[:], there.train_x[:])
        assert other.fingerprint() == there.fingerprint()


@pytest.mark.parametrize("sides", [(1, 8, 8), (3, 32, 32), (4, 5, 6), (10, 32, 28)])
def test_every_likely_image_in_torchs_order_is_refused(sides: tuple[int, int, int], tmp_path: Path) -> None:
    """Grey, colour and many channels, square or not; the same images with channels last are read."""
    with pytest.raises(ValueError, match="channels: first"):
        made(tmp_path, noise(6, *sides))
    channels, height, width = sides
    assert made(tmp_path, noise(6, height, width, channels)).train_x[:].shape == (6, *sides)


@pytest.mark.parametrize("sides", [(3, 3, 3), (3, 8, 3), (8, 3, 3), (8, 3, 8), (8, 3, 5)])
def test_what_cannot_be_told_is_asked(sides: tuple[int, int, int], tmp_path: Path) -> None:
    """Where the shape does not show the channels the user must say; then either order is read as said."""
    images = noise(6, *sides)
    with pytest.raises(
        ValueError,
        match=r"does not show in the shape: give the constant channels.*goes on with channels: last",
    ):
        made(tmp_path, images)
    assert made(tmp_path, images, channels="first").train_x[:].shape == (6, *sides)
    last = made(tmp_path, images, channels="last").train_x[:]
    assert last.shape == (6, sides[2], *sides[:2])


@pytest.mark.parametrize(
    ("examples", "constants", "words"),
    [
        (noise(6, 64), {}, r"uint8 of shape \[6, 64\]; wanted uint8 .*x.astype\('float32'\).*by reshape"),
        (RANDOM.integers(0, 9, (6, 4)), {}, r"int64 of shape \[6, 4\]; wanted .*x.astype\('float32'\)"),
        (RANDOM.random((6, 8, 8)), {}, r"images are bytes: for values from 0 to 1, \(255 \* x\)"),
        (RANDOM.integers(0, 256, (6, 8, 8)), {}, r"for values from 0 to 255, x.astype\('uint8'\)"),
        (noise(6), {}, r"uint8 of shape \[6\]; wanted uint8 \[N, height, width, channels\]"),
        (np.full((6, 3), np.nan), {}, "holds 18 numbers that are not finite"),
        (np.arange(18.0).reshape(6, 3) * 1e200, {}, "the numbers of column 0 are too large"),
        (
            RANDOM.random((6, 3)),
            {"crop": 1},
            "holds a table; crop, flip and cutmix_probability",
        ),
        (
            RANDOM.random((6, 3)),
            {"model": "convnet"},
            "cannot take rows of 3 numbers .*as mlp or linear",
        ),
        (RANDOM.random((6, 3)), {"channels": "last"}, "has no channels"),
        (noise(6, 8, 8), {"channels": "first"}, "has no channels"),
        (noise(6, 8, 8, 3), {"channels": "middle"}, "channels is 'middle'; wanted last or first"),
        (RANDOM.random((6, 3)), {"test_x": RANDOM.random((6, 4))}, r"shapes \[3\] and \[4\]"),
        (RANDOM.random((6, 3)), {"test_x": noise(6, 8, 8)}, r"wanted floats \[N, features\], as train_x is"),
    ],
)
def test_what_it_cannot_mean_is_refused(
    examples: Any, constants: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Found, wanted, and what to do."""
    with pytest.raises(ValueError, match=words):
        made(tmp_path, examples, **constants)
