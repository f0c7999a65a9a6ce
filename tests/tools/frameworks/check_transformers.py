"""The Trainer of transformers trains as the plain loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import SequentialSampler

from tests.tools.frameworks.subject import (
    BATCH,
    NAMES,
    STEPS,
    Named,
    Scored,
    assert_same,
    optimizer,
    plain,
    scheduler,
)
from tests.trainers.making import transform_of
from trainers import attach
from trainers.vision import vision

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def transformers() -> Any:
    vision()  # transformers imports torchvision, which does not let itself be imported beside every torch
    import transformers

    return transformers


def trainer_of(transformers: Any, name: str, folder: Path, *, is_wrapper: bool, **settings: Any) -> Any:
    """A Trainer whose optimizer has the transform, or gets it when training begins."""

    class InOrder(transformers.Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *args: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    class Attaching(transformers.TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            attach(parts["optimizer"], transform_of(name))

    scored = Scored()
    rule = optimizer(scored)
    if not is_wrapper:
        attach(rule, transform_of(name))
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        per_device_train_batch_size=BATCH,
        max_steps=STEPS,
        max_grad_norm=0.0,
        report_to=[],
        disable_tqdm=True,
        **{"save_strategy": "no", **settings},
    )
    return InOrder(
        model=scored,
        args=arguments,
        train_dataset=Named(),
        optimizers=(rule, scheduler(rule)),
        callbacks=[Attaching()] if is_wrapper else [],
    )


@pytest.mark.parametrize("is_wrapper", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_train(name: str, is_wrapper: bool, transformers: Any, tmp_path: Path) -> None:
    """`Trainer.train` gives the bits of the plain loop, attached before or when training begins."""
    trainer = trainer_of(transformers, name, tmp_path, is_wrapper=is_wrapper)
    trainer.train()
    assert_same(trainer.model.model, plain(name))


@pytest.mark.parametrize("name", NAMES)
def test_resumed_from_a_checkpoint(name: str, transformers: Any, tmp_path: Path) -> None:
    """Resumed from a checkpoint of half the steps, the transform goes on where it was."""
    saving = {"save_strategy": "steps", "save_steps": STEPS // 2}
    trainer_of(transformers, name, tmp_path, is_wrapper=False, **saving).train()
    trainer = trainer_of(transformers, name, tmp_path, is_wrapper=False)
    with torch.random.fork_rng():
        trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{STEPS // 2}"))
    assert trainer.state.global_step == STEPS
    assert_same(trainer.model.model, plain(name))
