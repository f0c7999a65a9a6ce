"""What a `GradScaler` leaves at an optimizer whose step divides by the loss scale itself (`fused=True`)."""

from __future__ import annotations

from typing import Any

from torch import optim

LEFT_BY_SCALER = ("grad_scale", "found_inf")
"""Attributes that `scaler.step` sets before the optimizer's step and deletes after it."""


def check_unscaled(optimizer: optim.Optimizer, kwargs: dict[str, Any]) -> None:
    """Refuse gradients that are still multiplied by the loss scale.

    Raises:
        ValueError: they are.
    """
    if getattr(optimizer, "grad_scale", None) is not None or kwargs.get("grad_scaler") is not None:
        raise ValueError(
            "gradients are still multiplied by the loss scale; wanted true ones; "
            "call scaler.unscale_(optimizer) before scaler.step(optimizer)"
        )


def has_overflowed(optimizer: optim.Optimizer) -> bool:
    """Whether the scaler found an infinite or NaN gradient, so that this step will change nothing."""
    # Without fused=True the scaler does not call step() then, and no hook runs.
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def forget_scale(optimizer: optim.Optimizer) -> None:
    """Delete what the scaler set, as it does after a step; it does not after a step that raises."""
    # Left in place, `grad_scale` would be multiplied into the next step's.
    for name in LEFT_BY_SCALER:
        vars(optimizer).pop(name, None)
