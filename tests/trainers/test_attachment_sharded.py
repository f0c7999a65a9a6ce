"""A transform in front of a sharded model's optimizer does what it does in front of the whole model's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.making import transform_of
from tests.trainers.sharded import CHECKPOINTED, WORLD, inputs, losses, network, optimizer
from trainers import TRANSFORMS, attach

torch.set_num_threads(1)
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SAME = {"rtol": 1e-9, "atol": 1e-12}
"""Float64: the halves of a batch are added up in another order."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two real processes, joined by gloo, have computed; one dict per process."""
    folder = tmp_path_factory.mktemp("sharded")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.trainers.sharded"]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder)], cwd=ROOT, env=environment)
        for rank in range(WORLD)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0] * WORLD
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


@pytest.mark.parametrize("run", [*TRANSFORMS, *(f"{name}, checkpoint" for name in CHECKPOINTED)])
def test_sharded_equals_whole(run: str, found: list[dict[str, Any]]) -> None:
    """Two processes with half of each batch, saved and resumed half way, equal one plain loop."""
    model = network()
    rule = optimizer(model)
    attach(rule, transform_of(run.removesuffix(", checkpoint")))
    list(losses(model, rule, inputs()))
    start = network().state_dict()
    for key, wanted in model.state_dict().items():
        for process in found:
            torch.testing.assert_close(process["params"][run][key], wanted, **SAME)
        assert not torch.allclose(wanted, start[key], rtol=1e-3)


def test_an_overflow_in_one_process_is_one_in_all(found: list[dict[str, Any]]) -> None:
    """A step that overflows in one process is skipped by the transform in both, fused or not."""
    assert [process["steps seen"] for process in found] == [[3.0, 3.0]] * 2


def test_parts_that_do_not_know_their_whole_are_refused(found: list[dict[str, Any]]) -> None:
    """FullyShardedDataParallel and ZeroRedundancyOptimizer are refused, with what to use instead."""
    for process in found:
        assert process["refusals"].keys() == {"flattened", "sharing"}
        assert all("torch.distributed.fsdp.fully_shard" in text for text in process["refusals"].values())
