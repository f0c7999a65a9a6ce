"""What a paper printed of gains on corrupted inputs, beside a study's own. The report prints them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from study.measures.estimate import Estimate, difference
from study.measures.tuning import tuned_score
from study.papers.agreement import NOT_COMPARABLE, NOT_RUN

if TYPE_CHECKING:
    from study.analysis import Analysis
    from study.measures.landscape import Landscape
    from study.plan.cells import Setting

SERIES = "series"
"""The workload that such a paper is about."""
BASE = "none"


@dataclass(frozen=True)
class GainTable:
    """Gains over the base optimizer, one per level of corruption.

    Attributes:
        source: authors, title, number. title: which figure or table.
        data, model, optimizer: that the paper trained on and with, as this project calls them.
        transform: of this project, whose gain it is. method: as the paper calls it.
        metric: in which gains are given, as this project calls it; less is better.
        probability: of an entry's corruption.
        printed: the gain by level of corruption, read off the paper.
        epochs, runs: behind each number.
        unknown: what the paper leaves open, and what this project takes instead.
    """

    id: str
    source: str
    title: str
    data: str
    model: str
    optimizer: str
    transform: str
    method: str
    metric: str
    decimals: int
    probability: float
    printed: tuple[tuple[float, float], ...]
    epochs: int
    runs: int
    unknown: tuple[str, ...]


TABLES: tuple[GainTable, ...] = (
    GainTable(
        id="stabilizer-corrupted-input",
        source="Huang et al., GradientStabilizer, arXiv:2502.17055v4, 2026",
        title="gain in test MSE over AdamW on corrupted inputs",
        data="weather",
        model="patchtst",
        optimizer="adamw",
        transform="gradient_stabilizer",
        method="AdamW+GradientStabilizer",
        metric="mse",
        decimals=3,
        probability=0.05,
        printed=((1.0, 0.008), (2.0, 0.018), (3.0, 0.025)),
        epochs=100,
        runs=10,
        unknown=(
            "the horizon of its forecasts",
            "which inputs are corrupted, and of what the maximum is taken: here those of training alone, and "
            "the maximum of a batch",
            "the numbers themselves, which are read off a figure",
        ),
    ),
)
"""Every table of gains that `study table` knows."""


@dataclass(frozen=True)
class GainRow:
    """One level of corruption, and what a setting of the study gives.

    Attributes:
        level: of corruption. printed: the paper's gain; None for clean inputs, of which it prints none.
        data, model: of this study; empty where the level was not run.
        gain: metric of the base less that of the transform, each at the cell that is best on the other
            seeds; more than 0 where the transform is better.
        base: the base's metric there.
        agreement: a word of `study.papers.agreement`. reason: why.
        differences: from what the paper did.
    """

    level: float
    printed: float | None
    data: str
    model: str
    n_seeds: int
    base: Estimate | None
    gain: Estimate | None
    agreement: str
    reason: str
    differences: tuple[str, ...] = ()


def gain_tables(analysis: Analysis) -> list[GainTable]:
    """All of them, for a study of forecasts."""
    return list(TABLES) if any(one.name == SERIES for one in analysis.plan.spec.workload) else []


def gain_rows(analysis: Analysis, table: GainTable) -> list[GainRow]:
    """A row for each level and each data and model of the study, by data and model."""
    own = [
        one
        for one in analysis.landscapes
        if one.origin
        and one.origin.workload.name == SERIES
        and one.method == table.transform
        and not one.constants
        and one.optimizer_method == table.optimizer
    ]
    found = [row for one in own for row in _rows(analysis, table, one)]
    levels = {row.level for row in found}
    absent = [
        GainRow(level, value, "", "", 0, None, None, NOT_RUN, f"corruption {level:g} is not in the spec")
        for level, value in table.printed
        if level not in levels
    ]
    return [*sorted(found, key=lambda row: (row.data, row.model, row.level)), *absent]


def _rows(analysis: Analysis, table: GainTable, own: Landscape) -> Iterator[GainRow]:
    origin = own.origin
    assert origin is not None
    level = origin.condition.budget.corruption
    printed = dict(table.printed).get(level)
    data, model = data_of(origin), origin.model.title
    base = next(
        (
            one
            for one in analysis.landscapes
            if one.setting == own.setting and one.method == BASE and not one.constants
        ),
        None,
    )
    if base is None:
        yield GainRow(level, printed, data, model, 0, None, None, NOT_RUN, f"{BASE} is not in the spec")
        return
    if not (own.complete_S.all() and base.complete_S.all()):
        yield GainRow(level, printed, data, model, 0, None, None, NOT_RUN, "not trained to the end yet")
        return
    # Scores are higher where they are better, so that of the base is less what its error is.
    score, theirs = tuned_score(own), tuned_score(base)
    error = Estimate(tuple(own.sign * value for value in theirs.values_S), resolution=theirs.resolution)
    why = differences(table, origin, own.metric_name)
    reason = "; ".join(why) or "another grid than one setting"
    yield GainRow(
        level,
        printed,
        data,
        model,
        score.n,
        error,
        difference(score, theirs),
        NOT_COMPARABLE if printed is not None else "",
        reason if printed is not None else "the paper prints no gain on clean inputs in this figure",
        why,
    )


def data_of(setting: Setting) -> str:
    """The data's name: that of its file, without its ending."""
    return PurePath(str(setting.workload.keywords().get("file", "generated"))).stem


def differences(table: GainTable, setting: Setting, metric: str) -> tuple[str, ...]:
    """What a setting does in another way than the paper says."""
    budget, constants = setting.condition.budget, setting.workload.keywords()
    found = []
    if data_of(setting).lower() != table.data:
        found.append(f"not the same data: {data_of(setting)} instead of {table.data}")
    if setting.model.name != table.model:
        found.append(f"{setting.model.name} instead of {table.model}")
    elif dict(setting.model.constants) != {"settings": table.data}:
        found.append(f"{setting.model.technical_name} instead of its settings for {table.data}")
    if metric != table.metric:
        found.append(f"{metric} instead of {table.metric}")
    if budget.corruption and budget.corruption_probability != table.probability:
        found.append(f"probability {budget.corruption_probability:g} instead of {table.probability:g}")
    if constants.get("test_examples"):
        found.append(f"{constants['test_examples']} of the test windows")
    found.append(
        f"{budget.steps:,} steps of {budget.batch_size} instead of {table.epochs} epochs, each method at the "
        "best cell of a grid instead of one setting"
    )
    return tuple(found)
