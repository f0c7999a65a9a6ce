"""Which of lr and weight decay matters: cells as an Optuna study, with fANOVA and PED-ANOVA. The only file that imports Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from study.measures.arrays import Flags
from study.measures.landscape import DIVERGED, INFERRED, STATES, Landscape

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

MOST_SETTINGS = 512
"""Settings that the evaluators look at: their time grows faster than the grid, and what matters changes little between neighbours."""
QUESTIONS = {
    "fanova": "share of the score's variance over the whole grid that it explains",
    "pedanova": "how much it matters for being in the best tenth of settings",
}
SCORE, DIFFERENCE = "score", "difference to none"
"""What is explained: a transform's own score, or what it gains over the baseline."""
DIVERGED_ENTER = {SCORE: "untrained score", DIFFERENCE: "untrained score of whichever diverged"}
INTERACTION = "1 - the shares of the main effects: the forest's variance is lr's + weight decay's + their interaction's, and nothing else, with two axes"


@dataclass(frozen=True)
class Importance:
    """Shares of lr and weight decay that sum to 1, by one evaluator of `QUESTIONS`.

    Attributes:
        of: what is explained, `SCORE` or `DIFFERENCE`.
        shares: by axis; empty where an axis has one value, or all values are equal.
        interaction: share of the forest's variance that neither axis explains alone; None for PED-ANOVA, which has no such part.
        diverged_share: share of cells that diverged (for a difference: with either transform); they enter as the untrained score.
    """

    transform: str
    evaluator: str
    of: str
    shares: dict[str, float]
    interaction: float | None
    n_points: int
    n_seeds: int
    diverged_share: float


def importances(landscape: Landscape, baseline: Landscape | None = None) -> list[Importance]:
    """Importances of one transform's axes, from seed-mean scores; weight decay 0 is left out, because its axis is logarithmic.

    Args:
        baseline: if given, the importances for the difference to it are there too.
    """
    found = _evaluated(
        landscape, as_trials(landscape, decades=True), SCORE, landscape.outcome_SWL == DIVERGED
    )
    if baseline is None or baseline is landscape:
        return found
    diverged = (landscape.outcome_SWL == DIVERGED) | (baseline.outcome_SWL == DIVERGED)
    return found + _evaluated(landscape, as_trials(landscape, baseline, decades=True), DIFFERENCE, diverged)


def _evaluated(
    landscape: Landscape, trials: list[FrozenTrial], of: str, diverged_SWL: Flags
) -> list[Importance]:
    quiet()
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    evaluators = {"fanova": FanovaImportanceEvaluator(seed=0), "pedanova": PedAnovaImportanceEvaluator()}
    warnings.filterwarnings(
        "ignore", message=".*quantiles select the same.*"
    )  # few settings: both quantiles are the best one
    enough = (
        len(landscape.lr) > 1
        and sum(value > 0 for value in landscape.weight_decay) > 1
        and len({trial.value for trial in trials}) > 1
    )
    decidable = enough and landscape.class_SWL is None
    found = []
    for name, evaluator in evaluators.items():
        raw = (
            {axis: float(share) for axis, share in sorted(evaluator.evaluate(study).items())}
            if decidable
            else {}
        )
        total = sum(raw.values())
        shares = {axis: share / total for axis, share in raw.items()} if total > 0 else {}
        interaction = min(max(1 - total, 0.0), 1.0) if raw and name == "fanova" else None
        diverged = float(diverged_SWL.mean()) if diverged_SWL.size and landscape.class_SWL is None else 0.0
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
            )
        )
    return found


def as_trials(
    landscape: Landscape, minus: Landscape | None = None, *, decades: bool = False
) -> list[FrozenTrial]:
    """One trial per setting with the mean score over seeds: a plot of several trials at one place would show the last alone.

    Args:
        minus: a landscape of the same grid and seeds whose score is taken off.
        decades: for the evaluators: of a larger grid at most about `MOST_SETTINGS` evenly spaced settings, and log10 of the hyperparameters, on axes half a cell longer than the grid: Optuna's fANOVA weighs by length on the
            plain scale even where an axis is logarithmic, so that the last decade of lr would count ten times the one before.
    """
    from optuna.distributions import FloatDistribution
    from optuna.trial import create_trial

    rows = [w for w, value in enumerate(landscape.weight_decay) if value > 0]
    if not rows or not landscape.seeds:
        return []
    weight_decay = [landscape.weight_decay[w] for w in rows]
    axes = {
        name: _in_decades(values) if decades else FloatDistribution(values[0], values[-1], log=True)
        for name, values in (("lr", landscape.lr), ("weight_decay", weight_decay))
    }
    place = math.log10 if decades else float
    step = max(1, math.ceil(math.sqrt(len(rows) * len(landscape.lr) / MOST_SETTINGS))) if decades else 1
    trained_SWL = landscape.outcome_SWL != INFERRED
    value_SWL = np.where(trained_SWL, landscape.score_SWL - (0.0 if minus is None else minus.score_SWL), 0.0)
    count_WL = trained_SWL.sum(axis=0)
    score_WL = value_SWL.sum(axis=0) / np.maximum(count_WL, 1)
    return [
        create_trial(
            value=float(score_WL[w, c]),
            params={"lr": place(lr), "weight_decay": place(landscape.weight_decay[w])},
            distributions=axes,
            user_attrs={
                "outcomes": np.bincount(landscape.outcome_SWL[:, w, c], minlength=len(STATES)).tolist(),
                "keys": [str(key) for key in landscape.key_SWL[:, w, c]],
            },
        )
        for w in rows[::step]
        for c, lr in list(enumerate(landscape.lr))[::step]
        if count_WL[w, c]
    ]


def _in_decades(values: Sequence[float]) -> BaseDistribution:
    """An axis of log10 values on which every cell has its own length."""
    from optuna.distributions import FloatDistribution

    at = np.log10(values)
    gaps = np.diff(at) if len(at) > 1 else np.zeros(1)
    return FloatDistribution(float(at[0] - gaps[0] / 2), float(at[-1] + gaps[-1] / 2))


def store(path: Path, landscapes: Sequence[Landscape]) -> None:
    """Keep each landscape as a study of an sqlite file that optuna-dashboard opens; a study that is up to date is left alone."""
    quiet()
    import optuna

    path.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
    kept = {summary.study_name: summary for summary in optuna.get_all_study_summaries(storage)}
    for landscape in landscapes:
        name = " · ".join(part for part in (*landscape.setting, landscape.transform) if part)
        content = f"{landscape.seeds} {hash_of(landscape)}"
        if name in kept and kept[name].user_attrs.get("content") == content:
            continue
        if name in kept:
            optuna.delete_study(study_name=name, storage=storage)
        study: Study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.add_trials(as_trials(landscape))
        study.set_user_attr(
            "value is",
            f"mean {landscape.metric_name} over {len(landscape.seeds)} seeds"
            + ("" if landscape.higher_is_better else ", with its sign turned"),
        )
        study.set_user_attr("content", content)
    storage.engine.dispose()


def hash_of(landscape: Landscape) -> str:
    """A digest of the scores, to see whether a stored study is up to date."""
    from search_spaces import digest

    return digest(landscape.score_SWL.tolist())


def quiet() -> None:
    """No log lines of Optuna's on a user's terminal."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
