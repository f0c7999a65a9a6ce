"""The contract of the edge-seeking Optuna sampler, on any study of two logarithmic axes."""

from __future__ import annotations

import doctest
import math
import warnings

import optuna
import pytest
from optuna.trial import TrialState

import study.sampler
from search_spaces import LogAxis
from study.sampler import EdgeSampler, within

AXES = {"x": LogAxis(1e-4, 1, 6).values, "y": LogAxis(1e-2, 10, 6).values}
BATCH_OF_TWO = 2


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: optuna.Trial) -> float:
    """1 in a tilted band, 0 beside it."""
    x, y = trial.suggest_float("x", 1e-4, 1, log=True), trial.suggest_float("y", 1e-2, 10, log=True)
    return float(-2.5 < math.log10(x) - 0.2 * math.log10(y) < -1.1)


def truth(x: float, y: float) -> bool:
    return -2.5 < math.log10(x) - 0.2 * math.log10(y) < -1.1


def test_example_of_the_docstring_runs() -> None:
    """The docstring's example gives what it says."""
    failed, tried = doctest.testmod(study.sampler)
    assert tried > 5
    assert failed == 0


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_optimize_stops_when_the_edges_are_known(direction: str) -> None:
    """`study.optimize` without a number of trials ends by itself, with every cell's class found."""
    sign = 1 if direction == "maximize" else -1
    sampler = EdgeSampler(AXES, within(0.5, start=-1.0 if sign < 0 else 0.0))
    found = optuna.create_study(direction=direction, sampler=sampler)
    found.optimize(lambda trial: objective(trial) if sign > 0 else 1 - objective(trial))
    assert len(found.trials) < 0.7 * 25 * 19
    assert all(inside == truth(x, y) for (x, y), inside in sampler.regions().items())
    assert all(trial.params["x"] in AXES["x"] and trial.params["y"] in AXES["y"] for trial in found.trials)


def test_no_cell_twice_and_batches_are_whole() -> None:
    """No cell comes twice, and a batch is the same in whatever order its values arrive."""
    runs = []
    for order in (1, -1):
        sampler = EdgeSampler(AXES, within(0.5, start=0.0), seed=3)
        found = optuna.create_study(direction="maximize", sampler=sampler)
        sizes = []
        while waiting := sampler.waiting(found):
            sizes.append(waiting)
            for trial in [found.ask() for _ in range(waiting)][::order]:
                found.tell(trial, objective(trial))
        cells = {(trial.params["x"], trial.params["y"]) for trial in found.trials}
        assert len(cells) == len(found.trials)
        runs.append((sizes, cells))
    assert runs[0] == runs[1]
    assert max(runs[0][0]) > BATCH_OF_TWO


def test_stored_study_goes_on() -> None:
    """A new sampler on the trials of an older one asks for nothing that is there."""
    storage = optuna.storages.InMemoryStorage()
    first = optuna.create_study(
        study_name="s",
        storage=storage,
        direction="maximize",
        sampler=EdgeSampler(AXES, within(0.5, start=0.0)),
    )
    first.optimize(objective, n_trials=60)
    second = EdgeSampler(AXES, within(0.5, start=0.0))
    again = optuna.load_study(study_name="s", storage=storage, sampler=second)
    again.optimize(objective)
    cells = [(trial.params["x"], trial.params["y"]) for trial in again.trials]
    assert len(set(cells)) == len(cells)
    assert all(inside == truth(x, y) for (x, y), inside in second.regions().items())


def test_what_is_not_a_number_is_outside() -> None:
    """Trials that fail, are pruned or give NaN do not stall the design: their cells are outside."""

    def fragile(trial: optuna.Trial) -> float:
        value = objective(trial)
        if trial.params["x"] > 0.05:
            return math.nan
        if value == 0.0:
            raise optuna.TrialPruned
        return value

    sampler = EdgeSampler(AXES, within(0.5, start=0.0))
    found = optuna.create_study(direction="maximize", sampler=sampler)
    with warnings.catch_warnings(action="ignore"):
        found.optimize(fragile)
    assert {trial.state for trial in found.trials} == {
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.PRUNED,
    }
    assert all(inside == (truth(x, y) and x <= 0.05) for (x, y), inside in sampler.regions().items())


def test_more_workers_than_cells_and_further_parameters() -> None:
    """Asking beyond the batch gives other cells of the grid; other parameters have their own range."""
    sampler = EdgeSampler(AXES, within(0.5, start=0.0))
    found = optuna.create_study(direction="maximize", sampler=sampler)
    trials = [found.ask() for _ in range(sampler.waiting(found) + 5)]
    for trial in trials:
        assert 0 <= trial.suggest_float("momentum", 0, 1) <= 1
        found.tell(trial, objective(trial))
    assert sampler.waiting(found) > 0


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"x": (1.0,)}, "wanted two"),
        ({"x": (1.0, 0.1), "y": (1.0,)}, "rising"),
        ({"x": (0.0, 1.0), "y": (1.0,)}, "positive"),
        ({"x": (), "y": (1.0,)}, "'x'"),
    ],
)
def test_wrong_axes_are_named(axes: dict[str, tuple[float, ...]], words: str) -> None:
    """Too few axes, unsorted ones, zeros and empty ones are refused with what is wanted."""
    with pytest.raises(ValueError, match=words):
        EdgeSampler(axes, within(0.5, start=0.0))


def test_several_objectives_are_refused() -> None:
    """A study with two directions has no single region."""
    found = optuna.create_study(
        directions=["maximize", "minimize"], sampler=EdgeSampler(AXES, within(0.5, start=0.0))
    )
    with pytest.raises(ValueError, match="multi-objective"):
        found.ask().suggest_float("x", 1e-4, 1, log=True)
