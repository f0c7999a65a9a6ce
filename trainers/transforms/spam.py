"""SPAM: spike-aware clipping with momentum restarts, without its Adam."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.base import Number, Signal, State, Tensors, Transform, widened


def spam(
    threshold: Number = 5000.0,
    beta2: Number = 0.999,
    reset_interval: Number = 500,
    settle_steps: Number = 20,
    warmup_steps: Number = 150,
    lr_start: Number = 0.01,
) -> Transform:
    """Clip entries that are large beside the optimizer's second moment, and restart its moments regularly.

    With v the second moment that Adam has before step t, r = t mod reset_interval,

        g_i <- sign(g_i) · sqrt(threshold · v_i)   where g_i² > threshold · v_i, if t and r >= settle_steps
        v <- beta2 · v + (1 - beta2) · g²

    If r = 0, v and the optimizer's moments (not its step counter) are zeroed before this step. From the first
    restart on, lr is multiplied by 1 - (1 - lr_start) · (1 + cos(π · r / (warmup_steps + 1))) / 2 while r <
    warmup_steps. Zero gradients stay zero. While clipping is on, an entry that has v_i = 0 (no gradient since
    the restart, or an underflowing square) is clipped to 0 and stays there until the next restart. Huge and
    infinite entries become sqrt(threshold · v_i), so they do no harm. NaN entries stay NaN, and their v_i
    until the next restart. While clipping is off, everything passes.

    Args:
        threshold: largest g_i² / v_i, > 0; infinite for no clipping.
        beta2: decay of v, in [0, 1); the optimizer's, so that v is its second moment.
        reset_interval: steps between restarts [steps], >= 1; infinite for none.
        settle_steps: steps without clipping, at the start and after each restart [steps], >= 0.
        warmup_steps: length of the lr warm-up after a restart [steps], >= 0.
        lr_start: factor on lr at a restart, in [0, 1].

    Raises:
        ValueError: a constant is out of range.

    Reference: "SPAM: Spike-Aware Adam with Momentum Reset for Stable LLM Training", arXiv:2501.06842, 2025,
        and the official code, whose names are threshold, update_proj_gap, grad_accu_steps, warmup_epoch.
    Differs from the reference: v is a copy that the transform keeps, equal to Adam's if beta2 is Adam's. No
        sparse masks (`density` = 1). Adam's eps, inside the bias correction there, and weight decay are the
        optimizer's.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("spam", threshold=4.0, beta2=0.75, settle_steps=2)
        >>> state = transform.init({"weight": torch.zeros(2)})
        >>> for spike in (1.0, 100.0):
        ...     grads = {"weight": torch.tensor([1.0, spike])}
        ...     out, state = transform.update(grads, state, params=grads)
        >>> out["weight"]
        tensor([1., 1.])
    """
    check_range("spam", 0.0, open_low=True, threshold=threshold)
    check_range("spam", 0.0, 1.0, open_high=True, beta2=beta2)
    check_range("spam", 1.0, reset_interval=reset_interval)
    check_range("spam", 0.0, settle_steps=settle_steps, warmup_steps=warmup_steps)
    check_range("spam", 0.0, 1.0, lr_start=lr_start)

    def since_restart(step: Tensor) -> Tensor:
        return torch.remainder(step, reset_interval)

    def init(params: Tensors) -> State:
        squares = {f"square.{name}": torch.zeros_like(widened(p)) for name, p in params.items()}
        return {
            "step": torch.zeros((), dtype=torch.float64, device=next(iter(params.values())).device),
            **squares,
        }

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        step = state["step"] + 1
        since = since_restart(step)
        is_on = (step >= settle_steps) & (since >= settle_steps)
        out, after = {}, {"step": step}
        for name, g in grads.items():
            before = state[f"square.{name}"]
            square = torch.where(since == 0, torch.zeros_like(before), before)
            limit = threshold * square
            is_spike = is_on & (widened(g) ** 2 > limit)
            out[name] = torch.where(is_spike, torch.sign(g) * torch.sqrt(limit).to(g.dtype), g)
            after[f"square.{name}"] = beta2 * square + (1 - beta2) * widened(out[name]) ** 2
        return out, after

    def signal(state: State) -> Signal:
        step, since = state["step"], since_restart(state["step"])
        decay = (1 - lr_start) * (1 + torch.cos(math.pi * since / (warmup_steps + 1))) / 2
        is_warmup = (step >= reset_interval) & (since < warmup_steps)
        scale = torch.where(is_warmup, 1 - decay, torch.ones_like(decay))
        # The step counter's float64 would widen lr, and with it the parameters.
        dtype = next(value.dtype for key, value in state.items() if key != "step")
        return Signal(restart=since == 0, lr_scale=scale.to(dtype), keep_count=True)

    return Transform(init=init, update=update, signal=signal)
