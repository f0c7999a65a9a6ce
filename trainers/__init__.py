"""Train many cells at once: transforms, optimizers, workloads, and the fused and serial trainers.

Nothing here needs more than torch. Names are imported on first use, so that budgets and names can be checked
without waiting for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.attachment import attach
    from trainers.budget import Budget
    from trainers.checkpoint import Checkpoint
    from trainers.curves import Curves
    from trainers.fused import train_fused
    from trainers.optimizers import OPTIMIZERS, Optimizer, make_optimizer
    from trainers.serial import train_serial
    from trainers.transforms import TRANSFORMS, Transform, make_transform
    from trainers.workloads import WORKLOADS, Workload, make_workload

_HOME = {
    "attach": "attachment",
    "Budget": "budget",
    "Checkpoint": "checkpoint",
    "Curves": "curves",
    "train_fused": "fused",
    "OPTIMIZERS": "optimizers",
    "Optimizer": "optimizers",
    "make_optimizer": "optimizers",
    "train_serial": "serial",
    "TRANSFORMS": "transforms",
    "Transform": "transforms",
    "make_transform": "transforms",
    "WORKLOADS": "workloads",
    "Workload": "workloads",
    "make_workload": "workloads",
}

__all__ = [
    "OPTIMIZERS",
    "TRANSFORMS",
    "WORKLOADS",
    "Budget",
    "Checkpoint",
    "Curves",
    "Optimizer",
    "Transform",
    "Workload",
    "attach",
    "make_optimizer",
    "make_transform",
    "make_workload",
    "train_fused",
    "train_serial",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"trainers.{_HOME[name]}"), name)
    raise AttributeError(f"module 'trainers' has no attribute {name!r}")
