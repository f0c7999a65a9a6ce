"""Images in folders, one folder per class, as ImageNet is laid out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.naming import check_range
from trainers.vision import vision
from trainers.workloads.augmentation import Augmentation
from trainers.workloads.base import Stored, Workload
from trainers.workloads.pixels import pixel_workload, place, subset


def image_folder(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    folder: str,
    train: str = "train",
    test: str = "val",
    size: int = 224,
    resize: int = 256,
    train_examples: int | None = None,
    test_examples: int | None = None,
    label_smoothing: float = 0.0,
    crop: int = 0,
    *,
    flip: bool = True,
    cutmix_alpha: float = 1.0,
    cutmix_probability: float = 0.0,
    mean: tuple[float, ...] | list[float] = (0.485, 0.456, 0.406),
    std: tuple[float, ...] | list[float] = (0.229, 0.224, 0.225),
) -> Workload:
    """Image classification from files `folder/train/CLASS/*` and `folder/val/CLASS/*`.

    They may have every format that torchvision's `ImageFolder` reads.

    Each image is scaled so that its shorter side has `resize` pixels, and its middle of `size` x `size`
    pixels is taken. If a part is no larger than `trainers.feed.HELD_BYTES` as bytes, it is decoded once and
    held on the device. If it is larger, images are decoded for every batch, the next batch while the device
    works on this one; then the disk and the processor may well be what limits the speed.

    What stands for the data in the keys of cells is a hash of the files' names, sizes and classes, not of
    their content, because reading all of ImageNet takes long: a file that was changed and kept its size is
    not noticed.

    Args:
        model: builds a network from the shape of an example and the number of classes.
        model_name: the name of that network.
        folder: that has both parts; a relative one begins in the environment's STABILITY_STUDY_DATA or,
            without that, in the current folder.
        train: name of the part for training.
        test: name of the part for evaluation; it has the same classes.
        size: height and width of an example [pixels].
        resize: length of the shorter side before the middle is cut out, >= `size` [pixels].
        train_examples: train on so many, drawn once for everybody; if not given, on all.
        test_examples: evaluate on so many, likewise.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].
        crop, flip, cutmix_alpha, cutmix_probability: see `Augmentation`.
        mean: of each channel, of values in [0, 1]; those of ImageNet if not given.
        std: standard deviation of each channel, > 0; those of ImageNet if not given.

    Raises:
        ValueError: a folder is missing or has no images, the parts have other classes, or a constant is out
            of range. In training, an image cannot be decoded.

    Reference: Deng et al., "ImageNet", 2009; sizes, mean and deviation are those of torchvision's own
        recipes.
    Differs from the reference: these train on pieces of random size and proportions ("random resized crop"),
        this on the middle, moved by `crop`.
    """
    check_range("image_folder", 1, size=size)
    check_range("image_folder", size, resize=resize)
    for k in range(3):
        if len(mean) != 3 or len(std) != 3:
            raise ValueError(
                f"image_folder: mean and std have {len(mean)} and {len(std)} entries; "
                "wanted 3 each, one per channel"
            )
        check_range("image_folder", **dict[str, Any]({f"mean[{k}]": mean[k]}))
        check_range("image_folder", 0.0, open_low=True, **dict[str, Any]({f"std[{k}]": std[k]}))
    parts: list[tuple[ImageFiles, Tensor]] = []
    classes: list[list[str]] = []
    for part, key, wanted in (
        (train, "train_examples", train_examples),
        (test, "test_examples", test_examples),
    ):
        found = listed(place(folder) / part)
        chosen = [found.samples[k] for k in subset("image_folder", key, wanted, len(found.samples)).tolist()]
        images = ImageFiles(place(folder) / part, [path for path, _ in chosen], size, resize)
        parts.append((images, torch.tensor([label for _, label in chosen], dtype=torch.int64)))
        classes.append(found.classes)
    if classes[0] != classes[1]:
        odd = sorted(set(classes[0]) ^ set(classes[1]))
        raise ValueError(
            f"{place(folder)}: {train} has {len(classes[0])} classes and {test} has {len(classes[1])}; "
            f"wanted the same; only one part has {', '.join(odd[:5])}"
        )
    augmentation = Augmentation(crop, flip, cutmix_alpha, cutmix_probability, len(classes[0]))
    return pixel_workload(
        f"image_folder/{model_name}",
        model,
        parts[0],
        parts[1],
        (3, size, size),
        len(classes[0]),
        augmentation,
        label_smoothing,
        mean,
        std,
    )


def listed(folder: Path) -> Any:
    """torchvision's `ImageFolder`: paths with their labels, sorted, and the names of the classes.

    Raises:
        ValueError: the folder is missing, or a class in it has no image.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is missing; wanted one folder per class with images in it; "
            "give the folder that holds it as `folder`, and its name as `train` or `test`"
        )
    try:
        return vision().datasets.ImageFolder(folder)
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder}: {error}; wanted one folder per class, each with at least one image"
        ) from None


class ImageFiles(Stored):
    """Image files, decoded when they are asked for to bytes [3, size, size], by several threads."""

    def __init__(self, folder: Path, paths: Sequence[str], size: int, resize: int) -> None:
        self.paths, self.size, self.resize = list(paths), size, resize
        self.nbytes = len(self.paths) * 3 * size * size
        lines = [
            f"{Path(path).relative_to(folder).as_posix()}|{Path(path).stat().st_size}" for path in self.paths
        ]
        self.identity = hashlib.sha256("\n".join([f"{size}|{resize}", *lines]).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        chosen = self.paths[index] if isinstance(index, slice) else [self.paths[k] for k in index.tolist()]
        # Threads are enough, because Pillow decodes without holding Python's lock.
        with ThreadPoolExecutor() as pool:
            return torch.stack(list(pool.map(self.decode, chosen)))

    def decoded(self) -> Tensor:
        """All images, decoded once."""
        return self._all

    @cached_property
    def _all(self) -> Tensor:
        return self[:]

    def decode(self, path: str) -> Tensor:
        """One image.

        Raises:
            ValueError: it cannot be decoded.
        """
        package = vision()
        change = package.transforms.functional
        try:
            image = package.datasets.folder.pil_loader(path)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(
                f"{path} cannot be decoded ({type(error).__name__}: {error}); wanted an image; "
                "fetch it again, or take it out"
            ) from None
        pixels: Tensor = change.pil_to_tensor(
            change.center_crop(change.resize(image, self.resize), [self.size, self.size])
        )
        return pixels
