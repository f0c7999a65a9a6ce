"""How a study's setting differs from a paper's recipe, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import PurePath

from study.papers.tables import EXAMPLES, USES, Recipe
from study.plan.cells import Setting
from study.spec.method_choice import Choice
from trainers.budget import Budget

SAME = 0.01
"""Epochs that differ by less than this share are the same.

Papers seldom say whether a last, smaller batch counts.
"""
PLACES = {"arrays": "file", "image_folder": "folder"}
"""Workloads that read whatever images lie in a place, and the constant that names it."""
UNCHANGED = (
    "warmup", "accumulation", "loss_scale", "spike_probability", "spike_steps", "corruption", "quantization",
)  # fmt: skip
ORDINARY = {field.name: field.default for field in dataclasses.fields(Budget) if field.name in UNCHANGED}
"""What no recipe here changes."""


def images_of(workload: Choice) -> str:
    """The data's name: the workload's, or that of the file or folder which it reads, without its ending."""
    place = PLACES.get(workload.name)
    if place is None:
        return workload.name
    return PurePath(str(workload.keywords().get(place, ""))).stem


def epochs_of(setting: Setting, steps: float) -> float | None:
    """How often so many steps go through the training images; None where their number is not known."""
    examples = setting.workload.keywords().get("train_examples")
    if not examples:
        examples, _ = EXAMPLES.get(setting.workload.name, (None, None))
    return steps * setting.condition.budget.batch_size / examples if examples else None


def differences(recipe: Recipe, setting: Setting) -> tuple[str, ...]:
    """What a setting does in another way than the paper says; empty where all that is known is the same.

    lr, weight decay and transform are no differences: rows are looked up by them.
    """
    return (*_of_data(recipe, setting.workload), *_of_parts(recipe, setting), *_of_budget(recipe, setting))


def _of_data(recipe: Recipe, workload: Choice) -> Iterator[str]:
    constants = workload.keywords()
    if workload.name != recipe.images:
        source = constants.get(PLACES.get(workload.name, ""), workload.technical_name)
        yield f"images from {source} (workload {workload.name}) instead of the workload {recipe.images}"
    for key, name, there in zip(
        ("train_examples", "test_examples"), ("training", "test"), EXAMPLES[recipe.images], strict=True
    ):
        if constants.get(key) not in (None, there):
            yield f"{constants[key]:,} {name} images instead of {there:,}"
    # The paper says that it uses these and not with which value, so any value but 0 is taken.
    for key in recipe.uses:
        if not constants.get(key):
            yield f"no {USES[key]}"


def _of_parts(recipe: Recipe, setting: Setting) -> Iterator[str]:
    if setting.model.constants:
        yield f"{setting.model.technical_name} instead of {setting.model.name}"
    if setting.optimizer.technical_name != recipe.optimizer:
        yield f"{setting.optimizer.technical_name} instead of {recipe.optimizer}"


def _of_budget(recipe: Recipe, setting: Setting) -> Iterator[str]:
    budget = setting.condition.budget
    epochs = epochs_of(setting, budget.steps)
    if epochs is None:
        trained = f"{budget.steps:,} steps of {budget.batch_size}"
        yield f"{trained}, whose epochs are not known here, instead of {recipe.epochs:g} epochs"
    elif not alike(epochs, recipe.epochs):
        yield f"{epochs:.3g} epochs instead of {recipe.epochs:g}"
    if budget.batch_size != recipe.batch_size:
        yield f"batches of {budget.batch_size} instead of {recipe.batch_size}"
    for key, ordinary in ORDINARY.items():
        if getattr(budget, key) != ordinary:
            yield f"{key} {getattr(budget, key)} instead of {ordinary}"
    if budget.schedule != recipe.schedule:
        # The constants below belong to the recipe's own schedule.
        yield f"schedule {budget.schedule} instead of {recipe.schedule}"
        return
    every = None if budget.decay_every is None else epochs_of(setting, budget.decay_every)
    if every is not None and recipe.decay_epochs is not None and not alike(every, recipe.decay_epochs):
        yield f"lr decays every {every:.3g} epochs instead of {recipe.decay_epochs:g}"
    if budget.decay_factor != recipe.decay_factor:
        yield f"lr decays by {budget.decay_factor} instead of {recipe.decay_factor}"


def alike(found: float, wanted: float) -> bool:
    """Whether two numbers of epochs are the same."""
    return abs(found - wanted) <= SAME * wanted
