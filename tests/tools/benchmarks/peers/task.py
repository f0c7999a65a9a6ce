"""The cells that every peer trains, as arrays that are read without this project.

The digits MLP, or another network, with AdamW and no transform, over the grid of `quickstart`. Initial
weights and the examples of each batch are written out, so that every peer trains the same networks on the
same examples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from study.spec.read import parse_spec, shipped_text
from trainers import make_workload
from trainers.workloads.base import batches

SPEC = "\n".join(
    line
    for line in shipped_text("quickstart").splitlines()
    if not line.startswith(("name:", "description:", "model:", "transforms:", "  - ", "seeds:", "verdicts:"))
)
"""`quickstart` without its names, network, transforms, seeds and looks."""


@dataclass(frozen=True)
class Task:
    """Cells in the order of seed, learning rate and weight decay.

    Attributes:
        file: the arrays; each cell's number is its place in `cells`.
        cells: seed, learning rate and weight decay of each.
        text: a spec with these cells, but for its name.
    """

    file: Path
    cells: tuple[tuple[int, float, float], ...]
    text: str

    def sample(self, count: int) -> list[int]:
        """Numbers of so many cells, drawn once: each peer of a size has the same."""
        drawn = np.random.default_rng(0).permutation(len(self.cells))[:count]
        return sorted(int(number) for number in drawn)


def written(
    folder: Path, seeds: int, model: str = "mlp", precision: str = "float32", **constants: Any
) -> Task:
    """Write the arrays of a task.

    Args:
        precision: float32, or float64 to compare what rounding hides.
        constants: of the model.
    """
    network = json.dumps({"name": model, **constants})
    budgeted = SPEC.replace("budget: {", f"budget: {{precision: {precision}, ")
    text = f"{budgeted}\nmodel: {network}\ntransforms: [none]\nseeds: {seeds}\n"
    spec = parse_spec(f"name: peers\n{text}")
    budget, workload = spec.budget, make_workload("digits", model, constants)
    assert budget.precision == precision
    dtype = getattr(torch, precision)
    arrays = {
        "train_x": workload.prepared(workload.train_x, dtype).flatten(1),
        "train_y": workload.train_y,
        "test_x": workload.prepared(workload.eval_x, dtype).flatten(1),
        "test_y": workload.eval_y,
    }
    for seed in range(seeds):
        taken = batches(len(workload.train_x), budget.batch_size, seed)
        arrays[f"batches_{seed}"] = torch.stack(list(islice(taken, budget.steps)))
        for name, value in workload.initial_model(seed).state_dict().items():
            arrays[f"{name}_{seed}"] = value.to(dtype)
    cells = tuple(product(range(seeds), spec.lr, spec.weight_decay))
    np.savez(folder / "task.npz", cells=np.array(cells), **{name: t.numpy() for name, t in arrays.items()})
    return Task(folder / "task.npz", cells, text)
