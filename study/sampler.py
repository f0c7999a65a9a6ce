"""Edge-seeking as an Optuna sampler, for any study on a grid of two logarithmic axes."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Audit, EdgeDesign, Point, Sizes

Inside = Callable[[float, float], bool]
"""Whether a value belongs to the region, given the value and the best one so far.

Of a study that minimises both are negated, so higher is always better.
"""


def within(tolerance: float, start: float) -> Inside:
    """Values that lack at most a fraction of the way from the start to the best value.

    Args:
        tolerance: the fraction.
        start: the untrained value, negated where the study minimises.
    """
    return lambda value, best: best > start and value >= start + (1 - tolerance) * (best - start)


class EdgeSampler(BaseSampler):  # type: ignore[misc]  # Optuna is not typed here
    """Samples the grid cells that lead to the edges of the region of good values, in batches, with an audit.

    Example:
        >>> import optuna
        >>> from search_spaces import LogAxis
        >>> from study.sampler import EdgeSampler, within
        >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
        >>> axes = {"lr": LogAxis(1e-4, 1, 8).values, "weight_decay": LogAxis(1e-4, 1, 8).values}
        >>> sampler = EdgeSampler(axes, within(0.05, start=0.0))
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> while waiting := sampler.waiting(study):  # a batch: train its trials together
        ...     for trial in [study.ask() for _ in range(waiting)]:
        ...         lr, decay = (trial.suggest_float(name, 1e-4, 1, log=True) for name in axes)
        ...         _ = study.tell(trial, 1.0 if 3e-3 < lr < 0.1 and decay < 0.05 else 0.1)
        >>> regions = sampler.regions()  # by (lr, weight decay), trained or inferred
        >>> len(regions), len(study.trials) < len(regions) / 5, sampler.audit.away_wrong
        (1089, True, 0)

    `study.optimize` works as well, and stops when the edges are known. A worker that would have to wait for
    the others of a batch gets a random cell of the grid instead. A failed or pruned trial, such as one whose
    value is not a number, counts as diverged, which is outside. A new sampler goes on with the trials that a
    stored study has.

    Args:
        axes: names and values of two parameters. Edges are sought along the first one, for every value of the
            second. The objective suggests them by `suggest_float(name, low, high, log=True)`; other
            parameters are drawn at random.
        inside: see `Inside`.
        sizes: of the parts of the design.
        seed: of its random choices.

    Raises:
        ValueError: there are not two axes, or one is not positive, finite and rising, or the study has
            several objectives.
    """

    def __init__(
        self,
        axes: Mapping[str, Sequence[float]],
        inside: Inside,
        *,
        sizes: Sizes | None = None,
        seed: int = 0,
    ) -> None:
        if len(axes) != 2:
            wanted = "wanted two: edges are sought along the first, for every value of the second"
            raise ValueError(f"found {len(axes)} axes ({', '.join(axes)}); {wanted}")
        for name, values in axes.items():
            rising = sorted(set(values)) == list(values)
            if not values or not rising or any(not 0 < value < math.inf for value in values):
                found = list(values)[:8]
                raise ValueError(f"axis {name!r}: found {found}; wanted positive, finite, rising numbers")
        (self._across, self._columns), (self._down, self._rows) = (
            (name, tuple(map(float, values))) for name, values in axes.items()
        )
        self._inside = inside
        self._design = EdgeDesign(
            1, len(self._rows), len(self._columns), self._classify, sizes=sizes, seed=seed
        )
        # By the number of the trial: two workers must not get the same cell.
        self._handed: dict[int, Point] = {}
        self._resumed = False
        self._random = random.Random(seed)  # noqa: S311  # chooses cells, keeps no secret
        self._others = RandomSampler(seed)

    @property
    def audit(self) -> Audit:
        """How many cells were trained as a check of the design, and how many of them disagreed."""
        return self._design.audit

    def waiting(self, study: Study) -> int:
        """How many cells of the current batch have no trial yet; 0 once the edges are known."""
        self._resume(study)
        return len(self._open())

    def regions(self) -> dict[tuple[float, float], bool]:
        """Whether each cell of the grid is inside, trained or inferred, by its two values."""
        return {
            (self._columns[column], self._rows[row]): bool(value)
            for (_, row, column), value in self._design.classes().items()
        }

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The two axes, known before the first trial."""
        return {
            name: FloatDistribution(values[0], values[-1], log=True)
            for name, values in ((self._across, self._columns), (self._down, self._rows))
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next cell of the batch."""
        self._raise_error_if_multi_objective(study)
        self._resume(study)
        waiting = self._open()
        if waiting:
            point = waiting[0]
        else:
            point = (0, self._random.randrange(len(self._rows)), self._random.randrange(len(self._columns)))
        self._handed[trial.number] = point
        return {self._across: self._columns[point[2]], self._down: self._rows[point[1]]}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Parameters that are no axis are drawn at random."""
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Give the value to the design, and end `study.optimize` when the edges are known."""
        point = self._handed.pop(trial.number, None)
        if point is not None:
            value = -math.inf
            if state == TrialState.COMPLETE and values:
                value = turned(study, values[0])
            self._design.tell({point: value})
        if self._design.done:
            # Where trials are asked and told by hand there is no loop to stop, and Optuna raises.
            with contextlib.suppress(RuntimeError):
                study.stop()

    def reseed_rng(self) -> None:
        """Do nothing: what the design draws must stay the same, and trials are handed out in one process."""

    def _open(self) -> list[Point]:
        handed = set(self._handed.values())
        return [point for point in self._design.ask() if point not in handed]

    def _classify(self, values: Mapping[Point, float]) -> dict[Point, int]:
        best = max(values.values())
        return {
            point: int(math.isfinite(value) and self._inside(value, best)) for point, value in values.items()
        }

    def _resume(self, study: Study) -> None:
        """Give the design the trials of a stored study, for as long as it asks for their cells."""
        if self._resumed:
            return
        self._resumed = True
        known: dict[Point, float] = {}
        for trial in study.get_trials(deepcopy=False):
            down, across = trial.params.get(self._down), trial.params.get(self._across)
            if trial.state.is_finished() and down in self._rows and across in self._columns:
                point = (0, self._rows.index(down), self._columns.index(across))
                known[point] = turned(study, trial.value) if trial.state == TrialState.COMPLETE else -math.inf
        while found := {point: known[point] for point in self._design.ask() if point in known}:
            self._design.tell(found)


def turned(study: Study, value: float) -> float:
    """The value, or its negative where the study minimises."""
    return value if study.direction == StudyDirection.MAXIMIZE else -value
