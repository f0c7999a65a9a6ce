"""CIFAR-10 and CIFAR-100, read and checked by torchvision."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import torch
from filelock import FileLock
from torch import Tensor, nn

from trainers.vision import vision
from trainers.workloads.augmentation import Augmentation
from trainers.workloads.base import Workload
from trainers.workloads.pixels import pixel_workload, place, statistics, subset


def cifar10(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    root: str = "data",
    *,
    download: bool = False,
    train_examples: int | None = None,
    test_examples: int | None = None,
    label_smoothing: float = 0.0,
    crop: int = 4,
    flip: bool = True,
    cutmix_alpha: float = 1.0,
    cutmix_probability: float = 0.0,
) -> Workload:
    """CIFAR-10: colour photographs of 32 x 32 pixels in ten classes.

    50,000 are for training and 10,000 for evaluation.

    Args:
        model: builds a network from the shape of an example and the number of classes.
        model_name: the name of that network.
        root: folder of the archive; a relative one begins in the environment's STABILITY_STUDY_DATA or,
            without that, in the current folder.
        download: fetch the archive if it is not there.
        train_examples: train on so many, drawn once for everybody; if not given, on all.
        test_examples: evaluate on so many, likewise.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].
        crop, flip, cutmix_alpha, cutmix_probability: see `Augmentation`.

    Images are normalised by mean and deviation of each channel over the whole training part.

    Raises:
        ValueError: a file is missing or damaged, or a constant is out of range.

    Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    Differs from the reference: nothing in the images and their two parts; crops, mirror images and CutMix are
        later usage.
    """
    augmentation = Augmentation(crop, flip, cutmix_alpha, cutmix_probability, classes=10)
    return cifar(
        "cifar10",
        model,
        model_name,
        root,
        (train_examples, test_examples),
        label_smoothing,
        augmentation,
        download=download,
    )


def cifar100(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    root: str = "data",
    *,
    download: bool = False,
    train_examples: int | None = None,
    test_examples: int | None = None,
    label_smoothing: float = 0.0,
    crop: int = 4,
    flip: bool = True,
    cutmix_alpha: float = 1.0,
    cutmix_probability: float = 0.0,
) -> Workload:
    """CIFAR-100: as many photographs as in CIFAR-10, in a hundred classes (the fine labels).

    Arguments and errors are those of `cifar10`.

    Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    Differs from the reference: as in `cifar10`.
    """
    augmentation = Augmentation(crop, flip, cutmix_alpha, cutmix_probability, classes=100)
    return cifar(
        "cifar100",
        model,
        model_name,
        root,
        (train_examples, test_examples),
        label_smoothing,
        augmentation,
        download=download,
    )


def cifar(
    name: str,
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    root: str,
    examples: tuple[int | None, int | None],
    label_smoothing: float,
    augmentation: Augmentation,
    *,
    download: bool,
) -> Workload:
    """Either of them."""
    kind = getattr(vision().datasets, name.upper())
    (train_x, train_y), (test_x, test_y) = load(kind, place(root), download=download)
    few = subset(name, "train_examples", examples[0], len(train_x))
    held = subset(name, "test_examples", examples[1], len(test_x))
    train, test = (train_x[few], train_y[few]), (test_x[held], test_y[held])
    return pixel_workload(
        f"{name}/{model_name}",
        model,
        train,
        test,
        tuple(train_x.shape[1:]),
        augmentation.classes,
        augmentation,
        label_smoothing,
        *statistics(train_x),
    )


def load(kind: Any, root: Path, *, download: bool) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images [N, 3, 32, 32] as bytes, and classes, of both parts.

    An archive in `root` is unpacked there; nothing is unpickled before its checksum is that of
    torchvision's list.

    Raises:
        ValueError: a file is missing or damaged and is not, or cannot be, downloaded.
    """
    if problem(kind, root):
        archive = root / kind.filename
        whole = archive.is_file() and not damage(archive, kind.tgz_md5)
        if whole or download:
            try:
                with alone(root), contextlib.redirect_stdout(sys.stderr):
                    kind(root, download=True)
            except Exception as error:  # whatever network, archive or disk raise
                if isinstance(error, HTTPError):
                    error.close()  # it is the server's answer, too
                doing = f"unpacking {archive}" if whole else f"downloading {kind.url}"
                raise ValueError(
                    f"{doing} failed ({type(error).__name__}: {error}); "
                    f"{advice(kind, root, download=download)}"
                ) from None
        if archive.is_file() and not whole and not download:
            found = damage(archive, kind.tgz_md5)
        else:
            found = problem(kind, root)
        if found:
            raise ValueError(f"{found}; {advice(kind, root, download=download)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the files are pickles of an old numpy, about which a new one warns
        parts = [kind(root, train=train) for train in (True, False)]
    return tensors(parts[0]), tensors(parts[1])


def tensors(part: Any) -> tuple[Tensor, Tensor]:
    """Images and classes of one part of a torchvision data set."""
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor(part.targets, dtype=torch.int64)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """One worker of a machine at a time fetches or unpacks an archive; the later ones then find it whole."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".download.lock"):
        yield


def problem(kind: Any, root: Path) -> str:
    """What is wrong with the first file that is missing or damaged; empty if none is."""
    files = (*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"]))
    return next(filter(None, (damage(root / kind.base_folder / name, md5) for name, md5 in files)), "")


def damage(path: Path, md5: str) -> str:
    """What is wrong with a file, by torchvision's check; empty if nothing is."""
    utils = vision().datasets.utils
    if not path.is_file():
        return f"{path} is missing"
    if utils.check_integrity(path, md5):
        return ""
    return f"{path} is damaged: its MD5 is {utils.calculate_md5(path)}, wanted {md5}"


def advice(kind: Any, root: Path, *, download: bool) -> str:
    """How to get the data."""
    archive = f"{kind.filename} (MD5 {kind.tgz_md5}) from {kind.url}"
    hand = f"put {archive} into {root}, where it is unpacked by itself"
    if download:
        return hand
    return f"set download: true, or {hand}, or let root name the folder that holds {kind.base_folder}"
