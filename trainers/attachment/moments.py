"""What an optimizer remembers about gradients, and how a transform's restart clears it."""

from __future__ import annotations

from torch import Tensor, optim

from trainers.optimizers.adam_mini import AdamMini
from trainers.optimizers.lion import Lion
from trainers.optimizers.muon import Muon
from trainers.optimizers.prodigy import Prodigy
from trainers.optimizers.schedule_free_adamw import ScheduleFreeAdamW

MOMENTS: dict[type[optim.Optimizer], tuple[str, ...]] = {
    optim.SGD: ("momentum_buffer",),
    optim.RMSprop: ("square_avg", "grad_avg", "momentum_buffer"),
    optim.Adam: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    optim.AdamW: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    optim.NAdam: ("exp_avg", "exp_avg_sq"),
    optim.RAdam: ("exp_avg", "exp_avg_sq"),
    optim.Adamax: ("exp_avg", "exp_inf"),
    optim.Adadelta: ("square_avg", "acc_delta"),
    optim.Muon: ("momentum_buffer",),
    Lion: ("exp_avg",),
    Muon: ("momentum_buffer", "exp_avg", "exp_avg_sq"),
    ScheduleFreeAdamW: ("exp_avg_sq",),
    Prodigy: ("exp_avg", "exp_avg_sq"),
    AdamMini: ("exp_avg", "exp_avg_sq"),
}
"""Keys of `optimizer.state[p]` that a restart sets to zero. Add a row for an optimizer of your own."""
COUNTS: dict[str, float] = {"step": 0.0, "mu_product": 1.0}
"""Keys that count steps, and where they start. A restart resets them, unless the signal says `keep_count`."""


def moments_of(optimizer: optim.Optimizer) -> tuple[str, ...]:
    """The row of `MOMENTS` of the optimizer's class, or of the nearest class that it is made from.

    Raises:
        ValueError: there is none.
    """
    for kind in type(optimizer).__mro__:
        if kind in MOMENTS:
            return MOMENTS[kind]
    known = ", ".join(sorted(kind.__name__ for kind in MOMENTS))
    name = type(optimizer).__name__
    row = f"trainers.attachment.MOMENTS[{name}] = (keys of optimizer.state[p] that are moments, …)"
    raise ValueError(
        f"the transform may ask for a restart, and the moments of {name} are not declared; "
        f"known: {known}; add a row: {row}"
    )


def restart(optimizer: optim.Optimizer, *, keep_count: bool) -> None:
    """Set all moments to zero, and the step counters to their start unless they are kept."""
    for memory in optimizer.state.values():
        for key in moments_of(optimizer):
            if isinstance(memory.get(key), Tensor):
                memory[key].zero_()
    if not keep_count:
        recount(optimizer)


def recount(optimizer: optim.Optimizer) -> None:
    """Set the step counters to their start."""
    for memory in optimizer.state.values():
        for key, start in COUNTS.items():
            if isinstance(memory.get(key), Tensor):
                memory[key].fill_(start)
