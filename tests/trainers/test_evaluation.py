"""Cells are evaluated in parts, and each gets what it would get by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainers import Budget, evaluation, make_workload
from trainers.feed import Feed
from trainers.fusion import fusable
from trainers.network import untrained
from trainers.replay import CannotReplayError

CELLS = 5


def metrics(model: str, together: int | None, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """The metrics of cells whose parameters differ, so many evaluated at a time."""
    choices = {"width": 32, "layers": 1, "heads": 2} if model == "vit" else {}
    feed = Feed(make_workload("digits", model, choices), Budget(1, 16, precision="float64"), 0, "cpu")
    network = fusable(untrained(feed), feed.inputs(feed.workload.train_x[:1]))
    scale_C = torch.linspace(-1, 1, CELLS, dtype=torch.float64)
    params = {
        name: p.detach() * scale_C.view(-1, *[1] * p.dim()) + 0.1 * p.detach().roll(1)
        for name, p in network.named_parameters()
    }
    buffers = {name: b.expand(CELLS, *b.shape).clone() for name, b in network.named_buffers()}
    monkeypatch.setattr(evaluation, "cells_at_once", lambda *_: together)
    monkeypatch.setattr(evaluation, "PARTS", 2)
    evaluated = evaluation.Evaluation(feed, network, moments=2)
    first, other = evaluated(params, buffers), {name: -p for name, p in params.items()}
    # At another moment other parameters are evaluated, and the first ones give what they gave.
    assert not torch.equal(evaluated(other, buffers), first)
    assert torch.equal(evaluated(params, buffers), first)
    return first


@pytest.mark.parametrize("model", ["mlp", "convnet", "vit"])
def test_parts_give_what_all_cells_give(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of one cell, in parts of which the last is not full, and all at once."""
    wanted = metrics(model, None, monkeypatch)
    assert len(set(wanted.tolist())) > 1
    for together in (1, 2, CELLS):
        assert torch.equal(metrics(model, together, monkeypatch), wanted)


def test_operations_that_cannot_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then each part is computed as the first one is."""
    wanted = metrics("convnet", None, monkeypatch)

    def refused(*args: Any) -> None:
        raise CannotReplayError

    monkeypatch.setattr(evaluation, "Replay", refused)
    assert torch.equal(metrics("convnet", 2, monkeypatch), wanted)
