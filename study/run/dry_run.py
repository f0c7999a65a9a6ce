"""A user's own code, tried on two cells before anything is written: what would fail everywhere is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from study.errors import UserError
from study.plan.cells import Setting
from study.run.containment import contained
from study.spec.build import optimizer_of, transform_of
from study.spec.model import StudySpec
from study.spec.own_training import METRIC, TAKEN
from study.spec.user_code import error_line
from trainers.naming import short

if TYPE_CHECKING:
    from torch import Tensor

    from trainers import Transform, Workload

HINT = (
    "; it is written for one cell and run on many at once: "
    "tensor operations alone, torch.where instead of if, no .item()"
)


def rehearse(spec: StudySpec, setting: Setting, workload: Workload) -> None:
    """Train two cells for one step with every transform of the user's own, or with one for other own parts.

    Raises:
        UserError: it fails, or a part does not keep its promises.
    """
    import torch

    from trainers import Budget, train_fused

    parts = [part for part in (setting.workload, setting.model, setting.optimizer) if part.source]
    transforms = [transform for transform in spec.transforms if transform.source] or list(
        spec.transforms[: bool(parts)]
    )
    budget = Budget(
        1, spec.budget.batch_size, precision=spec.budget.precision, accumulation=spec.budget.accumulation
    )
    for transform in transforms:
        names = " with ".join(part.technical_name for part in (transform, *parts) if part.source)
        try:
            with contained():
                if parts:
                    check_workload(workload)
                method = transform_of(transform)
                if transform.source:
                    check_transform(method, workload, budget.dtype)
                two = torch.full((2,), 1e-3, dtype=torch.float64)
                curves = train_fused(
                    workload,
                    method,
                    optimizer_of(setting.optimizer),
                    budget,
                    lr_C=two,
                    weight_decay_C=two,
                    seed=spec.seeds[0],
                )
            start = {"loss": curves.loss_initial, workload.metric_name: float(curves.metric_initial_C[0])}
        except Exception as error:
            # Whatever the user's code raises is about the user's code.
            words = str(error) if isinstance(error, PromiseError) else error_line(error)
            hint = HINT if any(word in str(error) for word in ("vmap", "data-dependent", "functorch")) else ""
            raise UserError(f"{names} cannot train {setting.name}: {words}{hint}") from None
        for name, value in start.items():
            if not abs(value) < float("inf"):
                raise UserError(
                    f"{names} cannot train {setting.name}: the untrained network's {name} is {value}; "
                    "wanted a finite number"
                )


class PromiseError(ValueError):
    """A promise that is not kept; the message says which."""


def check_workload(workload: Workload) -> None:
    """Refuse a loss, score or metric name that cannot be used.

    A loss is one number, a score is one number per example, and trackers store the metric under its name.

    Raises:
        PromiseError: one of them cannot be used; the message says what was found and what is wanted.
    """
    import torch

    if (
        not (isinstance(workload.metric_name, str) and METRIC.fullmatch(workload.metric_name))
        or workload.metric_name in TAKEN
    ):
        raise PromiseError(
            f"its metric_name is {short(workload.metric_name)}; "
            "wanted letters, digits, '_', '-', '.' and blanks, "
            f"and not one of {', '.join(TAKEN)}, which are stored beside it"
        )
    if not isinstance(workload.higher_is_better, bool):
        raise PromiseError(
            f"its higher_is_better is {short(workload.higher_is_better)}; wanted True or False"
        )
    model, x, y = (
        workload.initial_model(0).eval(),
        workload.prepared(workload.train_x[:2], torch.float32),
        workload.train_y[:2],
    )
    with torch.no_grad():
        output = model(x)
        for name, found, wanted in (
            ("loss", workload.loss(output, y), []),
            ("score", workload.score(output, y), [len(x)]),
        ):
            shape = list(getattr(found, "shape", [type(found).__name__]))
            if shape != wanted:
                meaning = "one number per example" if wanted else "their mean"
                raise PromiseError(
                    f"its {name} of {len(x)} examples has shape {shape}; wanted {wanted}, {meaning}"
                )


def check_transform(transform: Transform, workload: Workload, dtype: Any) -> None:
    """Refuse a transform that changes its inputs, or returns other names, shapes or types than it got.

    Raises:
        PromiseError: it does; the message says which and what is wanted.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    params = {
        name: torch.stack([p.detach(), p.detach()]).to(dtype)
        for name, p in workload.initial_model(0).named_parameters()
    }
    grads = {
        name: torch.randn(p.shape, generator=generator, dtype=torch.float32).to(dtype)
        for name, p in params.items()
    }
    state = torch.vmap(transform.init)(params)
    given = {"gradients": grads, "state": state, "parameters": params}
    before: dict[str, dict[str, Tensor]] = {}
    for part, tensors in given.items():
        before[part] = {name: t.clone() for name, t in tensors.items()}
    out, after = torch.vmap(transform.update)(grads, state, params)
    for part, tensors in given.items():
        if any(not torch.equal(t, before[part][name]) for name, t in tensors.items()):
            raise PromiseError(
                f"its update changes the {part} that it is given; "
                "wanted new tensors: out-of-place operations alone"
            )
    for part, found, wanted in (("gradients", out, grads), ("state", after, state)):
        if not isinstance(found, dict) or set(found) != set(wanted):
            raise PromiseError(
                f"its update returns {part} named {names_of(found)}; wanted {names_of(wanted)}"
            )
        for name, tensor in wanted.items():
            if (found[name].shape, found[name].dtype) != (tensor.shape, tensor.dtype):
                one, two = (f"{t.dtype} of shape {list(t.shape[1:])}" for t in (found[name], tensor))
                raise PromiseError(f"its update returns {part}[{name!r}] as {one}; wanted {two}")


def names_of(tensors: Any) -> str:
    """The names of a group of tensors, or the type of what was returned instead."""
    if not isinstance(tensors, dict):
        return type(tensors).__name__
    return ", ".join(map(str, tensors)) or "nothing"
