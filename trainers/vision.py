"""torchvision, imported in this one place and when it is needed.

Used are its data sets, transforms and networks, and none of its compiled operators.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

import torch

COMPILED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""What torchvision declares of its compiled operators while it is imported."""


@cache
def vision() -> Any:
    """The package `torchvision`, with its `datasets`, `models` and `transforms`.

    A torchvision that is built for CUDA cannot load its operators beside a torch without CUDA, and then
    refuses to be imported. Nothing here uses them, so where they are absent they are
    declared, without a body, and
    it is imported again.

    Raises:
        ValueError: it is not installed, or does not fit this torch.
    """
    try:
        return _imported()
    except ImportError as error:
        raise ValueError(
            f"torchvision cannot be imported ({error}); "
            f"wanted the release that goes with torch {torch.__version__}; install torchvision"
        ) from None
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise ValueError(
                f"torchvision does not go with torch {torch.__version__} ({error}); "
                "install the release that does"
            ) from None
    for name in [name for name in sys.modules if f"{name}.".startswith("torchvision.")]:
        del sys.modules[name]  # half imported
    library = torch.library.Library("torchvision", "DEF")
    for schema in COMPILED:
        library.define(schema)
    found = _imported()
    found.declared_operators = library  # declarations live as long as this object
    return found


def _imported() -> Any:
    package = import_module("torchvision")
    for part in ("datasets", "models", "transforms"):
        import_module(f"torchvision.{part}")
    return package


def check_images(
    model: str, shape: tuple[int, ...], least: int, multiple: int = 1, *, square: bool = False
) -> None:
    """Refuse examples that a network for colour photographs does not take.

    Raises:
        ValueError: not three channels, or a side is too short, not a multiple, or not as long as the other.
    """
    wanted = (
        f"[3, height, width] with sides of at least {least}"
        + (f", multiples of {multiple}" if multiple > 1 else "")
        + (", both equal" if square else "")
    )
    sides = shape[1:]
    if (
        len(shape) != 3
        or shape[0] != 3
        or any(side < least or side % multiple for side in sides)
        or (square and sides[0] != sides[1])
    ):
        raise ValueError(
            f"model {model!r} was given examples of shape {list(shape)}; wanted {wanted}; "
            "take other data or another model"
        )
