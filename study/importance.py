"""Which of lr and weight decay matters: cells as an Optuna study, with fANOVA and PED-ANOVA. The only file that imports Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from study.landscape import INFERRED, OUTCOMES, Landscape
from study.regions import divergence_share

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

QUESTIONS = {
    "fanova": "share of the score's variance over the whole grid that it explains",
    "pedanova": "how much it matters for being in the best tenth of settings",
}


@dataclass(frozen=True)
class Importance:
    """Shares of lr and weight decay that sum to 1, by one evaluator of `QUESTIONS`.

    Attributes:
        shares: by axis; empty where an axis has one value, or all scores are equal.
        diverged_share: share of cells that diverged; they enter as the untrained score.
    """

    transform: str
    evaluator: str
    shares: dict[str, float]
    n_settings: int
    n_seeds: int
    diverged_share: float


def importances(landscape: Landscape) -> list[Importance]:
    """Importances of one transform's axes, from seed-mean scores; weight decay 0 is left out, because its axis is logarithmic."""
    quiet()
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    trials = as_trials(landscape)
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    evaluators = {"fanova": FanovaImportanceEvaluator(seed=0), "pedanova": PedAnovaImportanceEvaluator()}
    warnings.filterwarnings("ignore", message=".*quantiles select the same.*")  # few settings: both quantiles are the best one
    decidable = landscape.class_SWL is None and len(landscape.lr) > 1 and sum(value > 0 for value in landscape.weight_decay) > 1 and len({trial.value for trial in trials}) > 1
    diverged = divergence_share(landscape).mean if landscape.seeds and landscape.class_SWL is None else 0.0
    return [
        Importance(
            landscape.transform,
            name,
            {axis: float(share) for axis, share in sorted(get_param_importances(study, evaluator=evaluator).items())} if decidable else {},
            len(trials),
            len(landscape.seeds),
            diverged,
        )
        for name, evaluator in evaluators.items()
    ]


def as_trials(landscape: Landscape) -> list[FrozenTrial]:
    """One trial per setting with the mean score over seeds: a plot of several trials at one place would show the last alone."""
    from optuna.distributions import FloatDistribution
    from optuna.trial import create_trial

    rows = [w for w, value in enumerate(landscape.weight_decay) if value > 0]
    if not rows or not landscape.seeds:
        return []
    axes = {
        "lr": FloatDistribution(landscape.lr[0], landscape.lr[-1], log=True),
        "weight_decay": FloatDistribution(landscape.weight_decay[rows[0]], landscape.weight_decay[-1], log=True),
    }
    trained_SWL = landscape.outcome_SWL != INFERRED
    count_WL = trained_SWL.sum(axis=0)
    score_WL = np.where(trained_SWL, landscape.score_SWL, 0.0).sum(axis=0) / np.maximum(count_WL, 1)
    return [
        create_trial(
            value=float(score_WL[w, c]),
            params={"lr": lr, "weight_decay": landscape.weight_decay[w]},
            distributions=axes,
            user_attrs={"outcomes": np.bincount(landscape.outcome_SWL[:, w, c], minlength=len(OUTCOMES)).tolist(), "keys": [str(key) for key in landscape.key_SWL[:, w, c]]},
        )
        for w in rows
        for c, lr in enumerate(landscape.lr)
        if count_WL[w, c]
    ]


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
        study.set_user_attr("value is", f"mean {landscape.metric_name} over {len(landscape.seeds)} seeds" + ("" if landscape.higher_is_better else ", with its sign turned"))
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
