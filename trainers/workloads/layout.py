"""What an array of examples means: images as bytes or rows of a table; or why that cannot be told."""

from __future__ import annotations

from typing import Any

CHANNELS = ("last", "first")
"""Where images have their channels: [N, height, width, channels], or torch's [N, channels, height, width]."""
AS_BEFORE = " (a study that was trained without that constant goes on with channels: last)"
FORMS = {
    "images": "uint8 [N, height, width, channels]",
    "grey images": "uint8 [N, height, width]",
    "table": "floats [N, features]",
}
"""What examples can be."""


def kind_of(array: Any) -> str:
    """Which of `FORMS` an array has.

    Raises:
        ValueError: none; the message says what was found, what is wanted, and how to make it so.
    """
    if str(array.dtype) == "uint8" and array.ndim in (3, 4):
        return "images" if array.ndim == 4 else "grey images"
    if array.dtype.kind == "f" and array.ndim == 2:
        return "table"
    raise ValueError(f"wanted {', '.join(FORMS.values())}{_how(array)}")


def _how(array: Any) -> str:
    """How an array of another form becomes one of these, where that is likely."""
    if array.dtype.kind == "f" and array.ndim in (3, 4):
        return "; images are bytes: for values from 0 to 1, (255 * x).round().astype('uint8')"
    if array.ndim == 2:
        return "; a table holds floats: x.astype('float32'). Flat images become [N, height, width] by reshape"
    if array.dtype.kind in "iu" and array.ndim in (3, 4):
        return "; images are bytes: for values from 0 to 255, x.astype('uint8')"
    return ""


def channels_first(shape: tuple[int, ...], channels: str | None) -> bool:
    """Whether images of this shape, [N, a, b, c], have their channels in front.

    Args:
        channels: what the user says; None leaves it to the shape. An image has fewer channels than rows and
            columns, so the smallest of the three is the channels.

    Raises:
        ValueError: they would be in front, or it cannot be told.
    """
    if channels is not None:
        return channels == "first"
    a, b, c = shape[1:]
    if c < min(a, b):
        return False
    if a < min(b, c):
        raise ValueError(
            f"wanted {FORMS['images']}; these look like [N, channels, height, width]: give the constant "
            f"channels: first, or store numpy.moveaxis(x, 1, -1){AS_BEFORE}"
        )
    raise ValueError(
        f"wanted {FORMS['images']}; whether {a}, {b} or {c} are the channels does not show in the shape: "
        f"give the constant channels: last, or channels: first{AS_BEFORE}"
    )
