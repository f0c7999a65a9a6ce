"""A cell inside of the Trainer of transformers. The only file that imports it, and inside of a function."""

from __future__ import annotations

from typing import Any

from study.run.own_training.framework import FollowedCell, note_framework
from trainers.naming import nearest, short


def transformers_callback(cell: FollowedCell, monitor: str = "") -> Any:
    """A callback that attaches a cell's transform, reports losses and scores, and notes the clipping.

    The transform sees gradients that are unscaled and clipped by `max_grad_norm`, which is 1 by default.
    Losses are those that the Trainer logs, each a mean since the one before: `logging_steps=1` reports every
    step. Scores are reported after each evaluation; `trainer.evaluate()` before `trainer.train()` tells the
    untrained one. The Trainer needs `max_steps=cell.budget.steps`.

    `logging_nan_inf_filter` is turned off. With it the Trainer logs a mean of earlier losses in place of a
    loss that is not finite, and no cell would ever diverge.

    Args:
        monitor: the score among the evaluation's metrics; if empty, `eval_` and the name in the spec.

    Raises:
        ImportError: transformers is not installed.
        ValueError: when evaluating, there is no such metric.
    """
    # transformers imports torchvision, which does not let itself be imported beside every torch.
    from trainers.vision import vision

    vision()
    import transformers

    score = monitor or f"eval_{cell.reports.metric}"

    class CellCallback(transformers.TrainerCallback):  # type: ignore[misc]  # found at run time only
        def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            cell.attach(parts["optimizer"])
            args.logging_nan_inf_filter = False
            note_framework(cell, f"transformers {transformers.__version__}", args.max_grad_norm)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **parts: Any) -> None:
            # One of several processes tells, or steps would be told twice.
            if state.is_world_process_zero and logs and "loss" in logs:
                cell.report(step=state.global_step, loss=logs["loss"])

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **parts: Any) -> None:
            if not state.is_world_process_zero:
                return
            found = metrics or {}
            if score not in found:
                known = ", ".join(sorted(found)) or "nothing"
                raise ValueError(
                    f"the evaluation gave no {short(score)}; gave: {known}{nearest(score, list(found))}; "
                    "name one with cell.transformers(monitor=…)"
                )
            cell.report(step=state.global_step, metric=found[score])

    return CellCallback()
