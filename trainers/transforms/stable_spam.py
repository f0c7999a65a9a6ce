"""Stable-SPAM, without its Adam."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.naming import check_range
from trainers.transforms.adaclip import largest_entries, with_spikes_shrunk
from trainers.transforms.adagn import with_average_norms
from trainers.transforms.base import Number, Signal, State, Tensors, Transform


def stable_spam(
    gamma1: Number = 0.7,
    gamma2: Number = 0.9,
    gamma3: Number = 0.999,
    eps: Number = 1e-8,
    reset_interval: Number = 1000,
    total_steps: Number | None = None,
    eta_min: Number = 0.5,
    *,
    shared_count: bool = False,
    late_restart: bool = False,
) -> Transform:
    """AdaClip, then AdaGN, and a restart of the optimizer's moments every `reset_interval` steps.

    At step t: g <- AdaGN(AdaClip(g)) with the formulas of `adaclip` and `adagn`, AdaGN with c_t · gamma1 in
    place of gamma1,

        c_t = eta_min + (1 - eta_min) · (1 + cos(π · t / (total_steps + 1))) / 2

    until total_steps + 1, then c_t = eta_min; c_t = 1 without `total_steps`. If t is a multiple of
    `reset_interval`, the optimizer zeroes its moments and its step counter before this step. Zero gradients
    stay zero; norms that were always below eps stay small. A norm that is infinite or NaN, or overflows,
    makes its tensor NaN at this step and all later ones, because a restart does not touch the averages.

    Args:
        gamma1: decay of the average norm, in [0, 1).
        gamma2: decay of the average squared norm, in [0, 1).
        gamma3: decay of the average of the largest entry, in [0, 1).
        eps: added to the root in AdaGN [gradient units], >= 0; the official code uses Adam's.
        reset_interval: steps between restarts [steps], >= 1; infinite for none.
        total_steps: length of the cosine of c_t [steps], >= 1; None for c_t = 1.
        eta_min: last c_t, in [0, 1].
        shared_count: True restarts the bias corrections of AdaClip and AdaGN with the optimizer's, as the
            official code does.
        late_restart: True zeroes the moments one step later, as the official code does: the step at a restart
            is made with the old moments, and only its step counter is new. With `shared_count` every step is
            then the official one.

    Raises:
        ValueError: a constant is out of range.

    Reference: "Stable-SPAM: How to Train in 4-Bit More Stably than 16-Bit Adam", arXiv:2502.17055 v1, 2025,
        and the official code.
    Differs from the reference: AdaClip and AdaGN have a step counter of their own. The official code divides
        their averages, which it does not restart, by corrections that it does restart: just after a restart
        T̂ is about 500 times too large (`shared_count=True`). At a restart the official code makes new
        moments but steps with the old ones, divided by the bias corrections of a first step, and drops what
        that step adds to them (`late_restart=True`); here the step at a restart is a first step. c_t does not
        multiply the optimizer's beta1, which is not a transform's to change; the official cosine rises again
        after total_steps + 1. Weight decay and Adam itself are the optimizer's.

    Example:
        >>> import torch
        >>> from trainers import make_transform
        >>> transform = make_transform("stable_spam", reset_interval=2)
        >>> state = transform.init({"weight": torch.zeros(2)})
        >>> for size in (1.0, 10.0):
        ...     grads = {"weight": size * torch.tensor([0.6, 0.8])}
        ...     out, state = transform.update(grads, state, params=grads)
        >>> out["weight"]
        tensor([0.5404, 0.7206])
        >>> transform.signal(state).restart
        tensor(True)
    """
    check_range("stable_spam", 0.0, 1.0, open_high=True, gamma1=gamma1, gamma2=gamma2, gamma3=gamma3)
    check_range("stable_spam", 0.0, eps=eps)
    check_range("stable_spam", 1.0, reset_interval=reset_interval)
    check_range("stable_spam", 0.0, 1.0, eta_min=eta_min)
    if total_steps is not None:
        check_range("stable_spam", 1.0, total_steps=total_steps)

    def is_restart(step: Tensor) -> Tensor:
        return torch.remainder(step, reset_interval) == 0

    def init(params: Tensors) -> State:
        zeros = torch.zeros_like(largest_entries(params))
        step = torch.zeros_like(zeros[0], dtype=torch.float64)
        return {
            "largest": zeros,
            "mean": zeros.clone(),
            "square": zeros.clone(),
            "step": step,
            "count": step.clone(),
        }

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        step, count = state["step"] + 1, state["count"] + 1
        gamma1_t: Number = gamma1
        if total_steps is not None:
            angle = math.pi * torch.clamp(step / (total_steps + 1), max=1.0)
            gamma1_t = (gamma1 * (eta_min + (1 - eta_min) * (1 + torch.cos(angle)) / 2)).to(
                state["mean"].dtype
            )
        clipped, largest = with_spikes_shrunk(grads, state["largest"], gamma3, count)
        out, mean, square = with_average_norms(
            clipped, state["mean"], state["square"], gamma1_t, gamma2, eps, count
        )
        if shared_count:
            count = torch.where(is_restart(step), torch.ones_like(count), count)
        return out, {"largest": largest, "mean": mean, "square": square, "step": step, "count": count}

    def signal(state: State) -> Signal:
        step, same_lr = state["step"], torch.ones_like(state["mean"][0])
        if late_restart:
            is_after = is_restart(step - 1) & (step > 1)
            return Signal(is_after, same_lr, keep_count=True, recount=is_restart(step))
        return Signal(restart=is_restart(step), lr_scale=same_lr)

    return Transform(init=init, update=update, signal=signal)
