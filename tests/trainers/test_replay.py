"""Steps recorded and repeated on memory of their own give the bits of ordinary ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainers.making import ACTIVE, same, transform_of
from trainers import (
    OPTIMIZERS,
    TRANSFORMS,
    Budget,
    Curves,
    Workload,
    blocks,
    make_optimizer,
    make_workload,
    train_fused,
)
from trainers.blocks import Next, grouped, width_of
from trainers.replay import CannotReplayError, Replay, Tape, compiler
from trainers.step import Step

pytestmark = pytest.mark.usefixtures("compiled")
OFTEN = 10**9
"""Repeats for which compiling pays."""
LR_C = torch.logspace(-4, 4, 9)
"""The last ones diverge, and leave the tile."""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains are compiled for these few steps too, where there is a compiler."""
    monkeypatch.setattr(compiler, "LEAST_SAVED_SECONDS", 0.0)


@cache
def workload(model: str, **choices: Any) -> Workload:
    return make_workload("digits", model, choices)


def both_ways(
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    transform: str,
    optimizer: str,
    budget: Budget,
    **choices: Any,
) -> tuple[Curves, Curves]:
    """The curves of blocks of at most four cells, and those of the whole tile."""
    parts = (workload(model, **choices), transform_of(transform), make_optimizer(optimizer), budget)
    cells = {"lr_C": LR_C, "weight_decay_C": torch.linspace(0, 1, len(LR_C)), "seed": 2}
    monkeypatch.setattr(blocks, "WIDEST", 4)
    with monkeypatch.context() as patched:
        # Otherwise steps that cannot be repeated are taken whole, and whole is compared with whole.
        patched.setattr("trainers.fused.CannotReplayError", ZeroDivisionError)
        repeated = train_fused(*parts, **cells)
    begin = Step.__init__

    def whole(self: Step, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        assert self.repeatable, "nothing was repeated, so that the comparison says nothing"
        self.repeatable = False

    monkeypatch.setattr(Step, "__init__", whole)
    return repeated, train_fused(*parts, **cells)


BUDGET = Budget(steps=12, batch_size=16, points=3, warmup=2, schedule="cosine")


@pytest.mark.parametrize("transform", list(TRANSFORMS))
def test_blocks_give_the_bits_of_the_whole_tile(transform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every transform, while cells diverge and leave, spikes come and dynamics are recorded."""
    budget = replace(BUDGET, dynamics=3, spike_steps=(5,), spike_size=20.0)
    a, b = both_ways(monkeypatch, "mlp", transform, "adamw", budget)
    assert same(a, b)
    assert "diverged" in a.outcome_C


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_so_do_they_for_every_optimizer(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And in float64, where a state may begin as one tensor under two names."""
    budget = replace(BUDGET, precision="float64")
    assert same(*both_ways(monkeypatch, "mlp", "gradient_stabilizer", optimizer, budget))


@pytest.mark.parametrize(
    ("model", "choices", "changes"),
    [
        ("convnet", {}, {}),
        ("vit", {}, {"steps": 4, "points": 1, "warmup": 0}),
        ("mlp", {"dropout": 0.3}, {}),
        ("mlp", {}, {"accumulation": 2}),
        ("mlp", {}, {"precision": "float16"}),
        ("mlp", {}, {"precision": "bfloat16"}),
    ],
)
def test_so_do_they_for_other_networks(
    model: str, choices: dict[str, Any], changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With running statistics, attention, dropout masks, micro-batches and loss scales."""
    budget = replace(BUDGET, **changes)
    assert same(*both_ways(monkeypatch, model, "zclip", "adamw", budget, **choices))


def replayed(function: Any, state: list[Tensor], given: list[Tensor]) -> Replay:
    """The replay of `function(state, given) -> (state, kept)`."""
    with Tape() as tape:
        after, kept = function(state, given)
    return Replay(tape, list(zip(state, after, strict=True)), given, kept, OFTEN)


def test_the_state_goes_on_where_it_stands() -> None:
    """Each run is one more step: state is replaced in its place, results are what the function would give."""

    def decayed(state: list[Tensor], given: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        mean, count = state
        new = torch.lerp(mean, given[0].T @ given[0], 0.5)
        return [new, count + 1], [new.sum(), (new / (count + 1)).relu()]

    state, x = [torch.zeros(3, 3), torch.zeros(())], torch.randn(5, 3)
    again = replayed(decayed, state, [x])
    for _ in range(4):
        x = torch.randn(5, 3)
        state, kept = decayed(state, [x])
        again.given[0].copy_(x)
        again.run()
        found = [*again.state, *again.kept]
        assert all(torch.equal(a, b) for a, b in zip(found, [*state, *kept], strict=True))


ODD = {
    "a part of another part": lambda a, b, x: [c := torch.outer(b, b) + a, c[0] * 1],
    "a view of another part": lambda a, b, x: [c := torch.outer(b, b) + a, c[0]],
    "a copy changed in place": lambda a, b, x: [a.clone().add_(b), b.clone().mul_(2)],
    "read after it is replaced": lambda a, b, x: [(c := a * 0.5) + x.mean(), b + c[0] + a[1]],
    "expanded": lambda a, b, x: [x.mean().expand(3, 3), b.cumsum(0)],
    "a constant from outside": lambda a, b, x: [a @ OUTSIDE + x.std(), OUTSIDE[0]],
    "several results": lambda a, b, x: [a + x.max(0).values, b + torch.sort(x.sum(0)).values],
    "lists": lambda a, b, x: [torch.stack([b, b + 1, a[0]]), torch.cat([b[:1], x.sum(0)[1:]])],
    "integers and masks": lambda a, b, x: [torch.where(a > b, a, b + x[0]), (b.long() + 1).float()],
    "in place through a view": lambda a, b, x: [written(a, b, x), b * 0.5],
    "read while it is made": lambda a, b, x: [(c := a * 0.5 + 1) * c.sum() + c, b * 2 + c[0]],
    "read, and then changed in place": lambda a, b, x: [changed(a, x), b * 0.5],
    "nothing new": lambda a, b, x: [a, b + 1],
}
OUTSIDE = torch.eye(3) * 0.5


def changed(a: Tensor, x: Tensor) -> Tensor:
    own = a.clone()
    twice = own * 2
    own.add_(x[0])
    return twice * own


def written(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    new = a.clone()
    new[1].copy_(b + x[0])
    new.T[2].mul_(0.5)
    return new


@pytest.mark.parametrize("odd", ODD)
def test_odd_functions_are_repeated_or_refused(odd: str) -> None:
    """Parts that share memory, are changed in place, or are made of each other."""

    def function(state: list[Tensor], given: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        after = ODD[odd](*state, *given)
        return after, [after[0].sum() + after[1].sum()]

    state, x = [torch.randn(3, 3), torch.randn(3)], torch.randn(5, 3)
    again = replayed(function, [one.clone() for one in state], [x])
    for own, value in zip(again.state, state, strict=True):
        own.copy_(value)
    for _ in range(4):
        x = torch.randn(5, 3)
        state, kept = function(state, [x])
        again.given[0].copy_(x)
        again.run()
        found = [*again.state, *again.kept]
        assert all(torch.equal(a, b) for a, b in zip(found, [*state, *kept], strict=True))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda a, b, x: [a * 2, a[0]], "becomes another"),
        (lambda a, b, x: [a.double(), b], "kind or shape"),
        (lambda a, b, x: [a * float(x.sum()), b], "depends on its numbers"),
        (lambda a, b, x: [a + 1 if torch.equal(a, x) else a, b + 1], "depends on its numbers"),
        (lambda a, b, x: [a + x[x > 0].sum(), b], "depends on its numbers"),
    ],
)
def test_what_cannot_be_repeated_is_refused(function: Any, words: str) -> None:
    """Parts that change places or kind, and what Python decides by a number."""
    with pytest.raises(CannotReplayError, match=words):
        replayed(
            lambda state, given: (function(*state, *given), []),
            [torch.ones(3, 3), torch.ones(3)],
            [torch.ones(3)],
        )


def test_parts_that_are_one_tensor() -> None:
    """Two parts may become one value; they may not begin as one tensor."""

    def function(state: list[Tensor], given: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new = state[0] + 2 * state[1] + given[0]
        return [new, new], []

    again = replayed(function, [torch.ones(2), torch.zeros(2)], [torch.ones(2)])
    for wanted in (2.0, 7.0, 22.0):
        again.run()
        assert all(torch.equal(part, torch.full((2,), wanted)) for part in again.state)
    one = torch.ones(2)
    with pytest.raises(CannotReplayError, match="one tensor"):
        replayed(function, [one, one], [torch.ones(2)])


def test_numbers_that_no_seed_decides_are_drawn_for_all_cells_together() -> None:
    """A loss with noise gives cells of different blocks the same noise, as it does those of one tile."""
    plain = workload("mlp")

    def noisy(output: Tensor, target: Tensor) -> Tensor:
        return plain.loss(output + torch.randn(()), target)

    torch.manual_seed(0)
    parts = (replace(plain, loss=noisy), transform_of("none"), make_optimizer("sgd"), BUDGET)
    found = train_fused(*parts, lr_C=torch.full((70,), 1e-2), weight_decay_C=torch.zeros(70), seed=0)
    assert torch.equal(found.loss_KC[:, 0], found.loss_KC[:, 69])


def test_a_step_that_cannot_be_repeated_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells get what they would get."""
    parts = (workload("mlp"), transform_of("zclip"), make_optimizer("sgd"), BUDGET)
    cells = {"lr_C": LR_C, "weight_decay_C": torch.zeros(len(LR_C)), "seed": 0}
    wanted = train_fused(*parts, **cells)

    def refuse(*_: Any) -> None:
        raise CannotReplayError("no")

    monkeypatch.setattr(blocks, "Recorded", refuse)
    assert same(train_fused(*parts, **cells), wanted)


def test_blocks_are_few_and_full() -> None:
    """As few as can be, of a multiple of four cells each, with at most three places left over in each."""
    for cells in range(1, 200):
        width = width_of(cells)
        count = -(-cells // width)
        assert count == -(-cells // blocks.WIDEST)
        assert width <= blocks.WIDEST
        assert count * width - cells < blocks.MULTIPLE * count


def test_groups_end_where_they_must() -> None:
    """After the steps asked for, where batches would take too much memory, and where steps take long."""
    every = [Next(t, [(torch.zeros(4), torch.zeros(4), 0)], 1.0, 1.0) for t in range(300)]
    groups = list(grouped(every, {10, 11, 150}, 60.0))
    assert [one.step for group in groups for one in group] == list(range(300))
    assert [group[-1].step + 1 for group in groups] == [1, 3, 7, 10, 11, 43, 107, 150, 214, 278, 300]
    assert all(len(group) == 1 for group in grouped(every, (), 0.0))
    large = [Next(t, [(torch.zeros(blocks.BYTES // 8), torch.zeros(1), 0)], 1.0, 1.0) for t in range(6)]
    assert [len(group) for group in grouped(large, (), 60.0)] == [1, 2, 2, 1]


def test_active_constants_are_those_of_transforms() -> None:
    """Transforms act within the few steps of these tests."""
    assert set(ACTIVE) <= set(TRANSFORMS)
