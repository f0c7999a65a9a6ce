"""Which of lr and weight decay matters: a landscape as an Optuna study, with fANOVA and PED-ANOVA.

No other file of this room imports Optuna, and this one does so inside of functions: commands that only plan
answer without it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from study.measures.array_types import Flags
from study.measures.landscape import DIVERGED, INFERRED, STATES, Landscape
from study.measures.share_intervals import (
    LEAST_SEEDS,
    Interval,
    hull,
    jackknife,
    student,
    variance_intervals,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

MOST_POINTS = 512
"""Points that the evaluators look at.

Their time grows faster than the grid, and what matters changes little between neighbours.
"""
QUESTIONS = {
    "fanova": "share of the score's variance over the whole grid that it explains",
    "pedanova": "how much it matters for being in the best tenth of settings",
}
SCORE, DIFFERENCE = "score", "difference to none"
"""What is explained: a transform's own score, or what it gains over the baseline."""
DIVERGED_ENTER = {SCORE: "untrained score", DIFFERENCE: "untrained score of whichever diverged"}
INTERACTION = (
    "1 - the shares of the main effects: the forest's variance is lr's + weight decay's + their "
    "interaction's, and nothing else, with two axes"
)


INTERVALS = {
    "fanova": "over seeds, of the variance shares in closed form with the seeds' noise taken out, widened to "
    "hold the forest's share",
    "pedanova": "over seeds; of planted landscapes they held the truth in 82 to 100 % (n = 100 of each), "
    "least beside a sharp edge",
}
"""How the intervals are made, and what to know of them."""


@dataclass(frozen=True)
class Importance:
    """Shares of lr and weight decay that sum to 1, by one evaluator of `QUESTIONS`.

    Attributes:
        of: what is explained, `SCORE` or `DIFFERENCE`.
        shares: by axis; empty where an axis has one value, or all values are equal.
        interaction: share of the forest's variance that neither axis explains alone; None for PED-ANOVA,
            which has no such part.
        diverged_share: share of cells that diverged (for a difference, with either transform). They enter as
            the untrained score.
        intervals: of the shares, by axis; empty with fewer than three seeds, or without shares.
        interaction_interval: of the interaction; None where it has none.
    """

    transform: str
    evaluator: str
    of: str
    shares: dict[str, float]
    interaction: float | None
    n_points: int
    n_seeds: int
    diverged_share: float
    intervals: dict[str, Interval] = field(default_factory=dict)
    interaction_interval: Interval | None = None


def importances(
    landscape: Landscape, baseline: Landscape | None = None, *, confidence: float = 0.95
) -> list[Importance]:
    """Importances of one transform's axes, from seed-mean scores, with intervals over seeds.

    Weight decay 0 is left out, because its axis is logarithmic.

    Args:
        baseline: if given, the importances for the difference to it come too.
        confidence: of the intervals.
    """
    diverged = landscape.outcome_SWL == DIVERGED
    found = _evaluated(landscape, None, SCORE, diverged, confidence)
    if baseline is None or baseline is landscape:
        return found
    either = diverged | (baseline.outcome_SWL == DIVERGED)
    return found + _evaluated(landscape, baseline, DIFFERENCE, either, confidence)


def _evaluated(
    landscape: Landscape, minus: Landscape | None, of: str, diverged_SWL: Flags, confidence: float
) -> list[Importance]:
    trials = as_trials(landscape, minus)
    enough = (
        len(landscape.lr) > 1
        and sum(value > 0 for value in landscape.weight_decay) > 1
        and len({trial.value for trial in trials}) > 1
    )
    # An edge-seeking design trains cells near edges, which are no fair sample of the grid.
    whole = landscape.class_SWL is None
    diverged = float(diverged_SWL.mean()) if diverged_SWL.size and whole else 0.0
    with_intervals = len(landscape.seeds) >= LEAST_SEEDS
    found = []
    for name in QUESTIONS:
        raw = _raw(name, trials) if enough and whole else {}
        total = sum(raw.values())
        shares = {axis: share / total for axis, share in raw.items()} if total > 0 else {}
        interaction = min(max(1 - total, 0.0), 1.0) if raw and name == "fanova" else None
        intervals: dict[str, Interval] = {}
        of_interaction = None
        if shares and with_intervals and name == "pedanova":
            intervals = _by_axis(pedanova_interval(landscape, minus, confidence), shares)
        elif shares and with_intervals:
            of_lr, between = fanova_intervals(landscape, minus, confidence)
            intervals = _by_axis(of_lr, shares)
            if interaction is not None:
                of_interaction = hull(between, (interaction, interaction))
        found.append(
            Importance(
                landscape.transform,
                name,
                of,
                shares,
                interaction,
                len(trials),
                len(landscape.seeds),
                diverged,
                intervals,
                of_interaction,
            )
        )
    return found


def _by_axis(of_lr: Interval, shares: dict[str, float]) -> dict[str, Interval]:
    """The intervals of both axes, which sum to 1; each holds the share that is shown."""
    low, high = hull(of_lr, (shares["lr"], shares["lr"]))
    both = {"lr": (low, high), "weight_decay": (1 - high, 1 - low)}
    return {axis: both[axis] for axis in shares}


def _raw(name: str, trials: list[FrozenTrial]) -> dict[str, float]:
    """What an evaluator of Optuna says of each axis."""
    quiet()
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    evaluator = FanovaImportanceEvaluator(seed=0) if name == "fanova" else PedAnovaImportanceEvaluator()
    # With few points both of PED-ANOVA's quantiles are the best one, of which Optuna warns.
    warnings.filterwarnings("ignore", message=".*quantiles select the same.*")
    return {axis: float(share) for axis, share in sorted(evaluator.evaluate(study).items())}


def fanova_intervals(
    landscape: Landscape, minus: Landscape | None, confidence: float
) -> tuple[Interval, Interval]:
    """Intervals for lr's share of the main effects and for the interaction, of the whole grid."""
    rows = np.array(landscape.weight_decay) > 0
    score_SWL = landscape.score_SWL - (0.0 if minus is None else minus.score_SWL)
    positive = tuple(value for value in landscape.weight_decay if value > 0)
    found = variance_intervals(score_SWL[:, rows], landscape.lr, positive, confidence)
    assert found is not None
    return found


def pedanova_interval(landscape: Landscape, minus: Landscape | None, confidence: float) -> Interval:
    """An interval for lr's share by PED-ANOVA: what a jackknife over seeds and the seeds' own shares span.

    The share jumps with which settings are the best tenth. One seed less may change nothing, or much, and a
    seed alone has more noise than the mean of all. Neither interval covers alone, so both are joined. Where
    noise decides which settings are best, even this one is too narrow: `tests/tools/importance_plants.py` has
    the figures.
    """

    def share(chosen_S: Flags) -> float:
        other = None if minus is None else minus.at_seeds(chosen_S)
        raw = _raw("pedanova", as_trials(landscape.at_seeds(chosen_S), other))
        total = sum(raw.values())
        return raw["lr"] / total if total > 0 else math.nan

    every_S = np.ones(len(landscape.seeds), dtype=bool)
    one_SS = np.eye(len(landscape.seeds), dtype=bool)
    return hull(
        jackknife(share(every_S), [share(~one_S) for one_S in one_SS], confidence),
        student([share(one_S) for one_S in one_SS], confidence),
    )


def as_trials(landscape: Landscape, minus: Landscape | None = None) -> list[FrozenTrial]:
    """One trial per point of the grid, with the mean score over seeds, as the evaluators need it.

    Of a larger grid at most about `MOST_POINTS` evenly spaced points are taken, with log10 of the
    hyperparameters, on axes half a cell longer than the grid.

    Args:
        minus: a landscape of the same grid and seeds whose score is subtracted.
    """
    from optuna.trial import create_trial

    rows = _rows(landscape)
    if not rows or not landscape.seeds:
        return []
    # Optuna's fANOVA weighs by length on the plain scale even where an axis is logarithmic: the last decade
    # of lr would count ten times as much as the one before.
    axes = {
        "lr": _in_decades(landscape.lr),
        "weight_decay": _in_decades([landscape.weight_decay[w] for w in rows]),
    }
    step = max(1, math.ceil(math.sqrt(len(rows) * len(landscape.lr) / MOST_POINTS)))
    # The evaluators look at no attribute, and Optuna copies all of them several times.
    return [
        create_trial(
            value=score,
            params={"lr": math.log10(landscape.lr[c]), "weight_decay": math.log10(landscape.weight_decay[w])},
            distributions=axes,
        )
        for w, c, score in _points(landscape, minus, step)
    ]


def kept(landscape: Landscape) -> dict[str, Any]:
    """A landscape as a study of Optuna's, in JSON's types, for `study.run.optuna_file`.

    Its name, a digest of its content, its axes as (low, high), what its value is, and one point per place of
    the grid. Weight decay 0 is left out, because its axis is logarithmic.
    """
    value_is = f"mean {landscape.metric_name} over {len(landscape.seeds)} seeds"
    if not landscape.higher_is_better:
        value_is += ", with its sign turned"
    positive = [landscape.weight_decay[w] for w in _rows(landscape)]
    axes = {"lr": landscape.lr, "weight_decay": positive}
    return {
        "name": " · ".join(part for part in (*landscape.setting, landscape.transform) if part),
        "content": f"{landscape.seeds} {hash_of(landscape)}",
        "value is": value_is,
        "axes": {name: (float(values[0]), float(values[-1])) for name, values in axes.items() if values},
        # One for all seeds: of several at one place Optuna's plots show the last alone.
        "points": [
            {
                "score": score,
                "params": {"lr": float(landscape.lr[c]), "weight_decay": float(landscape.weight_decay[w])},
                "attributes": attributes_of(landscape, w, c),
            }
            for w, c, score in _points(landscape)
        ],
    }


def _rows(landscape: Landscape) -> list[int]:
    return [w for w, value in enumerate(landscape.weight_decay) if value > 0]


def _points(
    landscape: Landscape, minus: Landscape | None = None, step: int = 1
) -> Iterator[tuple[int, int, float]]:
    """Places with a trained cell, as (row, column, mean score over seeds); of each axis every step-th."""
    if not landscape.seeds:
        return
    trained_SWL = landscape.outcome_SWL != INFERRED
    value_SWL = np.where(trained_SWL, landscape.score_SWL - (0.0 if minus is None else minus.score_SWL), 0.0)
    count_WL = trained_SWL.sum(axis=0)
    score_WL = value_SWL.sum(axis=0) / np.maximum(count_WL, 1)
    for w, c in product(_rows(landscape)[::step], range(0, len(landscape.lr), step)):
        if count_WL[w, c]:
            yield w, c, float(score_WL[w, c])


def attributes_of(landscape: Landscape, w: int, c: int) -> dict[str, object]:
    """How many cells of a point came out in which way, and all their keys."""
    return {
        "outcomes": np.bincount(landscape.outcome_SWL[:, w, c], minlength=len(STATES)).tolist(),
        "keys": landscape.key_SWL[:, w, c].tolist(),
    }


def _in_decades(values: Sequence[float]) -> BaseDistribution:
    """An axis of log10 values on which every cell has its own length."""
    from optuna.distributions import FloatDistribution

    at = np.log10(values)
    gaps = np.diff(at) if len(at) > 1 else np.zeros(1)
    return FloatDistribution(float(at[0] - gaps[0] / 2), float(at[-1] + gaps[-1] / 2))


def hash_of(landscape: Landscape) -> str:
    """A digest of the scores, to see whether a stored study is up to date."""
    from search_spaces import digest

    return digest(landscape.score_SWL.tolist())


def quiet() -> None:
    """Keep Optuna's log lines off the user's terminal."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
