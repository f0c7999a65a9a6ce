"""What an optimizer is: a pair of pure functions for one cell, and the `torch.optim` class that it equals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

Tensors = dict[str, Tensor]
OptimizerState = dict[str, Any]
NamedParameters = Iterable[tuple[str, torch.nn.Parameter]]
"""What `Module.named_parameters()` gives, which every optimizer of torch takes."""


@dataclass(frozen=True)
class Optimizer:
    """A pair of pure functions on one cell; owns the meaning of `lr` and `weight_decay`.

    `init(params) -> state` and `update(grads, state, params, lr, weight_decay) -> (params, state)` get the
    tensors of a network by name, each in its shape. `reference(named_parameters, lr, weight_decay)` builds
    the `torch.optim` optimizer that does the same, for the serial trainer.

    Attributes:
        moments: keys of the state that a transform's restart zeroes, in `init`'s state and in the reference's
            `state[p]`.
        elementwise: every entry is treated alone, so that all parameters as one flat tensor give the same. A
            rule that needs matrices, names or sums says False, and is never handed anything but a network's
            own tensors.
        evaluation: `evaluation(params, state)`, the parameters that are evaluated, where these are not the
            ones that gradients are taken at; its reference then has `eval()` and `train()`. Running
            statistics of BatchNorm are recomputed for them (`trainers.evaluation`).
    """

    name: str
    init: Callable[[Tensors], OptimizerState]
    update: Callable[[Tensors, OptimizerState, Tensors, Tensor, Tensor], tuple[Tensors, OptimizerState]]
    reference: Callable[[NamedParameters, float, float], torch.optim.Optimizer]
    moments: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    elementwise: bool = True
    evaluation: Callable[[Tensors, OptimizerState], Tensors] | None = None

    def evaluated(self, params_C: Tensors, state_C: OptimizerState) -> Tensors:
        """The parameters of C cells that are evaluated."""
        if self.evaluation is None:
            return params_C
        shown: Tensors = vmap(self.evaluation)(params_C, state_C)
        return shown

    @contextmanager
    def evaluating(self, rule: torch.optim.Optimizer) -> Iterator[None]:
        """The reference's parameters are those that are evaluated while this is open."""
        if self.evaluation is None:
            yield
            return
        rule.eval()  # type: ignore[attr-defined]  # a reference beside an `evaluation` has it
        yield
        rule.train()  # type: ignore[attr-defined]

    def restart(self, state: OptimizerState, when: Tensor, *, keep_count: bool) -> OptimizerState:
        """The state with its moments (and its step counter, unless kept) set to zero where `when` is True."""
        # `where`, because inside of vmap `when` has one value per cell and cannot be asked for.
        fresh: OptimizerState = {}
        for key in self.moments:
            moments = state[key].items()
            fresh[key] = {name: torch.where(when, torch.zeros_like(t), t) for name, t in moments}
        after = {**state, **fresh}
        return after if keep_count else self.recount(after, when)

    def recount(self, state: OptimizerState, when: Tensor) -> OptimizerState:
        """The state with its step counter, if it has one, set to zero where `when` is True."""
        if "step" not in state:
            return state
        return {**state, "step": torch.where(when, torch.zeros_like(state["step"]), state["step"])}

    def restart_reference(self, rule: torch.optim.Optimizer, *, keep_count: bool) -> None:
        """The same on the `torch.optim` optimizer, in place."""
        for memory in rule.state.values():
            for key in self.moments.values():
                if isinstance(memory.get(key), Tensor):
                    memory[key].zero_()
        if not keep_count:
            self.recount_reference(rule)

    def recount_reference(self, rule: torch.optim.Optimizer) -> None:
        """The same on the `torch.optim` optimizer, in place."""
        for memory in rule.state.values():
            if isinstance(memory.get("step"), Tensor):
                memory["step"].zero_()


def by_name(params: NamedParameters, owner: str) -> dict[str, torch.nn.Parameter]:
    """Parameters by their names.

    Raises:
        ValueError: they have none.
    """
    found = list(params)
    if any(isinstance(one, Tensor) for one in found):
        raise ValueError(
            f"{owner} was given parameters without names, which tell what each is; "
            "give it model.named_parameters()"
        )
    return dict(found)


def zeros_like(params: Tensors) -> Tensors:
    """One zero tensor per parameter."""
    return {name: torch.zeros_like(p) for name, p in params.items()}


def step_zero(params: Tensors) -> Tensor:
    """A step counter; float64, because beta^step in float32 is visible beside `torch.optim`."""
    return torch.zeros((), dtype=torch.float64, device=next(iter(params.values())).device)
