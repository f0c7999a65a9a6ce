"""The transform at its optimizer: what runs before, in and after each of its steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Never
from weakref import WeakKeyDictionary, ref

import torch
from torch import optim

from trainers.attachment.gradients import gradients_of, kept_apart, named_parameters, whole, write
from trainers.attachment.host import host_of
from trainers.attachment.loss_scale import check_unscaled, forget_scale, has_overflowed
from trainers.attachment.moments import moments_of, recount, restart
from trainers.attachment.saved import KEY, restored, snapshot, warn_of_another_set
from trainers.transforms.base import Signal, State, Tensors, Transform

_attached: WeakKeyDictionary[optim.Optimizer, Attachment] = WeakKeyDictionary()


def attach(optimizer: optim.Optimizer, transform: Transform) -> Attachment:
    """Put a transform in front of an optimizer, so that every `optimizer.step()` sees transformed gradients.

    At each step the transform is given the gradients of all groups together, named `group.index` (`0.0`,
    `0.1`, `1.0`, …) in the optimizer's order, and writes its answer into `p.grad`. If it has a signal, the
    optimizer's moments are restarted and lr is scaled for that one step; a scheduler sees lr as it left it.
    One optimizer takes one transform.

    Parameters without a gradient are left out. The transform's state begins at the first step, with the
    parameters that have a gradient then. When that set changes later (a layer is unfrozen, a group is added),
    the state starts afresh on the new set, with a warning, because a transform's state has no parts that
    belong to one parameter; a transform that remembers nothing takes any set silently.

    A step with a closure, as Lightning makes it, transforms the gradients that the closure has computed. At a
    step that a `GradScaler` skips because a gradient overflowed, the transform sees nothing and remembers
    nothing. DTensors (`fully_shard`) are gathered, and each process computes the same answer and keeps its
    part; for that time each holds all parameters and gradients. Before or after `accelerator.prepare` and
    Lightning's `self.optimizers()` are the same.

    The state travels in `optimizer.state_dict()` under `gradient_transform`, as tensors and strings
    (`weights_only` can load it). Attach first and load afterwards to go on where a run stopped; load first
    and attach afterwards to begin with a new transform. A state that was made with other constants is loaded
    with a warning. A deep copy or pickle of the optimizer itself has no transform, as it has no hooks.
    `torch.distributed.checkpoint` keeps an optimizer's own state alone: save `handle.state_dict()` beside it,
    then load the optimizer, attach, and give that to `load_state_dict` of the new handle.

    Args:
        optimizer: of `torch.optim`, or any subclass; for a transform with a signal its class must have a row
            in `MOMENTS`. LBFGS, optimizers that step by another one, and optimizers of parts of parameters
            (`FullyShardedDataParallel`, `ZeroRedundancyOptimizer`) are refused.
        transform: from `make_transform`, or written by hand.

    Raises:
        TypeError: it is not an optimizer of torch.
        ValueError: the optimizer has a transform already or cannot have one, or its moments are not declared
            and the transform has a signal; nothing is left at the optimizer then. At a step: a gradient is
            sparse, or still multiplied by a loss scale, or the closure is called twice or never. At
            `load_state_dict`: the state is absent, of another transform or of other shapes.

    Example:
        >>> import torch
        >>> from trainers import attach, make_transform
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> handle = attach(optimizer, make_transform("clip_value", max_value=0.5))
        >>> weight.grad = torch.tensor([3.0, -0.25])
        >>> optimizer.step()
        >>> weight.data
        tensor([-0.5000,  0.2500])
        >>> handle.remove()
    """
    optimizer = host_of(optimizer)
    if optimizer in _attached:
        found = f"the optimizer already has transform {_attached[optimizer].transform.name!r} in front of it"
        raise ValueError(
            f"{found}; wanted none; call remove() of its handle first, or join both into one transform"
        )
    if transform.signal is not None:
        moments_of(optimizer)
    _attached[optimizer] = handle = Attachment(optimizer, transform)
    return handle


class Attachment:
    """A transform at its optimizer; what `attach` returns.

    Attributes:
        transform: the transform.
        names: the parameters that its state belongs to.
        state: what it remembers; None before the first step.
    """

    def __init__(self, optimizer: optim.Optimizer, transform: Transform) -> None:
        self.transform = transform
        self.names: list[str] = []
        self.state: State | None = None
        self._lr: list[tuple[dict[str, Any], Any]] = []
        self._coming: tuple[list[str], State | None] = ([], None)
        self._optimizer = ref(optimizer)
        self._step: FrameType | None = None
        self._depth = 0
        self._is_due = False
        self._hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
            optimizer.register_state_dict_post_hook(self._save),
            optimizer.register_load_state_dict_pre_hook(self._check),
            optimizer.register_load_state_dict_post_hook(self._load),
        ]

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> Never:
            if hasattr(optim.Optimizer, name) or name in ("param_groups", "defaults"):
                keep = "call `attach(optimizer)` by itself and keep your optimizer, which it changes"
                raise AttributeError(f"what attach returns is no optimizer and has no {name!r}; {keep}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def remove(self) -> None:
        """Take the transform away, and all that it left at the optimizer. A second call does nothing."""
        for hook in self._hooks:
            hook.remove()
        for optimizer, handle in list(_attached.items()):
            if handle is self:
                del _attached[optimizer]

    def state_dict(self) -> dict[str, Any]:
        """The state alone, as it travels in the optimizer's."""
        return snapshot(self.transform, self.names, self.state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a state that `state_dict` gave.

        Raises:
            ValueError: it is of another transform, other parameters or other shapes, or the optimizer is
                gone.
        """
        optimizer = self._optimizer()
        if optimizer is None:
            raise ValueError("the optimizer of this handle is gone; attach to another one, and load there")
        self.names, self.state = restored({KEY: state_dict}, self.transform, optimizer)

    def _before_step(
        self, optimizer: optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        # The step of a subclass that calls its parent's runs all hooks twice. The frame of its call shows
        # which one this is, because a flag would still be set after a step that raised.
        if self._step is not None and is_running(self._step):
            self._depth += 1
            return None
        # A step that raised has left lr scaled, because torch calls no post hook then.
        self._restore_lr()
        self._step, self._depth, self._is_due = sys._getframe(1), 0, True
        try:
            check_unscaled(optimizer, kwargs)
            if len(args) > 1 and callable(args[1]):
                return (args[0], self._around(optimizer, args[1]), *args[2:]), kwargs
            if callable(kwargs.get("closure")):
                return args, {**kwargs, "closure": self._around(optimizer, kwargs["closure"])}
            self._transform(optimizer)
        except BaseException:
            forget_scale(optimizer)
            raise
        return None

    def _around(self, optimizer: optim.Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        """The closure, with its gradients transformed when it returns."""

        def transformed() -> Any:
            if not self._is_due:
                raise ValueError(
                    f"{type(optimizer).__name__}.step() calls its closure twice; wanted one gradient per "
                    "step, because a transform counts steps; choose another optimizer"
                )
            loss = closure()
            self._transform(optimizer)
            return loss

        return transformed

    @torch.no_grad()
    def _transform(self, optimizer: optim.Optimizer) -> None:
        self._is_due = False
        if has_overflowed(optimizer):
            return
        named = {name: p for name, p in named_parameters(optimizer).items() if p.grad is not None}
        if not named:
            return
        places = gradients_of(named)
        grads, params = whole(places), whole({name: p.detach() for name, p in named.items()})
        self._settle(params)
        assert self.state is not None
        new, state = self.transform.update(grads, self.state, params)
        self.state = kept_apart(state, [*grads.values(), *params.values()])
        for name, g in grads.items():
            if new[name] is not g:
                write(new[name], places[name])
        if self.transform.signal is not None:
            self._obey(optimizer, self.transform.signal(self.state))

    def _settle(self, params: Tensors) -> None:
        """Begin the state, or begin it again when other parameters than before have gradients."""
        names = list(params)
        if self.state and names != self.names:
            warn_of_another_set(self.transform, self.names, names)
        if self.state is None or names != self.names:
            self.names, self.state = names, kept_apart(self.transform.init(params), params.values())

    def _obey(self, optimizer: optim.Optimizer, asked: Signal) -> None:
        if bool(asked.restart):
            restart(optimizer, keep_count=asked.keep_count)
        if asked.recount is not None and bool(asked.recount):
            recount(optimizer)
        scale = float(asked.lr_scale)
        self._lr = [(group, group["lr"]) for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * scale

    def _restore_lr(self) -> None:
        for group, lr in self._lr:
            group["lr"] = lr
        self._lr = []

    def _after_step(self, optimizer: optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._depth:
            self._depth -= 1
            return
        self._restore_lr()
        self._step = None
        if self._is_due:
            raise ValueError(
                f"{type(optimizer).__name__}.step() has not called its closure, so it stepped with gradients "
                "that were not transformed; call loss.backward() and then step() without a closure"
            )

    def _save(self, optimizer: optim.Optimizer, state_dict: dict[str, Any]) -> None:
        state_dict[KEY] = self.state_dict()

    def _check(self, optimizer: optim.Optimizer, state_dict: dict[str, Any]) -> None:
        self._coming = restored(state_dict, self.transform, optimizer)

    def _load(self, optimizer: optim.Optimizer) -> None:
        # After the optimizer's own state, so that one which the optimizer refuses changes nothing here.
        self.names, self.state = self._coming


def is_running(call: FrameType) -> bool:
    """Whether a function call has not returned yet."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not call:
        frame = frame.f_back
    return frame is call
