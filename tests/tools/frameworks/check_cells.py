"""A cell of a study inside of Lightning's and transformers' Trainers: trained, told and noted as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import SequentialSampler

from study.run.own_training.cell import CellTransform, DivergedError, TrainingCell
from study.run.own_training.reports import Reported, Reports, read_reports
from tests.tools.frameworks.subject import (
    BATCH,
    STEPS,
    Named,
    Scored,
    assert_same,
    batches,
    loss_of,
    network,
    optimizer,
    scheduler,
)
from tests.trainers.making import transform_of
from trainers import Budget, attach
from trainers.vision import vision

pytestmark = pytest.mark.filterwarnings("ignore")
SCORE = "score"


def cell_of(folder: Path, name: str = "gradient_stabilizer") -> TrainingCell:
    """A cell whose reports lie in a folder."""
    return TrainingCell(
        lr=0.1,
        weight_decay=0.0,
        seed=0,
        transform=CellTransform(name),
        budget=Budget(steps=STEPS, batch_size=BATCH),
        directory=folder,
        device="cpu",
        model="own",
        optimizer="own",
        reports=Reports(folder / "reports.jsonl", SCORE, STEPS),
        make_transform=lambda: transform_of(name),
    )


def told(cell: TrainingCell) -> Reported:
    return read_reports(cell.reports.path, SCORE, STEPS)


@dataclass
class Loop:
    """A loop of the user's own.

    Attributes:
        losses: mean of each step.
        skipped: steps that the scaler left out.
    """

    model: nn.Module = field(default_factory=network)
    losses: list[float] = field(default_factory=list)
    skipped: int = 0

    def score(self) -> float:
        with torch.no_grad():
            return -sum(float(loss_of(self.model, x, y)) for x, y in batches()) / STEPS

    def train(
        self, name: str, *, accumulate: int = 1, clip: float = 0.0, scaler: torch.amp.GradScaler | None = None
    ) -> Loop:
        rule = optimizer(self.model)
        rates = scheduler(rule)
        attach(rule, transform_of(name))
        parts: list[float] = []
        for t, (x, y) in enumerate(batches(), start=1):
            with torch.autocast("cpu", torch.float16, enabled=scaler is not None):
                loss = loss_of(self.model, x, y) / accumulate
            (loss if scaler is None else scaler.scale(loss)).backward()
            parts.append(float(loss))
            if t % accumulate:
                continue
            if scaler is not None:
                scaler.unscale_(rule)
            if clip:
                nn.utils.clip_grad_norm_(self.model.parameters(), clip)
            if scaler is None:
                rule.step()
            else:
                scale = scaler.get_scale()
                scaler.step(rule)
                scaler.update()
                self.skipped += scaler.get_scale() < scale
            rule.zero_grad()
            rates.step()
            self.losses.append(sum(parts))
            parts = []
        return self


def assert_losses(found: Reported, wanted: list[float], within: float = 1e-6) -> None:
    """A loss per step, at its step."""
    losses = [(one.step, one.loss) for one in found.reports if one.loss is not None]
    assert [step for step, _ in losses] == list(range(1, len(wanted) + 1))
    assert [loss for _, loss in losses] == pytest.approx(wanted, abs=within)


@pytest.fixture
def lightning() -> Any:
    vision()  # Lightning imports torchvision, which does not let itself be imported beside every torch
    import lightning

    return lightning


def module(lightning: Any) -> Any:
    """A module that knows nothing of transforms."""

    class Fitted(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            return loss_of(self.model, *batch)

        def validation_step(self, batch: list[Tensor], index: int) -> None:
            self.log(SCORE, -loss_of(self.model, *batch))

        def configure_optimizers(self) -> dict[str, Any]:
            rule = optimizer(self.model)
            return {"optimizer": rule, "lr_scheduler": {"scheduler": scheduler(rule), "interval": "step"}}

    return Fitted()


def lightning_trainer(lightning: Any, cell: TrainingCell, **settings: Any) -> Any:
    return lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        default_root_dir=cell.directory,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[cell.lightning()],
        **settings,
    )


@pytest.mark.parametrize(("accumulate", "clip"), [(1, 0.0), (2, 0.3)])
def test_lightning(accumulate: int, clip: float, lightning: Any, tmp_path: Path) -> None:
    """The bits, losses and scores of a plain loop; what Lightning clips is noted, and that it does not."""
    cell, fitted, plain = cell_of(tmp_path), module(lightning), Loop()
    trainer = lightning_trainer(lightning, cell, accumulate_grad_batches=accumulate, gradient_clip_val=clip)
    trainer.validate(fitted, batches())
    trainer.fit(fitted, batches(), batches())
    before = plain.score()
    plain.train("gradient_stabilizer", accumulate=accumulate, clip=clip)
    assert_same(fitted.model, plain.model.state_dict())
    found = told(cell)
    assert_losses(found, plain.losses)
    scores = [(one.step, one.metric) for one in found.reports if one.metric is not None]
    assert [step for step, _ in scores] == [0, STEPS // accumulate]
    assert [score for _, score in scores] == pytest.approx([before, plain.score()], abs=1e-6)
    assert found.notes == {"framework": f"lightning {lightning.__version__}", "clipping": clip}


def test_lightning_with_a_loss_scale(lightning: Any, tmp_path: Path) -> None:
    """With float16 and a loss scale that overflows at first: the bits of a loop that unscales, then clips."""
    from lightning.pytorch.plugins.precision import MixedPrecision

    def scaler() -> torch.amp.GradScaler:
        return torch.amp.GradScaler("cpu", init_scale=2.0**18)

    cell, fitted = cell_of(tmp_path), module(lightning)
    plugin = MixedPrecision("16-mixed", "cpu", scaler())
    lightning_trainer(lightning, cell, plugins=[plugin], gradient_clip_val=0.3).fit(fitted, batches())
    plain = Loop().train("gradient_stabilizer", clip=0.3, scaler=scaler())
    assert 0 < plain.skipped < STEPS
    assert_same(fitted.model, plain.model.state_dict())
    assert_losses(told(cell), plain.losses, within=1e-3)


def test_lightning_with_clipping_of_the_modules_own(lightning: Any, tmp_path: Path) -> None:
    """A module that overrides how gradients are clipped is named, because nobody knows at what it does."""
    cell, kind = cell_of(tmp_path), type(module(lightning))

    class Own(kind):  # type: ignore[misc, valid-type]
        def configure_gradient_clipping(self, *settings: Any, **more: Any) -> None:
            nn.utils.clip_grad_value_(self.parameters(), 0.1)

    lightning_trainer(lightning, cell).fit(Own(), batches())
    assert told(cell).notes["clipping"] == "by Own.configure_gradient_clipping"


def test_lightning_with_clipping_of_each_number(lightning: Any, tmp_path: Path) -> None:
    """Clipping by value is no clipping of the norm, and is noted as what it is."""
    cell, by_value = cell_of(tmp_path), {"gradient_clip_val": 0.1, "gradient_clip_algorithm": "value"}
    lightning_trainer(lightning, cell, **by_value).fit(module(lightning), batches())
    assert told(cell).notes["clipping"] == "each number at 0.1"


def test_lightning_without_that_score(lightning: Any, tmp_path: Path) -> None:
    """A score that is not logged is named, with those that are."""
    trainer = lightning_trainer(lightning, cell_of(tmp_path))
    trainer.callbacks[-1:] = [cell_of(tmp_path).lightning("scores")]
    with pytest.raises(ValueError, match=r"logged no 'scores'; logged: score; did you mean 'score'\?"):
        trainer.validate(module(lightning), batches())


@pytest.fixture
def transformers() -> Any:
    vision()  # transformers imports torchvision, which does not let itself be imported beside every torch
    import transformers

    return transformers


def transformers_trainer(transformers: Any, cell: TrainingCell, monitor: str, **settings: Any) -> Any:
    class InOrder(transformers.Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *args: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    scored = Scored()
    rule = optimizer(scored)
    arguments = transformers.TrainingArguments(
        output_dir=str(cell.directory),
        use_cpu=True,
        per_device_train_batch_size=BATCH,
        max_steps=STEPS,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        **settings,
    )
    return InOrder(
        model=scored,
        args=arguments,
        train_dataset=Named(),
        eval_dataset=Named(),
        optimizers=(rule, scheduler(rule)),
        callbacks=[cell.transformers(monitor)],
    )


@pytest.mark.parametrize(("settings", "clip"), [({}, 1.0), ({"max_grad_norm": 0.0}, 0.0)])
def test_transformers(settings: dict[str, float], clip: float, transformers: Any, tmp_path: Path) -> None:
    """The bits, losses and scores of a plain loop; the Trainer clips at 1 if nobody says otherwise."""
    cell, plain = cell_of(tmp_path), Loop()
    trainer = transformers_trainer(transformers, cell, "eval_loss", **settings)
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    before = plain.score()
    plain.train("gradient_stabilizer", clip=clip)
    assert_same(trainer.model.model, plain.model.state_dict())
    found = told(cell)
    assert_losses(found, plain.losses, within=1e-4)
    scores = [(one.step, one.metric) for one in found.reports if one.metric is not None]
    assert [step for step, _ in scores] == [0, STEPS]
    assert [score for _, score in scores] == pytest.approx([-before, -plain.score()], abs=1e-4)
    assert found.notes == {"framework": f"transformers {transformers.__version__}", "clipping": clip}


def test_transformers_that_diverges(transformers: Any, tmp_path: Path) -> None:
    """A loss that is not finite ends the cell, although the Trainer would leave it out of its logs."""
    cell = cell_of(tmp_path)
    trainer = transformers_trainer(transformers, cell, "eval_loss")
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    with pytest.raises(DivergedError):
        trainer.train()


def test_transformers_without_that_score(transformers: Any, tmp_path: Path) -> None:
    """A score that the evaluation does not give is named, with those that it gives."""
    trainer = transformers_trainer(transformers, cell_of(tmp_path), "")
    with pytest.raises(ValueError, match=r"the evaluation gave no 'eval_score'; gave: .*eval_loss"):
        trainer.evaluate()
