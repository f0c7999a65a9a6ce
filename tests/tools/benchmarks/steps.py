"""Steps of networks on digits, on one core: this project, JAX, and their products alone.

`python -m tests.tools.benchmarks.steps`: all cells of a width from the same weights on the same batches, as
one run of each. JAX has compiled before the clock starts, and takes all cells at once or a few at a time,
whichever is quicker. This project's runs count whole, with recording and judging.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from study.spec.read import parse_spec
from tests.tools.benchmarks.figures import Figures, about, spread, where
from tests.tools.benchmarks.peers import jax_transformer
from tests.tools.benchmarks.peers.jax_scan import ONE_THREAD, initial, perceptron, trainer
from tests.tools.benchmarks.peers.task import written
from trainers import Budget, make_optimizer, make_transform, make_workload, train_fused
from trainers.blocks import WIDEST

STEPS = 200
"""What a cell's rate is stated for."""
HIGHEST = 1e-3
"""Largest learning rate: at higher ones rounding alone decides what a cell gives."""
APART = 1e-2
"""Largest relative difference of a cell's final loss."""


@dataclass(frozen=True)
class Network:
    """What is trained.

    Attributes:
        model, constants: as a spec names them.
        steps: of a run.
        widths: how many cells a run has.
        together: cells that JAX takes at once, besides all, where the width is a multiple.
        products: rows for each example, inputs and outputs of each layer; attention is not counted.
        jax: its weights of a seed, and its logits.
    """

    title: str
    model: str
    constants: Mapping[str, Any]
    steps: int
    widths: tuple[int, ...]
    together: tuple[int, ...]
    products: Sequence[tuple[int, int, int]]
    jax: Callable[[], tuple[Callable[..., Any], Callable[..., Any]]]


def blocks(width: int, layers: int, rows: int, pixels: int) -> list[tuple[int, int, int]]:
    """The products of a transformer."""
    block = [
        (rows, width, 3 * width),
        (rows, width, width),
        (rows, width, 4 * width),
        (rows, 4 * width, width),
    ]
    return [(rows - 1, pixels, width), *block * layers, (1, width, 10)]


def transformers(heads: int, patch: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return jax_transformer.initial, jax_transformer.transformer(heads, patch)


NETWORKS = {
    "mlp": Network(
        "MLP",
        "mlp",
        {},
        200,
        (16, 84, 256),
        (12, 16, 28),
        ((1, 64, 64), (1, 64, 64), (1, 64, 10)),
        lambda: (initial, perceptron),
    ),
    "small-vit": Network(
        "ViT, 2 layers of 32",
        "vit",
        {"patch": 2, "width": 32, "layers": 2, "heads": 2},
        100,
        (16,),
        (1, 4),
        blocks(32, 2, 17, 4),
        lambda: transformers(2, 2),
    ),
    "vit": Network(
        "ViT, 6 layers of 192",
        "vit",
        {},
        40,
        (4,),
        (1,),
        blocks(192, 6, 5, 16),
        lambda: transformers(3, 4),
    ),
}


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes [s]."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def products(network: Network, width: int, batch: int) -> Callable[[], None]:
    """The products of one step of a block, forward and backward, on memory that is there."""
    cells = min(width, WIDEST)
    sets = []
    for per_example, inputs, outputs in network.products:
        rows = per_example * batch
        shapes = {"w": (outputs, inputs), "x": (inputs, rows), "y": (outputs, rows), "xt": (rows, inputs)}
        shapes["wt"] = (inputs, outputs)
        sets.append({name: torch.randn(cells, *shape) for name, shape in shapes.items()})

    def once() -> None:
        for number, one in enumerate(sets):
            torch.bmm(one["w"], one["x"], out=one["y"])
            torch.bmm(one["y"], one["xt"], out=one["w"])
            if number:
                torch.bmm(one["wt"], one["y"], out=one["x"])

    return once


def measured(network: Network, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The rates of each width [cells / s]."""
    task = written(folder, 1, network.model, **network.constants)
    with np.load(task.file) as found:
        data = {name: found[name] for name in found.files}
    data["batches_0"] = data["batches_0"][: network.steps]
    budget = replace(parse_spec(f"name: steps\n{task.text}").budget, steps=network.steps)
    weights, logits = network.jax()
    compiled, params = trainer(data, logits), weights(data, 0)

    def train(lr: Any, weight_decay: Any, indices: Any) -> Any:
        return compiled(lr, weight_decay, params, indices)

    return [row_of(network, width, data, budget, train, rounds) for width in network.widths]


def row_of(
    network: Network, width: int, data: dict[str, Any], budget: Budget, train: Callable[..., Any], rounds: int
) -> dict[str, Any]:
    """The rates of one width [cells / s], taken in turn."""
    scale = budget.steps / STEPS
    lr = np.geomspace(1e-4, HIGHEST, width, dtype=np.float32)
    weight_decay = np.full(width, 0.1, np.float32)
    workload = make_workload("digits", network.model, network.constants)
    parts = workload, make_transform("none"), make_optimizer("adamw"), budget
    cells = {"lr_C": torch.tensor(lr), "weight_decay_C": torch.tensor(weight_decay)}

    def ours() -> Any:
        return train_fused(*parts, **cells, seed=0).loss_final_C.numpy()

    def theirs(together: int) -> Any:
        places = [slice(k, k + together) for k in range(0, width, together)]
        found = [train(lr[part], weight_decay[part], data["batches_0"])[0] for part in places]
        return np.concatenate([np.asarray(one) for one in found])

    ways = [partial(theirs, together) for together in {*network.together, width} if width % together == 0]
    once = products(network, width, budget.batch_size)
    wanted = ours()
    # The first call of each compiles.
    apart = max(float(np.max(np.abs(way() / wanted - 1))) for way in ways)
    quickest = min(ways, key=seconds)
    row: dict[str, Any] = {"network": network.title, "width": width, "apart": apart}
    row |= {"ours": [], "jax": [], "products": []}
    for _ in range(rounds):
        row["ours"].append(width / seconds(ours) * scale)
        row["jax"].append(width / seconds(quickest) * scale)
        row["products"].append(min(width, WIDEST) / min(seconds(once) for _ in range(20)) / STEPS)
    return row


def figures(found: dict[str, Any]) -> Figures:
    """A ratio only where results agree."""
    table = []
    for row in found["rows"]:
        ratio, share = (
            [a / b for a, b in zip(row["ours"], row[other], strict=True)] for other in ("jax", "products")
        )
        told = spread(ratio, 2) if row["apart"] <= APART else f"losses differ by {row['apart']:.0e}"
        rates = [spread(row[name], 1 if row["ours"][0] > 10 else 3) for name in ("ours", "jax", "products")]
        cells = "1 cell" if row["width"] == 1 else f"{row['width']} cells"
        table.append([f"{row['network']}: {cells}", *rates, told, spread(share, 2)])
    head = ("network", "this project", "JAX", "products alone", "of JAX", "of the products")
    counts = sorted({len(row["ours"]) for row in found["rows"]})
    said = (
        f"Cells per second of one core, a cell being {STEPS} steps of 64 images; digits, AdamW, medians "
        f"(least–greatest), n = {' or '.join(map(str, counts))}; {where(found)}."
    )
    return Figures(said, head, table)


def main() -> int:
    os.environ.update(ONE_THREAD)
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        # JAX keeps a second core busy otherwise, whatever it is told of threads.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steps-") as place:
        rows = [row for name in asked.networks for row in measured(NETWORKS[name], Path(place), asked.rounds)]
    found = {**about("torch", "jax"), "rows": rows}
    figures(found).show()
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(row["apart"] <= APART for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
