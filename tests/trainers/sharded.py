"""One of two processes that train a sharded model: `python -m tests.trainers.sharded RANK FOLDER`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn, optim

from tests.trainers.making import transform_of
from trainers import TRANSFORMS, attach

WORLD, STEPS, BATCH = 2, 8, 8
LR = 0.05
CHECKPOINTED = ("adagn", "stable_spam")
"""Transforms that are also saved with `torch.distributed.checkpoint`."""


def network() -> nn.Module:
    """Three layers, of which the first rows do not divide by two."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def inputs() -> Tensor:
    """[T, B, features]; each process takes its half of each batch."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(STEPS, BATCH, 5, generator=generator, dtype=torch.float64)


def losses(model: nn.Module, rule: optim.Optimizer, x_TBI: Tensor) -> Iterator[float]:
    for x_BI in x_TBI:
        rule.zero_grad()
        loss = (model(x_BI) - x_BI[:, :2]).square().mean()
        loss.backward()
        rule.step()
        yield loss.item()


def optimizer(model: nn.Module) -> optim.Optimizer:
    return optim.AdamW(model.parameters(), lr=LR)


def trained(name: str, rank: int, *, by_checkpoint: bool = False) -> dict[str, Tensor]:
    """Whole parameters after a sharded run that is saved, built again and loaded half way.

    `torch.distributed.checkpoint` saves the optimizer's own state, and the handle the transform's.
    """
    # Here and below, because the test that compares imports this file without sharding anything.
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
    from torch.distributed.fsdp import fully_shard

    mine = inputs()[:, rank::WORLD]
    saved: dict[str, Any] = {}
    for half in (mine[: STEPS // 2], mine[STEPS // 2 :]):
        model = network()
        fully_shard(model[0])
        fully_shard(model)
        rule = optimizer(model)
        if saved and by_checkpoint:
            set_state_dict(model, rule, model_state_dict=saved["model"], optim_state_dict=saved["optimizer"])
        handle = attach(rule, transform_of(name))
        if saved and by_checkpoint:
            handle.load_state_dict(saved["handle"])
        elif saved:
            model.load_state_dict(saved["model"])
            rule.load_state_dict(saved["optimizer"])
        list(losses(model, rule, half))
        states = get_state_dict(model, rule) if by_checkpoint else (model.state_dict(), rule.state_dict())
        saved = {"model": states[0], "optimizer": states[1], "handle": handle.state_dict()}
    return {key: value.full_tensor() for key, value in saved["model"].items()}


def steps_seen(rank: int, *, fused: bool) -> float:
    """Steps that a transform has counted out of four, of which one overflowed in one process alone."""
    from torch.distributed.fsdp import fully_shard

    model = network().float()
    fully_shard(model)
    rule = optim.AdamW(model.parameters(), lr=LR, fused=fused)
    handle, scaler = attach(rule, transform_of("adagn")), torch.amp.GradScaler("cpu", init_scale=4.0)
    for t, x_BI in enumerate(inputs()[:4].float()):
        rule.zero_grad()
        scaler.scale(model(x_BI).square().mean()).backward()
        if t == 1 and rank == 1:
            next(model.parameters()).grad.to_local()[0, 0] = torch.inf
        scaler.unscale_(rule)
        scaler.step(rule)
        scaler.update()
    assert all(p.full_tensor().isfinite().all() for p in model.parameters())
    return handle.state_dict()["state"]["count"].max().item()


def refusals() -> dict[str, str]:
    """What `attach` says to the ways to share parameters that it does not take."""
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torch.distributed.optim import ZeroRedundancyOptimizer

    def flattened() -> optim.Optimizer:
        return optimizer(
            FullyShardedDataParallel(network(), use_orig_params=True, device_id=torch.device("cpu"))
        )

    def sharing() -> optim.Optimizer:
        return ZeroRedundancyOptimizer(network().parameters(), optim.AdamW, lr=LR)

    ways: dict[str, Callable[[], optim.Optimizer]] = {"flattened": flattened, "sharing": sharing}
    found = {}
    for name, build in ways.items():
        try:
            attach(build(), transform_of("clip_norm"))
        except ValueError as error:
            found[name] = str(error)
    return found


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # FullyShardedDataParallel is deprecated; that is not what is tried here
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    dist.device_mesh.init_device_mesh("cpu", (WORLD,))
    runs = {name: trained(name, rank) for name in TRANSFORMS}
    runs |= {f"{name}, checkpoint": trained(name, rank, by_checkpoint=True) for name in CHECKPOINTED}
    seen = [steps_seen(rank, fused=fused) for fused in (False, True)]
    torch.save({"params": runs, "steps seen": seen, "refusals": refusals()}, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
