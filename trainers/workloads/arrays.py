"""Images or a table from a user's array file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.naming import short
from trainers.workloads.augmentation import Augmentation
from trainers.workloads.base import Workload
from trainers.workloads.layout import CHANNELS, FORMS, channels_first, kind_of
from trainers.workloads.pixels import pixel_workload, place, statistics, subset
from trainers.workloads.tables import check_table, table_workload

FORM = (
    f"an .npz file with train_x, test_x ({' or '.join(FORMS.values())}) "
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
    channels: str | None = None,
) -> Workload:
    """Classification of the arrays `train_x`, `train_y`, `test_x` and `test_y` of an .npz file.

    The second pair is for evaluation.

    Args:
        model: builds a network from the shape of an example, (channels, height, width) or (features,), and
            the number of classes.
        model_name: the name of that network.
        file: of `numpy.savez`: images as bytes, [N, height, width, channels] or grey ones [N, height, width],
            or a table of floats [N, features]. A relative path begins in the environment's
            STABILITY_STUDY_DATA or, without that, in the current folder.
        train_examples: train on so many, drawn once for everybody; if not given, on all.
        test_examples: evaluate on so many, likewise.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].
        crop, flip, cutmix_alpha, cutmix_probability: of images, see `Augmentation`.
        channels: `last` or `first`, where images have them; if not given, their shape must show that they are
            last.

    There are as many classes as the largest label says. Images are normalised by mean and deviation of each
    channel over the training images, tables by those of each column over the training rows.

    Raises:
        ValueError: the file is missing, damaged or of another form, or a constant is out of range.
    """
    if channels is not None and channels not in CHANNELS:
        raise ValueError(f"arrays: channels is {short(channels)}; wanted {' or '.join(CHANNELS)}")
    path = place(file)
    found = read(path)
    train_x, test_x = examples(path, found, channels)
    train_y, test_y = (labels(path, name, found[name]) for name in ("train_y", "test_y"))
    for part, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        if len(x) != len(y):
            raise ValueError(
                f"{path}: {part}_x has {len(x)} examples and {part}_y has {len(y)}; they must be equal"
            )
    classes = max(2, 1 + int(max(train_y.max(), test_y.max())))
    few = subset("arrays", "train_examples", train_examples, len(train_x))
    held = subset("arrays", "test_examples", test_examples, len(test_x))
    train, test = (train_x[few], train_y[few]), (test_x[held], test_y[held])
    name, augmentation = (
        f"arrays/{model_name}",
        Augmentation(crop, flip, cutmix_alpha, cutmix_probability, classes),
    )
    if train_x.ndim == 2:
        if augmentation.active:
            raise ValueError(
                f"{path} holds a table; crop, flip and cutmix_probability are of images: leave them out"
            )
        return table_workload(name, model, train, test, classes, label_smoothing)
    shape = tuple(train_x.shape[1:])
    mean_and_std = statistics(train[0])
    return pixel_workload(
        name, model, train, test, shape, classes, augmentation, label_smoothing, *mean_and_std
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


def examples(path: Path, found: Mapping[str, Any], channels: str | None) -> tuple[Tensor, Tensor]:
    """Both parts: images [N, channels, height, width] as bytes, or tables [N, features] in float64.

    Raises:
        ValueError: the type or shape is none of these, or another one in the second part.
    """
    said = {name: f"{path}: {name} is {_form(found[name])}" for name in ("train_x", "test_x")}
    kinds: list[str] = []
    made: list[Tensor] = []
    for name in said:
        array = found[name]
        if array.size == 0:
            raise ValueError(f"{said[name]}; wanted at least one example")
        try:
            kinds.append(kind_of(array))
            if kinds[-1] != kinds[0]:
                raise ValueError(f"wanted {FORMS[kinds[0]]}, as train_x is")
            made.append(_tensor(array, kinds[0], channels))
        except ValueError as error:
            raise ValueError(f"{said[name]}; {error}") from None
    if made[0].shape[1:] != made[1].shape[1:]:
        raise ValueError(
            f"{path}: examples of train_x and test_x have shapes {list(found['train_x'].shape[1:])} "
            f"and {list(found['test_x'].shape[1:])}; they must be equal"
        )
    return made[0], made[1]


def _form(array: Any) -> str:
    return f"{array.dtype} of shape {list(array.shape)}"


def _tensor(array: Any, kind: str, channels: str | None) -> Tensor:
    if channels is not None and kind != "images":
        raise ValueError("it has no channels; leave the constant channels out")
    if kind == "table":
        return check_table(array)
    if kind == "grey images":
        return torch.from_numpy(array).unsqueeze(1).contiguous()
    if channels_first(array.shape, channels):
        return torch.from_numpy(array).contiguous()
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


def labels(path: Path, name: str, array: Any) -> Tensor:
    """Classes [N].

    Raises:
        ValueError: the type or shape is another one.
    """
    said = f"{path}: {name} is {_form(array)}"
    if array.size == 0:
        raise ValueError(f"{said}; wanted at least one example")
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"{said}; wanted whole numbers [N]")
    if array.min() < 0:
        raise ValueError(f"{path}: {name} holds {array.min()}; wanted classes counted from 0")
    return torch.from_numpy(array.astype("int64"))
