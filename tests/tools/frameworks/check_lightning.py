"""Lightning, which gives every step a closure and wraps optimizers, trains as the plain loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from tests.tools.frameworks.subject import (
    BATCH,
    NAMES,
    STEPS,
    assert_same,
    batches,
    data,
    loss_of,
    network,
    optimizer,
    plain,
    scheduler,
)
from tests.trainers.making import transform_of
from trainers import attach
from trainers.vision import vision

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def lightning() -> Any:
    vision()  # Lightning imports torchvision, which does not let itself be imported beside every torch
    import lightning

    return lightning


def module(lightning: Any, name: str, where: str) -> Any:
    """A module that attaches to its optimizer, or to Lightning's wrapper of it, or steps by hand."""

    class Fitted(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = network()
            self.automatic_optimization = where != "by hand"

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            loss = loss_of(self.model, *batch)
            if where == "by hand":
                rule = self.optimizers()
                rule.zero_grad()
                self.manual_backward(loss)
                rule.step()
                self.lr_schedulers().step()
            return loss

        def configure_optimizers(self) -> dict[str, Any]:
            rule = optimizer(self.model)
            if where == "optimizer":
                attach(rule, transform_of(name))
            return {"optimizer": rule, "lr_scheduler": {"scheduler": scheduler(rule), "interval": "step"}}

        def on_fit_start(self) -> None:
            if where != "optimizer":
                attach(self.optimizers(), transform_of(name))

    return Fitted()


def trainer_of(lightning: Any, folder: Path, **settings: Any) -> Any:
    return lightning.Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 1, **settings},
    )


@pytest.mark.parametrize("where", ["optimizer", "wrapper", "by hand"])
@pytest.mark.parametrize("name", NAMES)
def test_fit(name: str, where: str, lightning: Any, tmp_path: Path) -> None:
    """`Trainer.fit` gives the bits of the plain loop, wherever `attach` was called."""
    fitted = module(lightning, name, where)
    trainer_of(lightning, tmp_path).fit(fitted, batches())
    assert_same(fitted.model, plain(name))


def test_accumulated_and_clipped_gradients(lightning: Any, tmp_path: Path) -> None:
    """Two batches per step, clipped by Lightning before the transform, are those of the plain loop."""
    fitted = module(lightning, "gradient_stabilizer", "optimizer")
    trainer = trainer_of(lightning, tmp_path, accumulate_grad_batches=2, gradient_clip_val=0.3)
    trainer.fit(fitted, batches())
    assert_same(fitted.model, plain("gradient_stabilizer", accumulate=2, clip=0.3))


@pytest.mark.parametrize("name", NAMES)
def test_resumed_from_a_checkpoint(name: str, lightning: Any, tmp_path: Path) -> None:
    """Stopped half way and resumed with `ckpt_path`, the transform goes on where it was."""
    half = STEPS // 2 * BATCH
    parts = [Subset(data(), range(half)), Subset(data(), range(half, len(data())))]
    first, second = (DataLoader(part, batch_size=BATCH) for part in parts)
    file = tmp_path / "half.ckpt"
    trainer = trainer_of(lightning, tmp_path)
    trainer.fit(module(lightning, name, "optimizer"), first)
    trainer.save_checkpoint(file)
    fitted = module(lightning, name, "optimizer")
    trainer_of(lightning, tmp_path, max_epochs=2).fit(fitted, second, ckpt_path=file)
    assert_same(fitted.model, plain(name))


@pytest.mark.parametrize("is_wrapper", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_fabric(name: str, is_wrapper: bool, lightning: Any) -> None:
    """An optimizer that Fabric has set up takes a transform before and after."""
    fabric = lightning.Fabric(accelerator="cpu", devices=1)
    plain_model = network()
    rule = optimizer(plain_model)
    rates = scheduler(rule)
    if not is_wrapper:
        attach(rule, transform_of(name))
    model: nn.Module
    model, wrapper = fabric.setup(plain_model, rule)
    if is_wrapper:
        attach(wrapper, transform_of(name))
    for x, y in batches():
        wrapper.zero_grad()
        fabric.backward(loss_of(model, x, y))
        wrapper.step()
        rates.step()
    assert_same(plain_model, plain(name))
