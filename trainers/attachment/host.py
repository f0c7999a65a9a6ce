"""Which optimizer a transform is put in front of, and which cannot have one."""

from __future__ import annotations

from typing import Any

from torch import optim

WRAPPERS: dict[str, str] = {
    "accelerate.optimizer.AcceleratedOptimizer": "optimizer",
    "lightning.pytorch.core.optimizer.LightningOptimizer": "_optimizer",
    "pytorch_lightning.core.optimizer.LightningOptimizer": "_optimizer",
    "lightning.fabric.wrappers._FabricOptimizer": "_optimizer",
    "lightning_fabric.wrappers._FabricOptimizer": "_optimizer",
}
"""Classes whose step only calls the step of the optimizer in this attribute, at times or with a scaler."""
SHARING = "torch.distributed.optim.zero_redundancy_optimizer.ZeroRedundancyOptimizer"


def host_of(optimizer: Any) -> optim.Optimizer:
    """The optimizer that steps: the given one, or the one in a training framework's wrapper.

    Raises:
        TypeError: it is not an optimizer of torch.
        ValueError: its steps are not such that a transform's answer would be what it steps with.
    """
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(optimizer).__mro__]
    for name in names:
        if name in WRAPPERS:
            return host_of(getattr(optimizer, WRAPPERS[name]))
    kind = type(optimizer).__name__
    if not isinstance(optimizer, optim.Optimizer):
        raise TypeError(
            f"attach() was given a {kind}; wanted a torch.optim.Optimizer; "
            "give it the one whose step() changes the parameters"
        )
    if SHARING in names:
        raise ValueError(
            f"each process of {kind} steps other parameters, so a transform would see a part of the "
            "gradients; wanted all of them; shard with torch.distributed.fsdp.fully_shard"
        )
    check_alone(optimizer, kind)
    check_hooks(optimizer, kind)
    if isinstance(optimizer, optim.LBFGS):
        raise ValueError(
            f"{kind} computes several gradients in one step and takes their differences for curvature, "
            "which transformed gradients are not; wanted one gradient per step; choose another optimizer"
        )
    check_parameters(optimizer)
    return optimizer


def check_alone(optimizer: optim.Optimizer, kind: str) -> None:
    """Refuse an optimizer that steps by another one.

    Its step does more than the inner one's (it perturbs, averages or projects), so which gradients are meant
    is for the user to say.

    Raises:
        ValueError: it holds another optimizer.
    """
    for name, value in vars(optimizer).items():
        inner = value.values() if isinstance(value, dict) else value
        each = list(inner) if isinstance(value, (dict, list, tuple)) else [value]
        if any(isinstance(one, optim.Optimizer) for one in each):
            raise ValueError(
                f"{kind} wraps another optimizer, in its attribute {name!r}; wanted the one that is wrapped; "
                f"call attach(optimizer.{name}, transform)"
            )


def check_hooks(optimizer: optim.Optimizer, kind: str) -> None:
    """Refuse an optimizer at whose steps or state no hook would run.

    Raises:
        ValueError: it was not made by the constructor of `torch.optim.Optimizer`.
    """
    lists = ("step_pre", "step_post", "state_dict_post", "load_state_dict_pre", "load_state_dict_post")
    has_hooks = all(hasattr(optimizer, f"_optimizer_{name}_hooks") for name in lists)
    if not has_hooks or not getattr(type(optimizer).step, "hooked", False):
        raise ValueError(
            f"{kind}.step() runs no hooks, so the transform would never be called; wanted an optimizer whose "
            "__init__ calls that of torch.optim.Optimizer; let it, or attach to the optimizer that it steps"
        )


def check_parameters(optimizer: optim.Optimizer) -> None:
    """Refuse pieces of parameters that do not know what they are pieces of.

    Raises:
        ValueError: `FullyShardedDataParallel` has flattened them.
    """
    for group in optimizer.param_groups:
        for p in group["params"]:
            if getattr(p, "_fsdp_flattened", False):
                raise ValueError(
                    "the parameters are pieces that FullyShardedDataParallel has cut out of flattened ones; "
                    "wanted whole parameters or DTensors; shard with torch.distributed.fsdp.fully_shard"
                )
