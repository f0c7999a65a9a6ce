"""Accelerate, which wraps optimizers and leaves out some of their steps, trains as the plain loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tools.frameworks.subject import (
    NAMES,
    STEPS,
    assert_same,
    batches,
    loss_of,
    network,
    optimizer,
    plain,
    scheduler,
)
from tests.trainers.making import transform_of
from trainers import attach

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def accelerate() -> Any:
    import accelerate
    from accelerate.state import AcceleratorState, GradientState, PartialState

    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()  # they belong to the process, and keep the settings of the test before
    return accelerate


def prepared(accelerate: Any, name: str, *, is_wrapper: bool, accumulate: int = 1) -> tuple[Any, ...]:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
    model = network()
    rule = optimizer(model)
    if not is_wrapper:
        attach(rule, transform_of(name))
    everything = accelerator.prepare(model, rule, batches(), scheduler(rule))
    if is_wrapper:
        attach(everything[1], transform_of(name))
    return accelerator, *everything


def run(accelerator: Any, model: Any, rule: Any, loader: Any, rates: Any) -> None:
    for x, y in loader:
        with accelerator.accumulate(model):
            accelerator.backward(loss_of(model, x, y))
            rule.step()
            rates.step()
            rule.zero_grad()


@pytest.mark.parametrize("is_wrapper", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_before_and_after_prepare(name: str, is_wrapper: bool, accelerate: Any) -> None:
    """An `AcceleratedOptimizer` gives the bits of the plain loop, attached before or after `prepare`."""
    parts = prepared(accelerate, name, is_wrapper=is_wrapper)
    run(*parts)
    assert_same(parts[1], plain(name))


@pytest.mark.parametrize("is_wrapper", [False, True])
def test_accumulated_gradients(is_wrapper: bool, accelerate: Any) -> None:
    """Steps that Accelerate leaves out are not steps of the transform."""
    parts = prepared(accelerate, "gradient_stabilizer", is_wrapper=is_wrapper, accumulate=2)
    run(*parts)
    assert_same(parts[1], plain("gradient_stabilizer", accumulate=2))


@pytest.mark.parametrize("name", NAMES)
def test_resumed_from_a_saved_state(name: str, accelerate: Any, tmp_path: Path) -> None:
    """`save_state` half way and `load_state` into a new run give the bits of a run that never stopped."""
    accelerator, model, rule, loader, rates = prepared(accelerate, name, is_wrapper=True)
    run(accelerator, model, rule, list(loader)[: STEPS // 2], rates)
    accelerator.save_state(str(tmp_path))
    accelerator, model, rule, loader, rates = prepared(accelerate, name, is_wrapper=True)
    accelerator.load_state(str(tmp_path))
    run(accelerator, model, rule, list(loader)[STEPS // 2 :], rates)
    assert_same(model, plain(name))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_with_a_scaler(name: str, fused: bool, accelerate: Any) -> None:
    """With a loss scale and two steps that overflow, the others are those of a loop without scale."""
    from accelerate.optimizer import AcceleratedOptimizer

    accelerate.Accelerator(cpu=True)
    found = []
    for is_scaled in (True, False):
        model = network()
        rule = optimizer(model, fused=fused)
        attach(rule, transform_of(name))
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if is_scaled else None
        wrapper = AcceleratedOptimizer(rule, scaler=scaler)
        for t, (x, y) in enumerate(batches()):
            overflows = t in (0, 3)
            if overflows and scaler is None:
                continue
            wrapper.zero_grad()
            loss = loss_of(model, x, y)
            (loss if scaler is None else scaler.scale(loss)).backward()
            if scaler is not None:
                if overflows:
                    next(model.parameters()).grad[0, 0] = torch.inf
                scaler.unscale_(rule)
            wrapper.step()
        found.append(model)
    assert_same(found[0], found[1].state_dict())
