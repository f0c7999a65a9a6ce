"""What a training function of the user's own is given: its numbers, and ways to say what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from study.run.own_training.reports import Reports
from trainers.budget import Budget

if TYPE_CHECKING:
    from trainers import Transform
    from trainers.attachment import Attachment


class DivergedError(Exception):
    """The cell has diverged: nothing that comes later counts, so training ends here."""


@dataclass(frozen=True)
class CellTransform:
    """The gradient transform of a cell.

    Attributes:
        name: `clip_norm`, say, or `package.module:name` of the user's own.
        constants: that the spec gives it.
    """

    name: str
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class TrainingCell:
    """One cell, for the user's own function `train(cell)`.

    Attributes:
        lr, weight_decay: the numbers of the grid.
        seed: of weights, order of data and noise, as far as the function lets it decide them.
        transform: name and constants; `attach` puts it in front of an optimizer.
        budget: what every cell of the study may use, with `steps` and `batch_size`.
        directory: an empty folder for this cell alone, which is removed when the cell ends.
        device: `cpu` or `cuda`.
        model, optimizer: the names that the spec gives them; `own` without one.
    """

    lr: float
    weight_decay: float
    seed: int
    transform: CellTransform
    budget: Budget
    directory: Path
    device: str
    model: str
    optimizer: str
    reports: Reports = field(repr=False)
    make_transform: Callable[[], Transform] = field(repr=False)

    def attach(self, optimizer: Any) -> Attachment:
        """Put the cell's transform in front of an optimizer of `torch.optim`; see `trainers.attach`.

        Raises:
            TypeError, ValueError: the optimizer cannot have one.
        """
        from trainers import attach

        return attach(optimizer, self.make_transform())

    def report(self, *, step: int | None = None, loss: Any = None, metric: Any = None, **named: Any) -> None:
        """Say how training goes.

        Args:
            step: how many steps are done; 0 is before training. If not given, the last of the budget.
            loss: of training [loss units]. One that is not finite ends the cell as diverged.
            metric: the score on data that is not trained on.
            named: the score again, under the name that the spec gives it.

        Raises:
            ValueError: a name or a value is none that can be reported.
            DivergedError: the loss is not finite; let it pass.
        """
        lost = self.reports.add(
            {"step": self.budget.steps if step is None else step}
            | {key: value for key, value in {"loss": loss, "metric": metric}.items() if value is not None}
            | named
        )
        if lost:
            raise DivergedError("the reported loss is not finite")

    def note(self, **facts: str | float | bool) -> None:
        """Keep facts beside the cell's numbers, such as `clipping=1.0` of a framework that clips by itself.

        Raises:
            ValueError: a fact is no finite number and no short line of text.
        """
        self.reports.note(facts)

    def lightning(self, monitor: str = "") -> Any:
        """A callback for Lightning's Trainer, which attaches, reports and notes; see `lightning_callback`.

        Args:
            monitor: the logged score; if empty, the name that the spec gives it.

        Raises:
            ImportError: Lightning is not installed.
        """
        from study.run.own_training.lightning_callback import lightning_callback

        return lightning_callback(self, monitor)

    def transformers(self, monitor: str = "") -> Any:
        """A callback for the Trainer of transformers, which does the same; see `transformers_callback`.

        Args:
            monitor: the score among the evaluation's metrics; if empty, `eval_` and the name in the spec.

        Raises:
            ImportError: transformers is not installed.
        """
        from study.run.own_training.transformers_callback import transformers_callback

        return transformers_callback(self, monitor)

    def diverged(self, reason: str) -> NoReturn:
        """End the cell as diverged, by a rule of the function's own.

        Raises:
            DivergedError: always; let it pass.
        """
        self.reports.diverge(reason)
        raise DivergedError(reason)
