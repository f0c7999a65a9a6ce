"""A cell inside of Lightning's Trainer. The only file that imports Lightning, and inside of a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from study.measures.clipping import CLIPPING
from study.run.own_training.framework import FollowedCell, note_framework
from trainers.naming import nearest, short

OWN_CLIPPING = "configure_gradient_clipping"
"""The method of a module that may clip in a way of its own, of which nothing is known."""


def lightning_callback(cell: FollowedCell, monitor: str = "") -> Any:
    """A callback that attaches a cell's transform, reports losses and scores, and notes Lightning's clipping.

    The transform sees gradients that are unscaled and clipped by `gradient_clip_val`. The loss of a step is
    the mean over its accumulated batches. Scores are reported after each validation; `trainer.validate`
    before `trainer.fit` tells the untrained one. The trainer needs `max_steps=cell.budget.steps`.

    Args:
        monitor: the logged score; if empty, the name that the spec gives it.

    Raises:
        ImportError: Lightning is not installed.
        ValueError: when fitting, there are several optimizers, or nothing of that name was logged.
    """
    # Lightning imports torchvision, which does not let itself be imported beside every torch.
    from trainers.vision import vision

    vision()
    import lightning

    score = monitor or cell.reports.metric

    class CellCallback(lightning.Callback):  # type: ignore[misc]  # found at run time only
        def __init__(self) -> None:
            self._losses: list[Any] = []
            self._step = 0

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            if len(trainer.optimizers) != 1:
                raise ValueError(
                    f"{type(pl_module).__name__} has {len(trainer.optimizers)} optimizers; wanted one, "
                    "because a cell has one transform; join their parameters as groups of one optimizer"
                )
            cell.attach(trainer.optimizers[0])
            clipping = trainer.gradient_clip_val
            if clipping and trainer.gradient_clip_algorithm == "value":
                clipping = f"each number at {clipping:g}"
            note_framework(cell, f"lightning {lightning.__version__}", clipping)
            if getattr(type(pl_module), OWN_CLIPPING) is not getattr(lightning.LightningModule, OWN_CLIPPING):
                cell.note(**{CLIPPING: f"by {type(pl_module).__name__}.{OWN_CLIPPING}"})

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if not trainer.is_global_zero:
                return  # one of several processes tells, or steps would be told twice
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if loss is not None:
                self._losses.append(loss.detach())
            if trainer.global_step > self._step and self._losses:
                self._step = trainer.global_step
                # Lightning divides each loss by the number of accumulated batches, but not in steps by hand.
                parts = 1 if pl_module.automatic_optimization else len(self._losses)
                cell.report(step=self._step, loss=sum(self._losses) / parts)
                self._losses = []

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.sanity_checking or not trainer.is_global_zero:
                return
            logged = trainer.callback_metrics
            if score not in logged:
                known = ", ".join(sorted(logged)) or "nothing"
                raise ValueError(
                    f"validation logged no {short(score)}; logged: {known}{nearest(score, list(logged))}; "
                    "name one with cell.lightning(monitor=…)"
                )
            cell.report(step=trainer.global_step, metric=logged[score])

    return CellCallback()
