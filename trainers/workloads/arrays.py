"""Images from a user's array file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.workloads.augmentation import Augmentation
from trainers.workloads.base import Workload
from trainers.workloads.pixels import pixel_workload, place, statistics, subset

FORM = (
    "an .npz file with train_x, test_x (uint8 [N, height, width, channels]) "
    "and train_y, test_y (whole numbers [N], classes counted from 0)"
)


def arrays(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    file: str,
    train_examples: int | None = None,
    test_examples: int | None = None,
    label_smoothing: float = 0.0,
    crop: int = 0,
    *,
    flip: bool = False,
    cutmix_alpha: float = 1.0,
    cutmix_probability: float = 0.0,
) -> Workload:
    """Image classification from the arrays `train_x`, `train_y`, `test_x` and `test_y` of an .npz file.

    The second pair is for evaluation.

    Args:
        model: builds a network from the shape of an example, (channels, height, width), and the number of
            classes.
        model_name: the name of that network.
        file: of `numpy.savez`, images as bytes [N, height, width, channels]; a relative path begins in the
            environment's STABILITY_STUDY_DATA or, without that, in the current folder.
        train_examples: train on so many, drawn once for everybody; if not given, on all.
        test_examples: evaluate on so many, likewise.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].
        crop, flip, cutmix_alpha, cutmix_probability: see `Augmentation`.

    There are as many classes as the largest label says. Images are normalised by mean and deviation of each
    channel over the training images.

    Raises:
        ValueError: the file is missing, damaged or of another form, or a constant is out of range.
    """
    path = place(file)
    found = read(path)
    train_x, train_y, test_x, test_y = (
        check(path, name, found[name]) for name in ("train_x", "train_y", "test_x", "test_y")
    )
    for part, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        if len(x) != len(y):
            raise ValueError(
                f"{path}: {part}_x has {len(x)} examples and {part}_y has {len(y)}; they must be equal"
            )
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(
            f"{path}: images of train_x and test_x have shapes {list(found['train_x'].shape[1:])} "
            f"and {list(found['test_x'].shape[1:])}; they must be equal"
        )
    classes = max(2, 1 + int(max(train_y.max(), test_y.max())))
    few = subset("arrays", "train_examples", train_examples, len(train_x))
    held = subset("arrays", "test_examples", test_examples, len(test_x))
    return pixel_workload(
        f"arrays/{model_name}",
        model,
        (train_x[few], train_y[few]),
        (test_x[held], test_y[held]),
        tuple(train_x.shape[1:]),
        classes,
        Augmentation(crop, flip, cutmix_alpha, cutmix_probability, classes),
        label_smoothing,
        *statistics(train_x[few]),
    )


def read(path: Path) -> dict[str, Any]:
    """The four arrays. Nothing is unpickled.

    Raises:
        ValueError: there is no such file, it is no whole .npz file, or an array is absent.
    """
    import numpy as np

    if not path.is_file():
        raise ValueError(f"{path} is missing; wanted {FORM}; give its path as `file`")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            there = list(archive.files)
            found = {
                name: archive[name] for name in ("train_x", "train_y", "test_x", "test_y") if name in there
            }
    # All that numpy, zipfile and zlib raise for damaged or foreign files.
    except (
        ValueError,
        OSError,
        EOFError,
        AttributeError,
        TypeError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path} is damaged or no .npz file ({type(error).__name__}: {error}); wanted {FORM}; "
            "write or fetch it again"
        ) from None
    absent = [name for name in ("train_x", "train_y", "test_x", "test_y") if name not in found]
    if absent:
        raise ValueError(
            f"{path} has no {', '.join(absent)}; it has {', '.join(there) or 'nothing'}; wanted {FORM}"
        )
    return found


def check(path: Path, name: str, array: Any) -> Tensor:
    """Images [N, channels, height, width] as bytes, or classes [N].

    Raises:
        ValueError: the type or shape is another one.
    """
    said = f"{path}: {name} is {array.dtype} of shape {list(array.shape)}"
    if array.size == 0:
        raise ValueError(f"{said}; wanted at least one example")
    if name.endswith("x"):
        if str(array.dtype) != "uint8" or array.ndim != 4:
            raise ValueError(f"{said}; wanted uint8 [N, height, width, channels]")
        return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"{said}; wanted whole numbers [N]")
    if array.min() < 0:
        raise ValueError(f"{path}: {name} holds {array.min()}; wanted classes counted from 0")
    return torch.from_numpy(array.astype("int64"))
