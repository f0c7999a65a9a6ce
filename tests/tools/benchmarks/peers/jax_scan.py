"""Peer: a JAX script, `vmap` over cells and `scan` over steps, a process per core. `FILE OUT CELL…`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

TOGETHER = 16
"""Cells of a call: measured best of 8, 16, 32 and 84 on two cores of an AMD EPYC."""
ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
"""Settings of a process."""


def perceptron(params: Any, x: Any) -> Any:
    """Logits of the MLP."""
    import jax

    for number, (weight, bias) in enumerate(params):
        x = x @ weight + bias
        x = jax.nn.relu(x) if number + 1 < len(params) else x
    return x


def trainer(data: Mapping[str, Any], logits: Callable[[Any, Any], Any] = perceptron) -> Callable[..., Any]:
    """A compiled function of learning rates, weight decays [C], weights and examples' numbers [T, B].

    It gives the mean loss of the last tenth of the steps, and accuracies after each tenth.

    Args:
        logits: a network, of weights and images.
    """
    import jax
    import jax.numpy as jnp

    train_x, train_y = jnp.asarray(data["train_x"]), jnp.asarray(data["train_y"])
    test_x, test_y = jnp.asarray(data["test_x"]), jnp.asarray(data["test_y"])

    def loss(params: Any, x: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(params, x)), y[:, None], 1).mean()

    def step(lr: Any, weight_decay: Any, carry: Any, index: Any) -> Any:
        params, mean, square, count = carry
        value, grads = jax.value_and_grad(loss)(params, train_x[index], train_y[index])
        count = count + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, grads)
        rate, root = lr / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        params = jax.tree.map(
            lambda p, m, v: p * (1 - lr * weight_decay) - rate * m / (jnp.sqrt(v) / root + 1e-8),
            params,
            mean,
            square,
        )
        return (params, mean, square, count), value

    @jax.jit
    @partial(jax.vmap, in_axes=(0, 0, None, None))
    def train(lr: Any, weight_decay: Any, params: Any, indices: Any) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, params)
        carry = (params, zeros, zeros, 0.0)
        losses, scores = [], []
        for part in jnp.split(indices, 10):
            carry, found = jax.lax.scan(partial(step, lr, weight_decay), carry, part)
            losses.append(found)
            scores.append((logits(carry[0], test_x).argmax(1) == test_y).mean())
        return jnp.concatenate(losses)[-len(indices) // 10 :].mean(), jnp.stack(scores)

    return train


def initial(data: Mapping[str, Any], seed: int) -> Any:
    """The weights of a seed: a matrix and a vector for each layer."""
    import jax.numpy as jnp

    return [
        (jnp.asarray(data[f"{layer}.weight_{seed}"].T), jnp.asarray(data[f"{layer}.bias_{seed}"]))
        for layer in (1, 3, 5)
    ]


def work(file: str, out: str, cells: list[int]) -> None:
    """Train some cells in this process."""
    import jax
    import jax.numpy as jnp

    with np.load(file) as found:
        data = {name: found[name] for name in found.files}
    dtype = data["train_x"].dtype
    jax.config.update("jax_enable_x64", dtype == np.float64)
    train = trainer(data)
    answers: dict[str, float] = {}
    for seed in sorted({int(data["cells"][cell][0]) for cell in cells}):
        mine = [cell for cell in cells if int(data["cells"][cell][0]) == seed]
        params = initial(data, seed)
        for first in range(0, len(mine), TOGETHER):
            part = mine[first : first + TOGETHER]
            full = np.array([*part, *part[:1] * (TOGETHER - len(part))])  # one compiled size
            numbers = jnp.asarray(data["cells"][full], dtype)
            last, _ = train(numbers[:, 1], numbers[:, 2], params, jnp.asarray(data[f"batches_{seed}"]))
            answers |= {str(cell): float(one) for cell, one in zip(part, np.asarray(last), strict=False)}
    Path(out).write_text(json.dumps(answers))


def main() -> None:
    file, out, *cells = sys.argv[1:]
    if out == "work":
        work(file, cells[0], [int(one) for one in cells[1:]])
        return
    cores = os.cpu_count() or 1
    environment = {**os.environ, **ONE_THREAD}
    command = [sys.executable, "-m", "tests.tools.benchmarks.peers.jax_scan", file, "work"]
    each = -(-len(cells) // cores)
    parts = [cells[first : first + each] for first in range(0, len(cells), each)]
    files = [Path(out).with_suffix(f".{number}") for number in range(len(parts))]
    running = [
        subprocess.Popen([*command, str(file_), *part], env=environment)
        for file_, part in zip(files, parts, strict=True)
    ]
    for process in running:
        if process.wait():
            raise SystemExit(f"a process ended with {process.returncode}")
    found: dict[str, float] = {}
    for one in files:
        found |= json.loads(one.read_text())
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
