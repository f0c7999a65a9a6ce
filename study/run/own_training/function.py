"""A function of the user's own, in the process of its cell: imported, called, and what it returns taken."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from study.run.own_training.cell import CellTransform, DivergedError, TrainingCell
from study.run.own_training.order import Order
from study.run.own_training.reports import Reports
from study.spec.build import transform_of
from study.spec.method_choice import Choice
from study.spec.user_code import error_line, factory_of
from trainers.naming import short

Function = Callable[[TrainingCell], Any]


def function_of(choice: Choice) -> Function:
    """The user's function; its module is imported.

    Raises:
        ValueError: there is none, or it cannot be called with a cell.
    """
    found = factory_of(choice, "dict of results")
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        name = choice.name.partition(":")[2]
        raise ValueError(
            f"{choice.name} cannot be called with one argument, the cell; wanted `def {name}(cell):`"
        ) from None
    except ValueError:
        pass  # built into Python, without a signature
    return found


def train(order: Order, function: Function | None) -> None:
    """Train a function's cell, in its own process."""
    import torch

    torch.set_num_threads(order.threads)
    reports = Reports(order.reports, order.metric, order.budget.steps)
    cell = cell_of(order, reports)
    me = os.getpid()
    try:
        function = function or function_of(order.workload)
        _follow(cell, function(cell))
        how, words = "returned", ""
    except DivergedError:
        how, words = "returned", ""
    except BaseException as error:
        traceback.print_exc()
        how, words = "raised", error_line(error)
    if os.getpid() == me:
        with suppress(Exception):
            if torch.cuda.is_initialized():
                reports.note({"device": torch.cuda.get_device_name()})
        reports.end(how, words)


def cell_of(order: Order, reports: Reports) -> TrainingCell:
    """The cell of an order, as a function gets it."""
    return TrainingCell(
        lr=order.lr,
        weight_decay=order.weight_decay,
        seed=order.seed,
        transform=CellTransform(order.transform.name, order.transform.keywords()),
        budget=order.budget,
        directory=order.scratch,
        device=order.device,
        model=order.model,
        optimizer=order.optimizer,
        reports=reports,
        make_transform=lambda: transform_of(order.transform),
    )


def _follow(cell: TrainingCell, found: Any) -> None:
    """Take what a function returned: results, nothing, or a generator of results."""
    if isinstance(found, Iterator):
        while True:
            try:
                each = next(found)
            except StopIteration as end:
                found = end.value
                break
            _take(cell, each, "yielded")
    if found is not None:
        _take(cell, found, "returned")


def _take(cell: TrainingCell, results: Any, how: str) -> None:
    if not isinstance(results, Mapping) or not all(isinstance(key, str) for key in results):
        raise TypeError(f"it {how} {short(results)}; wanted a dict, such as {{'{cell.reports.metric}': 0.9}}")
    cell.report(**results)


@contextmanager
def no_steps() -> Iterator[None]:
    """Refuse steps of optimizers: a module that trains while it is imported would train for every cell."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    def refuse(*_: Any) -> None:
        raise ValueError(
            "it trains while it is imported; put its training into the function, "
            'or under `if __name__ == "__main__":`'
        )

    hook = register_optimizer_step_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()
