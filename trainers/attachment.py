"""Any transform in front of an ordinary `torch.optim` optimizer, in the user's own loop.

(Not `attach.py`: a module of the function's name would take its place in the package as soon as it is
imported.)
"""

from __future__ import annotations

import warnings
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, optim

from trainers.optimizers.lion import Lion
from trainers.transforms.base import Signal, State, Tensors, Transform

MOMENTS: dict[type[optim.Optimizer], tuple[str, ...]] = {
    optim.SGD: ("momentum_buffer",),
    optim.RMSprop: ("square_avg", "grad_avg", "momentum_buffer"),
    optim.Adam: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    optim.AdamW: ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    optim.NAdam: ("exp_avg", "exp_avg_sq"),
    optim.RAdam: ("exp_avg", "exp_avg_sq"),
    optim.Adamax: ("exp_avg", "exp_inf"),
    optim.Adadelta: ("square_avg", "acc_delta"),
    Lion: ("exp_avg",),
}
"""Keys of `optimizer.state[p]` that a restart sets to zero. Add a row for an optimizer of your own."""
COUNTS: dict[str, float] = {"step": 0.0, "mu_product": 1.0}
"""Keys that count steps, and where they start. A restart resets them, unless the signal says `keep_count`."""
KEY = "gradient_transform"
"""Key of the transform's state in `optimizer.state_dict()`."""

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

    The state travels in `optimizer.state_dict()` under `gradient_transform`, as tensors and strings
    (`weights_only` can load it). Attach first and load afterwards to go on where a run stopped; load first
    and attach afterwards to begin with a new transform. A deep copy or pickle of the optimizer itself has no
    transform, as it has no hooks.

    Args:
        optimizer: of `torch.optim`, or any subclass; for a transform with a signal its class must have a row
            in `MOMENTS`.
        transform: from `make_transform`, or written by hand.

    Raises:
        ValueError: the optimizer has a transform already, or its moments are not declared and the transform
            has a signal. At a step: a gradient is sparse, or still multiplied by a loss scale, or the step
            has a closure, which would compute the gradients after the transform. At `load_state_dict`: the
            state is absent, of another transform or of other shapes.

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
        self._hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
            optimizer.register_state_dict_post_hook(self._save),
            optimizer.register_load_state_dict_pre_hook(self._load),
        ]

    def remove(self) -> None:
        """Take the transform away, and all that it left at the optimizer. A second call does nothing."""
        for hook in self._hooks:
            hook.remove()
        for optimizer, handle in list(_attached.items()):
            if handle is self:
                del _attached[optimizer]

    @torch.no_grad()
    def _before_step(self, optimizer: optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # A step that raised has left lr scaled, because torch calls no post hook then.
        self._after_step(optimizer, args, kwargs)
        refuse_closure(args, kwargs)
        if getattr(optimizer, "grad_scale", None) is not None:
            raise ValueError(
                "gradients are still multiplied by the loss scale; wanted true ones; "
                "call scaler.unscale_(optimizer) before scaler.step(optimizer)"
            )
        named = {name: p for name, p in named_parameters(optimizer).items() if p.grad is not None}
        if not named:
            return
        grads = dense_gradients(named)
        params = {name: p.detach() for name, p in named.items()}
        self._settle(params)
        assert self.state is not None
        new, state = self.transform.update(grads, self.state, params)
        self.state = kept_apart(state, [*grads.values(), *params.values()])
        for name, g in grads.items():
            if new[name] is not g:
                g.copy_(new[name])
        if self.transform.signal is not None:
            self._obey(optimizer, self.transform.signal(self.state))

    def _settle(self, params: Tensors) -> None:
        """Begin the state, or begin it again when other parameters than before have gradients."""
        names = list(params)
        if self.state and names != self.names:
            more, less = sorted(set(names) - set(self.names)), sorted(set(self.names) - set(names))
            found = "; ".join(
                f"{word} have a gradient: {', '.join(those)}"
                for word, those in (("now", more), ("no longer", less))
                if those
            )
            advice = "where two sets take turns, give each an optimizer and an attach() of its own"
            warnings.warn(
                f"transform {self.transform.name!r}: {found}; its state starts afresh; {advice}", stacklevel=5
            )
        if self.state is None or names != self.names:
            self.names, self.state = names, kept_apart(self.transform.init(params), params.values())

    def _obey(self, optimizer: optim.Optimizer, asked: Signal) -> None:
        if bool(asked.restart):
            for memory in optimizer.state.values():
                for key in moments_of(optimizer):
                    if isinstance(memory.get(key), Tensor):
                        memory[key].zero_()
                for key, start in COUNTS.items():
                    if not asked.keep_count and isinstance(memory.get(key), Tensor):
                        memory[key].fill_(start)
        scale = float(asked.lr_scale)
        self._lr = [(group, group["lr"]) for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * scale

    def _after_step(self, optimizer: optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for group, lr in self._lr:
            group["lr"] = lr
        self._lr = []

    def _save(self, optimizer: optim.Optimizer, state_dict: dict[str, Any]) -> None:
        state_dict[KEY] = {
            "name": self.transform.name,
            "names": list(self.names),
            "state": dict(self.state or {}),
        }

    @torch.no_grad()
    def _load(self, optimizer: optim.Optimizer, state_dict: dict[str, Any]) -> None:
        mine = f"transform {self.transform.name!r}"
        if KEY not in state_dict:
            raise ValueError(
                f"the loaded state_dict has no {KEY!r}; wanted the state of {mine}; "
                "load it before attach() to begin with a new transform"
            )
        saved = state_dict[KEY]
        if saved["name"] != self.transform.name:
            raise ValueError(
                f"the loaded state is of transform {saved['name']!r}; wanted {mine}; "
                "attach that one before loading"
            )
        named = named_parameters(optimizer)
        absent = [name for name in saved["names"] if name not in named]
        if absent:
            raise ValueError(
                f"the loaded state of {mine} belongs to parameters {', '.join(absent)}, "
                "which the optimizer lacks; build it with the same groups"
            )
        params = {name: named[name].detach() for name in saved["names"]}
        fresh = self.transform.init(params) if params else {}
        found, wanted = shapes(saved["state"]), shapes(fresh)
        if found != wanted:
            raise ValueError(
                f"the loaded state of {mine} has shapes {found}; wanted {wanted}; "
                "build model and transform as they were when it was saved"
            )
        self.names = list(params)
        self.state = {key: t.to(fresh[key].device) for key, t in saved["state"].items()} if params else None


def shapes(state: State) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a state."""
    return {key: tuple(t.shape) for key, t in state.items()}


def named_parameters(optimizer: optim.Optimizer) -> dict[str, Tensor]:
    """All parameters of an optimizer, named `group.index`, in order."""
    named: dict[str, Tensor] = {}
    for i, group in enumerate(optimizer.param_groups):
        named |= {f"{i}.{j}": p for j, p in enumerate(group["params"])}
    return named


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


def dense_gradients(named: dict[str, Tensor]) -> Tensors:
    """The gradients of parameters.

    Raises:
        ValueError: one is sparse.
    """
    grads = {name: p.grad.detach() for name, p in named.items() if p.grad is not None}
    for name, g in grads.items():
        if g.layout != torch.strided:
            raise ValueError(
                f"the gradient of parameter {name} is {str(g.layout).removeprefix('torch.')}; "
                "wanted a dense one; build its layer without sparse=True"
            )
    return grads


def refuse_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A step with a closure computes its gradients after the transform has run.

    Raises:
        ValueError: there is one.
    """
    if any(value is not None for value in (*args[1:], kwargs.get("closure"))):
        raise ValueError(
            "step() was given a closure, which computes gradients behind the transform; "
            "call loss.backward() and then step() without it"
        )


def kept_apart(state: State, *others: Any) -> State:
    """The state, with copies of tensors that share memory with gradients or parameters."""
    # Gradients and parameters change in place, and would take what is remembered with them.
    lent = {t.untyped_storage().data_ptr() for tensors in others for t in tensors}
    return {key: t.clone() if t.untyped_storage().data_ptr() in lent else t for key, t in state.items()}
