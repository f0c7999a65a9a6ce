"""Which of lr and weight decay matters: a landscape as an Optuna study, with fANOVA and PED-ANOVA.

No other file of this room imports Optuna, and this one does so inside of functions: commands that only plan
answer without it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from study.measures.array_types import Flags
from study.measures.landscape import DIVERGED, INFERRED, STATES, Landscape

if TYPE_CHECKING:
    from optuna import Study
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
    """Importances of one transform's axes, from seed-mean scores.

    Weight decay 0 is left out, because its axis is logarithmic.

    Args:
        baseline: if given, the importances for the difference to it come too.
    """
    diverged = landscape.outcome_SWL == DIVERGED
    found = _evaluated(landscape, as_trials(landscape, decades=True), SCORE, diverged)
    if baseline is None or baseline is landscape:
        return found
    either = diverged | (baseline.outcome_SWL == DIVERGED)
    return found + _evaluated(landscape, as_trials(landscape, baseline, decades=True), DIFFERENCE, either)


def _evaluated(
    landscape: Landscape, trials: list[FrozenTrial], of: str, diverged_SWL: Flags
) -> list[Importance]:
    quiet()
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    evaluators = {"fanova": FanovaImportanceEvaluator(seed=0), "pedanova": PedAnovaImportanceEvaluator()}
    # With few points both of PED-ANOVA's quantiles are the best one, of which Optuna warns.
    warnings.filterwarnings("ignore", message=".*quantiles select the same.*")
    enough = (
        len(landscape.lr) > 1
        and sum(value > 0 for value in landscape.weight_decay) > 1
        and len({trial.value for trial in trials}) > 1
    )
    # An edge-seeking design trains cells near edges, which are no fair sample of the grid.
    whole = landscape.class_SWL is None
    diverged = float(diverged_SWL.mean()) if diverged_SWL.size and whole else 0.0
    found = []
    for name, evaluator in evaluators.items():
        raw: dict[str, float] = {}
        if enough and whole:
            raw = {axis: float(share) for axis, share in sorted(evaluator.evaluate(study).items())}
        total = sum(raw.values())
        shares = {axis: share / total for axis, share in raw.items()} if total > 0 else {}
        interaction = min(max(1 - total, 0.0), 1.0) if raw and name == "fanova" else None
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
    """One trial per point of the grid, with the mean score over seeds.

    Args:
        minus: a landscape of the same grid and seeds whose score is subtracted.
        decades: as the evaluators need it. Of a larger grid at most about `MOST_POINTS` evenly spaced points
            are taken, with log10 of the hyperparameters, on axes half a cell longer than the grid.
    """
    from optuna.distributions import FloatDistribution
    from optuna.trial import create_trial

    rows = [w for w, value in enumerate(landscape.weight_decay) if value > 0]
    if not rows or not landscape.seeds:
        return []
    weight_decay = [landscape.weight_decay[w] for w in rows]
    # Optuna's fANOVA weighs by length on the plain scale even where an axis is logarithmic: the last decade
    # of lr would count ten times as much as the one before.
    axes = {
        name: _in_decades(values) if decades else FloatDistribution(values[0], values[-1], log=True)
        for name, values in (("lr", landscape.lr), ("weight_decay", weight_decay))
    }
    scale = math.log10 if decades else float
    step = max(1, math.ceil(math.sqrt(len(rows) * len(landscape.lr) / MOST_POINTS))) if decades else 1
    trained_SWL = landscape.outcome_SWL != INFERRED
    value_SWL = np.where(trained_SWL, landscape.score_SWL - (0.0 if minus is None else minus.score_SWL), 0.0)
    count_WL = trained_SWL.sum(axis=0)
    score_WL = value_SWL.sum(axis=0) / np.maximum(count_WL, 1)
    trials = []
    # One trial for all seeds: of several at one point Optuna's plots show the last alone.
    for w, c in product(rows[::step], range(0, len(landscape.lr), step)):
        if not count_WL[w, c]:
            continue
        attributes = {
            "outcomes": np.bincount(landscape.outcome_SWL[:, w, c], minlength=len(STATES)).tolist(),
            "keys": [str(key) for key in landscape.key_SWL[:, w, c]],
        }
        trials.append(
            create_trial(
                value=float(score_WL[w, c]),
                params={"lr": scale(landscape.lr[c]), "weight_decay": scale(landscape.weight_decay[w])},
                distributions=axes,
                user_attrs=attributes,
            )
        )
    return trials


def _in_decades(values: Sequence[float]) -> BaseDistribution:
    """An axis of log10 values on which every cell has its own length."""
    from optuna.distributions import FloatDistribution

    at = np.log10(values)
    gaps = np.diff(at) if len(at) > 1 else np.zeros(1)
    return FloatDistribution(float(at[0] - gaps[0] / 2), float(at[-1] + gaps[-1] / 2))


def store(path: Path, landscapes: Sequence[Landscape]) -> None:
    """Keep each landscape as a study of an SQLite file that optuna-dashboard opens.

    A study that is up to date stays as it is.
    """
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
        value_is = f"mean {landscape.metric_name} over {len(landscape.seeds)} seeds"
        if not landscape.higher_is_better:
            value_is += ", with its sign turned"
        study.set_user_attr("value is", value_is)
        # Last: a study that was cut short has no content, and is made again.
        study.set_user_attr("content", content)
    storage.engine.dispose()


def hash_of(landscape: Landscape) -> str:
    """A digest of the scores, to see whether a stored study is up to date."""
    from search_spaces import digest

    return digest(landscape.score_SWL.tolist())


def quiet() -> None:
    """Keep Optuna's log lines off the user's terminal."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
