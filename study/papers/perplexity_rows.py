"""Published perplexities beside a study's own. Numbers only; the report prints them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from study.measures.axis import cell_at
from study.measures.estimate import Estimate
from study.papers.agreement import NOT_COMPARABLE, NOT_RUN, UNDECIDED, agreement_of
from study.papers.perplexities import NAMES, TABLES, PerplexityTable, Printed, Recipe
from study.plan.cells import Setting
from study.spec.conditions import named
from study.spec.method_choice import with_constants
from tracking import DIVERGED
from trainers.budget import Budget

if TYPE_CHECKING:
    from study.analysis import Analysis
    from study.measures.landscape import Landscape
    from study.spec.tolerances import Tolerances

TEXT, METRIC = "text", "nats_per_token"
"""The workload and the metric whose exponential is a perplexity."""
BYTES = "bytes"
BYTE_TOKENS = 256
PER_BYTE = (
    "a perplexity per byte is another quantity than one per token of a vocabulary of 32,000: a token of the "
    "paper is several bytes long, so its perplexity is larger for the same model"
)
UNCHANGED = ("loss_scale", "spike_probability", "spike_steps", "corruption")
ORDINARY = {field.name: field.default for field in dataclasses.fields(Budget) if field.name in UNCHANGED}
"""Stress, which no recipe here has."""
SHAPE = frozenset({"width", "depth", "heads", "hidden"})
"""Constants of a model that make it another one than its size says."""
OWN = "own"
MARGIN = 0.01
"""Perplexities that differ by less than this share are the same [nats per token]."""


@dataclass(frozen=True)
class PerplexityRow:
    """One published perplexity and what this study has at the published lr and weight decay.

    Attributes:
        setting: workload, model, optimizer and condition here; empty where none matches.
        n_seeds: seeds that finished.
        tokens: what one token is here, in words. size: of the model here.
        nats: over these seeds, at the last step [nats per token]; None without any.
        agreement: a word of `study.papers.agreement`. reason: why.
        differences: from the recipe.
    """

    printed: Printed
    setting: str
    n_seeds: int
    tokens: str
    size: str
    nats: Estimate | None
    agreement: str
    reason: str
    differences: tuple[str, ...] = ()


def perplexity_tables(analysis: Analysis) -> list[PerplexityTable]:
    """All of them, for a study of a language model."""
    return list(TABLES) if any(one.name == TEXT for one in analysis.plan.spec.workload) else []


def perplexity_rows(analysis: Analysis, table: PerplexityTable) -> list[PerplexityRow]:
    """A row for each number of the table and each setting of the study that it is about.

    A number that is about none of them has one row, which says so. Cells of another size of the model stand
    beside the smallest size of the table alone, so that no cell is shown twice for one method.
    """
    models = [one for one in analysis.landscapes if one.origin and one.origin.workload.name == TEXT]
    smallest = next(iter(dict.fromkeys(row.size for row in table.rows)))
    return [row for one in table.rows for row in _rows(analysis, table, one, models, smallest)]


def _rows(
    analysis: Analysis, table: PerplexityTable, one: Printed, models: Sequence[Landscape], smallest: str
) -> Iterator[PerplexityRow]:
    spec = analysis.plan.spec
    sized = [found for found in models if size_of(found) == one.size]
    if not sized and one.size == smallest:
        named = {row.size for row in table.rows}
        sized = [found for found in models if size_of(found) not in named]
    held = [
        found
        for found in sized
        if found.optimizer_method == one.optimizer and arithmetic_alike(one, setting_of(found))
    ]
    # A published number is about a method with the paper's constants, so other variants have no row.
    constants = table.constants.get(one.transform, ())
    mine = [found for found in held if (found.method, found.constants) == (one.transform, constants)]
    # With the longest warm-up: the paper has one.
    longest = max((setting_of(found).condition.budget.warmup for found in mine), default=0)
    mine = [found for found in mine if setting_of(found).condition.budget.warmup == longest]
    if not one.transform:
        why = f"{one.method} is no method of this project"
    elif not sized:
        why = f"llama of size {one.size} is not in the spec"
    elif not held:
        why = f"{one.optimizer} in {NAMES[one.arithmetic]} is not in the spec"
    elif not mine:
        why = f"{with_constants(one.transform, constants)} is not in the spec"
    else:
        why = f"lr {one.lr:g} with weight decay {one.weight_decay:g} is no cell of the grid"
        mine = mine if cell_at(mine[0], one.lr, one.weight_decay) else []
    if not mine or not one.transform:
        yield PerplexityRow(one, "", 0, "", "", None, NOT_RUN, why)
        return
    for found in mine:
        yield _row(found, table, one, spec.region)


def _row(landscape: Landscape, table: PerplexityTable, one: Printed, tolerances: Tolerances) -> PerplexityRow:
    assert landscape.record_SWL is not None
    at, place = setting_of(landscape), cell_at(landscape, one.lr, one.weight_decay)
    assert place is not None
    setting = landscape.setting_title
    cells = list(landscape.record_SWL[:, *place])
    done = [cell for cell in cells if cell is not None and not cell.failed]
    values = [cell.metric_final for cell in done if cell.finished]
    known = tuple(value for value in values if value is not None)
    nats = Estimate(known) if known and len(known) == len(values) else None
    found = differences(table.recipe, one, at)
    # How a study of another recipe ended says nothing about the paper, so the differences come first.
    if not done:
        agreement, reason = NOT_RUN, "not trained yet"
    elif found:
        agreement, reason = NOT_COMPARABLE, "; ".join(found)
    elif len(values) < len(done):
        agreement, reason = DIVERGED, f"{len(done) - len(values)} of {len(done)} seeds diverged"
    elif nats is None or nats.n < tolerances.least_seeds:
        agreement = UNDECIDED
        reason = (
            f"{len(values)} of {len(cells)} seeds are trained; at least {tolerances.least_seeds} are wanted"
        )
    else:
        # In nats, where half a unit of the last printed digit is a share of the number.
        decimals = math.floor(math.log10(one.value * 10.0**table.decimals))
        agreement, reason = agreement_of(nats, math.log(one.value), decimals, tolerances.confidence, MARGIN)
    return PerplexityRow(
        one, setting, len(values), tokens_of(at), size_of(landscape), nats, agreement, reason, found
    )


def setting_of(landscape: Landscape) -> Setting:
    """The setting of a landscape that a study planned."""
    assert landscape.origin is not None
    return landscape.origin


def size_of(landscape: Landscape) -> str:
    """The size of its model, as the spec names it; `own` where the spec gives a part of the shape itself."""
    return size_in(setting_of(landscape))


def size_in(setting: Setting) -> str:
    """The same of a setting."""
    model = setting.model.keywords()
    return OWN if SHAPE & set(model) else str(model.get("size", "0.1m"))


def arithmetic_alike(one: Printed, setting: Setting) -> bool:
    """Whether a setting computes as a published number's column says; quantized, whatever the precision."""
    precision, quantization = one.arithmetic
    budget = setting.condition.budget
    here = str(getattr(budget, "quantization", "none"))
    if quantization != "none" or here != "none":
        return here == quantization
    return budget.precision == precision


def tokens_of(setting: Setting) -> str:
    """What a token is: `bytes (256)`, `32,000 tokens`, or the file of the tokenizer."""
    constants = setting.workload.keywords()
    if vocabulary := constants.get("vocabulary"):
        return f"{vocabulary:,} tokens"
    tokens = str(constants.get("tokens", BYTES))
    return f"{BYTES} ({BYTE_TOKENS})" if tokens == BYTES else f"tokens of {PurePath(tokens).name}"


def differences(recipe: Recipe, one: Printed, setting: Setting) -> tuple[str, ...]:
    """What a setting does in another way than the paper says; empty where all that is known is the same."""
    return (*_of_data(recipe, one, setting), *_of_budget(recipe, one, setting))


def _of_data(recipe: Recipe, one: Printed, setting: Setting) -> Iterator[str]:
    constants, model = setting.workload.keywords(), setting.model.keywords()
    there = f"{recipe.vocabulary:,} tokens"
    if tokens_of(setting) != there:
        yield f"{tokens_of(setting)} instead of {there}"
    text = constants.get("file") or f"corpus {constants.get('corpus', 'synthetic')}"
    # A file of that many tokens may be the paper's data; its name cannot say so.
    if not (constants.get("vocabulary") and constants.get("file")):
        yield f"text from {text} instead of {recipe.data}"
    if own := {key: value for key, value in sorted(model.items()) if key in SHAPE}:
        yield f"llama with {named(own)} instead of {one.size}"
    elif size_in(setting) != one.size:
        yield f"llama of size {size_in(setting)} instead of {one.size}"
    if changed := sorted(set(model) - {"size", "init_std"} - SHAPE):
        yield f"the model's {' and '.join(changed)} changed"
    context = constants.get("context", 64)
    if context != recipe.context:
        yield f"windows of {context} instead of {recipe.context} tokens"
    if constants.get("z_loss"):
        yield f"z_loss {constants['z_loss']:g} instead of none"
    if setting.optimizer.constants:
        yield f"{setting.optimizer.technical_name} instead of {setting.optimizer.name}"


def _of_budget(recipe: Recipe, one: Printed, setting: Setting) -> Iterator[str]:
    budget = setting.condition.budget
    steps = recipe.steps.get(one.size)
    if steps is None:
        yield f"{budget.steps:,} steps, where the paper gives none for {one.size}"
    elif steps != budget.steps:
        yield f"{budget.steps:,} steps instead of {steps:,}"
    for name, here, there in (
        ("batches of", budget.batch_size, recipe.batch_size),
        ("warm-up of", budget.warmup, recipe.warmup),
        ("schedule", budget.schedule, recipe.schedule),
    ):
        if here != there:
            yield f"{name} {here} instead of {there}"
    if budget.schedule == recipe.schedule and budget.floor != recipe.floor:
        yield f"the schedule ends at {budget.floor:g} of lr instead of {recipe.floor:g}"
    for key, ordinary in ORDINARY.items():
        if getattr(budget, key) != ordinary:
            yield f"{key} {getattr(budget, key)} instead of {ordinary}"
