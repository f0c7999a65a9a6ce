"""A transform takes part in steps with closures, of subclasses and of scalers as it does in a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from tests.trainers.making import transform_of
from trainers import TRANSFORMS, Transform, attach
from trainers.attachment.loss_scale import LEFT_BY_SCALER
from trainers.transforms.base import Signal, State, Tensors

torch.set_num_threads(1)

STEPS = 8
FIRST_SCALE, GROWTH = 2.0**16, 3
"""Too large a loss scale for half precision at the first step, and after every third one again."""


def halved() -> Transform:
    """Invented: half of each gradient, so that being applied twice shows; counts its steps."""

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        return {name: g / 2 for name, g in grads.items()}, {"step": state["step"] + 1}

    return Transform(lambda params: {"step": torch.zeros(())}, update, "halved")


class Regression:
    """Two tensors fitted to random batches in a loop of the user's."""

    def __init__(self, rule: Callable[[list[nn.Parameter]], optim.Optimizer]) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(torch.randn(4, 3, generator=generator))
        self.bias = nn.Parameter(torch.zeros(3))
        self.x_TBI = torch.randn(STEPS, 16, 4, generator=generator)
        self.y_TBO = torch.randn(STEPS, 16, 3, generator=generator)
        self.rule = rule([self.weight, self.bias])

    @property
    def params(self) -> dict[str, Tensor]:
        return {"0.0": self.weight.detach(), "0.1": self.bias.detach()}

    def loss(self, t: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """The loss at step t, of a forward pass in a given precision."""
        out = self.x_TBI[t].to(dtype) @ self.weight.to(dtype) + self.bias.to(dtype)
        return (out.float() - self.y_TBO[t]).square().mean()

    def plain(self, transform: Transform, steps: int = STEPS) -> dict[str, Tensor]:
        """The parameters after a loop with `attach` and without a closure."""
        attach(self.rule, transform)
        for t in range(steps):
            self.rule.zero_grad()
            self.loss(t).backward()
            self.rule.step()
        return self.params


def adam(params: list[nn.Parameter]) -> optim.Optimizer:
    return optim.Adam(params, lr=0.05)


@pytest.mark.parametrize("as_keyword", [True, False])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_closure_equals_the_plain_loop(name: str, as_keyword: bool) -> None:
    """A step that is given a closure transforms its gradients; parameters are bitwise those of a loop."""
    wanted, loop = Regression(adam).plain(transform_of(name)), Regression(adam)
    attach(loop.rule, transform_of(name))
    for t in range(STEPS):

        def closure(t: int = t) -> Tensor:
            loop.rule.zero_grad()
            loss = loop.loss(t)
            loss.backward()
            return loss

        expected = loop.loss(t).item()
        found = loop.rule.step(closure=closure) if as_keyword else loop.rule.step(closure)
        assert found.item() == expected
    assert all(torch.equal(loop.params[key], wanted[key]) for key in wanted)


def test_a_step_takes_one_gradient_from_its_closure() -> None:
    """A step that calls its closure twice, or not at all, is refused, and spoils no later step."""

    class Twice(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            closure()
            return super().step(closure)

    class Never(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step()

    for kind, found in ((Twice, r"Twice\.step\(\) calls its closure twice"), (Never, "has not called its")):
        p = nn.Parameter(torch.zeros(2))
        rule = kind([p], lr=1.0)
        attach(rule, halved())
        p.grad = torch.ones(2)
        with pytest.raises(ValueError, match=found):
            rule.step(lambda: None)
        before = p.detach().clone()
        p.grad = torch.ones(2)
        if kind is Never:
            rule.step()
            torch.testing.assert_close(before - p.detach(), torch.full((2,), 0.5))


def test_a_closure_that_raises_costs_nothing() -> None:
    """When a closure raises, the transform has seen nothing, and the next step is as any other."""
    p = nn.Parameter(torch.zeros(2))
    rule = optim.SGD([p], lr=1.0)
    handle = attach(rule, halved())

    def fails() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        rule.step(fails)
    assert handle.state is None
    p.grad = torch.ones(2)
    rule.step()
    assert p.tolist() == [-0.5, -0.5]


def test_the_step_of_a_subclass_is_one_step() -> None:
    """A subclass that calls its parent's step is transformed once, as after a step that raised."""
    optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)  # from its first instance on a class runs hooks
    is_failing = [True, False, False]

    class Mine(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step(closure)
            if is_failing.pop(0):
                raise RuntimeError("a log is full")

    p = nn.Parameter(torch.zeros(2))
    rule = Mine([p], lr=1.0)
    handle = attach(rule, halved())
    for t in range(3):
        p.grad = torch.ones(2)
        if t == 0:
            with pytest.raises(RuntimeError, match="a log is full"):
                rule.step()
        else:
            rule.step()
        assert p.tolist() == [-0.5 * (t + 1)] * 2
    assert handle.state is not None
    assert float(handle.state["step"]) == 3


def test_a_step_ends_where_the_step_of_a_subclass_ends() -> None:
    """A subclass that calls its parent's step twice is transformed once, with lr scaled for both."""
    optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)

    class Twofold(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step()
            super().step()

    halved_and_slow = replace(halved(), signal=lambda state: Signal(torch.tensor(False), torch.tensor(0.25)))
    p = nn.Parameter(torch.zeros(2))
    rule = Twofold([p], lr=1.0)
    attach(rule, halved_and_slow)
    for t in range(2):
        p.grad = torch.ones(2)
        rule.step()
        assert p.tolist() == [-0.25 * (t + 1)] * 2
        assert rule.param_groups[0]["lr"] == 1.0


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_scaler_equals_a_loop_that_skips_overflows(name: str, fused: bool) -> None:
    """Half-precision gradients that overflow are not seen by the transform, bitwise, fused or not.

    The plain loop scales, looks for infinities, skips, and halves and doubles the scale by hand.
    """

    def rule(params: list[nn.Parameter]) -> optim.Optimizer:
        return optim.Adam(params, lr=0.05, fused=fused)

    scale, skipped, since = FIRST_SCALE, [], 0
    plain, method = Regression(rule), transform_of(name)
    state: State | None = None
    for t in range(STEPS):
        plain.rule.zero_grad()
        (scale * plain.loss(t, torch.float16)).backward()
        if not all(p.grad.isfinite().all() for p in (plain.weight, plain.bias)):
            skipped.append(t)
            scale, since = scale / 2, 0
            continue
        grads = {key: p.grad / scale for key, p in (("0.0", plain.weight), ("0.1", plain.bias))}
        state = method.init(plain.params) if state is None else state
        out, state = method.update(grads, state, plain.params)
        plain.weight.grad, plain.bias.grad = out["0.0"], out["0.1"]
        lr = plain.rule.param_groups[0]["lr"]
        if method.signal is not None:
            asked = method.signal(state)
            for memory in plain.rule.state.values() if asked.restart else ():
                memory["exp_avg"].zero_()
                memory["exp_avg_sq"].zero_()
                if not asked.keep_count:
                    memory["step"].zero_()
            plain.rule.param_groups[0]["lr"] = lr * float(asked.lr_scale)
        plain.rule.step()
        plain.rule.param_groups[0]["lr"] = lr
        since = (since + 1) % GROWTH
        scale = scale if since else 2 * scale
    assert skipped[0] == 0  # before the transform has a state
    assert len(skipped) in (2, 3)

    loop, scaler = Regression(rule), torch.amp.GradScaler("cpu", FIRST_SCALE, growth_interval=GROWTH)
    attach(loop.rule, method)
    for t in range(STEPS):
        loop.rule.zero_grad()
        scaler.scale(loop.loss(t, torch.float16)).backward()
        scaler.unscale_(loop.rule)
        scaler.step(loop.rule)
        scaler.update()
    assert scaler.get_scale() == scale
    for key, found in loop.params.items():
        assert found.isfinite().all()
        assert torch.equal(found, plain.params[key])


def test_a_refused_step_leaves_no_loss_scale_behind() -> None:
    """After the refusal of scaled gradients, the same scaler steps as if nothing had been."""
    moved = []
    for is_refused_first in (False, True):
        p = nn.Parameter(torch.ones(2))
        rule = optim.SGD([p], lr=0.1, fused=True)
        attach(rule, halved())
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        scaler.scale(p.square().sum()).backward()
        if is_refused_first:
            with pytest.raises(ValueError, match=r"scaler\.unscale_"):
                scaler.step(rule)
            assert not set(LEFT_BY_SCALER) & set(vars(rule))
        scaler.unscale_(rule)
        scaler.step(rule)
        moved.append(p.tolist())
    assert moved[0] == moved[1] == [pytest.approx(0.9)] * 2
