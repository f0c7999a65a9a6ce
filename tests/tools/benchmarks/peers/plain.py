"""One cell in an ordinary loop of torch, as one would write it in a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

POINTS = 10
"""How often a cell is evaluated."""


def load(file: str | Path) -> dict[str, Any]:
    """The arrays of a task."""
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def steps(data: Mapping[str, Any], cell: int) -> Iterator[tuple[int, float, float | None]]:
    """Train a cell: after each step its number, its loss, and now and then the test accuracy."""
    torch.set_num_threads(1)
    seed, lr, weight_decay = data["cells"][cell]
    seed = int(seed)
    tensors = {name: torch.from_numpy(data[name]) for name in ("train_x", "train_y", "test_x", "test_y")}
    indices = torch.from_numpy(data[f"batches_{seed}"])
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    names = [name for name in data if name.endswith(f"_{seed}") and name[0].isdigit()]
    values = [torch.from_numpy(data[name]) for name in names]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)
    optimizer = torch.optim.AdamW(model.parameters(), lr=float(lr), weight_decay=float(weight_decay))
    every = len(indices) // POINTS
    for step, index in enumerate(indices, start=1):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(tensors["train_x"][index]), tensors["train_y"][index])
        loss.backward()
        optimizer.step()
        accuracy = None
        if step % every == 0:
            with torch.no_grad():
                right = model(tensors["test_x"]).argmax(1) == tensors["test_y"]
                accuracy = float(right.float().mean())
        yield step, float(loss.detach()), accuracy


def trained(
    data: Mapping[str, Any], cell: int, report: Callable[[int, float, float], None] | None = None
) -> float:
    """Train a cell; its mean loss over the last tenth of the steps."""
    losses = []
    for step, loss, accuracy in steps(data, cell):
        losses.append(loss)
        if accuracy is not None and report is not None:
            report(step, loss, accuracy)
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))
