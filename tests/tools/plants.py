"""Whole studies as planted records, with the truth that each of them hides.

A plant is a random process that makes the records of a study: several transforms, each with the same seeds,
weight decays and learning rates. What holds in the population of seeds is known without any estimator, by a
closed form or by integrating numerically over the plant's own distributions. Nothing here comes from the code
under test.

The process. Write x for log10 of the learning rate and y for log10 of the weight decay, both from the grid's
centre. h(y) runs from 0 in the lowest row to 1 in the highest.

- One row of one seed trains from a left edge l to a right edge r:
  l = left(y) + C + E_left + R_left, r = right(y) + C + E_right + R_right. C is one draw per seed and the same
  for all transforms, E is one draw per seed and transform, R one per seed, transform and row. All are normal
  with mean 0.
- The gain of a living cell is g(x) = rise(x - l) * top(x), from 0 (untrained) to 1 (best). top is 1 within
  `flat` decades of the peak and falls as a parabola outside. rise grows with lr until l, where g is exactly a
  tenth, and reaches exactly 1 at `REACH` decades right of l. So "trained" begins at l: a tenth of the way
  from the untrained to the best score.
- Right of r come, in this order: `poor` decades of cells that finish with a gain of 0.03, `dead` decades of
  networks that are dead at chance, and then cells whose loss left (departed).
- Score = chance + g * (top score + seed effects - chance) + sqrt(g) * cell noise, with the seed's chance.
- Loss = initial - sqrt(g) * (initial - floor), where floor = best loss + seed effects + cell noise
  + coupling * s(log10(lr * wd)) + (slope + seed effect) * h(y) and s is logistic. The root is there since a
  loss moves before an accuracy does. A living cell so always ends below the untrained loss.
- A dead network's loss does not know the seed: it is ln 10 times 0.997 to 1.003. The untrained loss does know
  it. Their ratio lies between 0.97 and 1.01, and a dead cell is recorded as exploded where it is above
  1.00001.

Every draw is made whether a plant uses it or not, so two plants with one rng see the same luck. The records
of a shorter study are those of the first seeds of a longer one: draw all seeds of a sequence of looks once,
then filter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tracking import CellRecord

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
KeyOf = Callable[[str, float, float, int], str]
"""The key of a cell: of (transform, lr, weight decay, seed)."""
Side = Literal["low lr", "high lr", "low weight decay", "high weight decay"]
Effected = Literal["width", "share", "wd", "score"]
"""What an effect is planted in: lr width, divergence share, wd sensitivity at a fixed lr, tuned score."""

TRAINED = 0.1
"""Gain at the left edge, by the definition of "trained"."""
REACH = 0.8
"""Decades from the left edge to a full gain."""
POOR = 0.03
"""Gain of a cell that finishes and is not trained."""
EMPTY_EDGE = 0.75
"""A row that never trains diverges from here on, in decades right of the peak: before any row that trains."""
ISLAND_GAIN = 0.97
ISLAND_GAP, ISLAND_WIDTH = 0.8, 0.8
"""Decades from the right edge to an island, and along it."""
LEAST_TOP = 0.3
CHANCE_LOSS = math.log(10.0)
DEAD_SCATTER = 0.003
INITIAL_LOW, INITIAL_SPAN, INITIAL_POWER = -0.0065, 0.0335, 3.0
"""The untrained loss is ln 10 * (1 + low + span * Beta(1, power)): skewed, half of it below ln 10."""
EXPLODED = 1.00001
"""Above this share of the seed's untrained loss a finite loss is recorded as exploded."""
PAST_BORDER = 0.75
"""Decades that a cut region runs past the grid."""
CURVE = 11
RECORDED = 8
VARIANTS = 3
LAYERS = ("conv", "hidden", "head")
NORMS = ("grad_norm", "out_norm", "tensor_norm")
SCALES = ("scale", "gain", "cosine", "least_cosine")
_TABLE = np.linspace(-9.0, 9.0, 36001)
_PHI = np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in _TABLE])


@dataclass(frozen=True)
class Grid:
    """The common grid of a study. All rates and decays are positive and ascend.

    Weight decay 0 is refused: it is a row outside the area, and no plant knows what holds there.
    """

    lr: tuple[float, ...]
    weight_decay: tuple[float, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, axis in (("lr", self.lr), ("weight_decay", self.weight_decay)):
            if len(axis) < 2 or axis[0] <= 0 or any(b <= a for a, b in pairwise(axis)):
                raise ValueError(f"{name} must have two or more positive values that ascend: {axis}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"a seed occurs twice: {self.seeds}")

    @classmethod
    def standard(cls, seeds: int = 3, *, rows: int = 6, columns: int = 14) -> Grid:
        """lr 1e-5 to 10^1.5 in steps of half a decade, weight decay 1e-4 to 10 in steps of a decade."""
        return cls(
            lr=tuple(float(10.0**v) for v in np.linspace(-5.0, 1.5, columns)),
            weight_decay=tuple(float(10.0**v) for v in np.linspace(-4.0, 1.0, rows)),
            seeds=tuple(range(seeds)),
        )

    @property
    def axes(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.lr, self.weight_decay


@dataclass(frozen=True)
class Surface:
    """What one transform does in the population of seeds. Lengths are decades from the grid's centre.

    Attributes:
        width: length of the trained region in the lowest row. taper: share of it that the highest row loses.
        tilt: decades by which the region moves to lower lr for each decade of weight decay.
        thin_rows: share of the rows, from high weight decay, whose width is `thin_width`; 0 is an empty row.
        empty_rows: rows at the highest weight decays that never train, so that the region has an upper edge.
        keep: chance that a row trains at a seed. The lowest row always does, so every seed has a best cell.
        shift: moves everything along lr, the coupling of the loss included.
        wider, wider_right: decades added at the left and at the right edge.
        stretch: share of the width added at the left edge.
        cut: borders of lr that the region runs past, in every row.
        poor, dead: decades of poor and of dead cells right of the right edge.
        island: chance that a trained row has an island: `ISLAND_WIDTH` decades that train beyond a gap.
        flat, curvature: half of the flat top's width, and the parabola outside.
        top: best score. loss: best loss. coupling, wd_slope: how the loss depends on lr * wd and on wd.
    """

    width: float = 3.2
    taper: float = 0.1
    tilt: float = 0.1
    thin_rows: float = 0.0
    thin_width: float = 0.0
    empty_rows: int = 1
    keep: float = 1.0
    shift: float = 0.0
    wider: float = 0.0
    wider_right: float = 0.0
    stretch: float = 0.0
    cut: tuple[Side, ...] = ()
    poor: float = 0.0
    dead: float = 0.0
    island: float = 0.0
    flat: float = 0.75
    curvature: float = 0.1
    top: float = 0.85
    loss: float = 0.35
    coupling: float = 0.1
    wd_slope: float = 0.05


@dataclass(frozen=True)
class Noise:
    """Standard deviations. `common` is shared by all transforms of a seed; `cell` is new in each cell."""

    common_edge: float = 0.03
    edge: float = 0.1
    row: float = 0.08
    common_score: float = 0.003
    score: float = 0.004
    cell_score: float = 0.002
    common_loss: float = 0.01
    loss: float = 0.01
    wd_slope: float = 0.02
    cell_loss: float = 0.01


@dataclass(frozen=True)
class Metric:
    """The primary metric. `examples` is the size of the evaluation set that an accuracy is a count over."""

    name: str = "accuracy"
    direction: Literal["max", "min"] = "max"
    chance: float = 0.1
    chance_sd: float = 0.01
    examples: int | None = None


@dataclass(frozen=True)
class Effect:
    """A difference that depends on the grid, so that it is solved for when the grid is known.

    Positive is in the method's favour: wider, fewer divergences, less sensitive, a better score.

    Attributes:
        unit: `sd` for standard deviations of the paired difference at one seed; `absolute` for decades, share
            of cells, loss units or score; `ratio` (of the width alone) for a share of the baseline's width.
    """

    measure: Effected
    size: float
    unit: Literal["sd", "absolute", "ratio"] = "sd"


@dataclass(frozen=True)
class Recorded:
    """Statistics that the records carry. A run is one transform at one seed.

    Attributes:
        breaking: share of the runs that break every universal rule, in one well-trained cell at one step:
            scale 1.25, a tensor's cosine 0.8, the outgoing norms a thousand times larger.
        overflow: share of the finished cells with a value that is not finite, at one recorded step.
        keys: what overflows. Norms become infinite or NaN by a fair coin, all others NaN.
    """

    breaking: float = 0.0
    overflow: float = 0.0
    keys: tuple[str, ...] = NORMS


@dataclass(frozen=True)
class Measures:
    """Expectations over seeds; None where the plant does not know one.

    Attributes:
        lr_width: per row [decades]: the chance that the row trains times (right - left), as the edges'
            effects have mean 0. Not cut at the grid's border.
        mean_width: mean of it over the rows where either transform ever trains [decades].
        area: sum over rows of lr_width times the row's height [decades^2]. A row reaches half of the way to
            its neighbours, and the outer rows as far outwards as inwards.
        divergence_share: cells recorded as diverged, over the common grid.
        departed_share: the same without dead networks.
        dead_share: dead networks, whatever they are recorded as.
        capped_loss: per row and column, min(final loss, initial loss), what is not finite counted as the
            initial loss [loss units].
        final_loss: mean of it over the grid.
        lr_sensitivity: per row, mean over lr of `capped_loss` less its least, along the row.
        wd_sensitivity: per column, the same along weight decay. So both are sensitivities of the landscape of
            expectations, to which a seed's own mean less minimum has a bias (S7).
        score: per row and column, the score, a cell that diverged or died counted as chance.
        tuned_score: the best of these on the grid.
    """

    lr_width: Array | None
    mean_width: float | None
    area: float | None
    divergence_share: float | None
    departed_share: float | None
    dead_share: float | None
    capped_loss: Array | None
    final_loss: float | None
    lr_sensitivity: Array | None
    wd_sensitivity: Array | None
    score: Array | None
    tuned_score: float | None


MEASURES: tuple[str, ...] = tuple(Measures.__dataclass_fields__)


@dataclass(frozen=True)
class Spread:
    """Standard deviation of the paired difference at one seed; None where the plant does not know it.

    Attributes:
        width: of `mean_width`, from the edges of the process, before any grid.
        share: of the divergence share as counted on the grid.
        wd: of the weight-decay sensitivity in any one column, its best row known beforehand. None unless
            every row is at full gain in the column at the grid's centre.
        score: of the score in any one cell at full gain.
    """

    width: float | None
    share: float | None
    wd: float | None
    score: float | None


@dataclass(frozen=True)
class Truth:
    """What holds in the population of seeds.

    Attributes:
        method, baseline: expectations. difference: method less baseline; of twins it is 0 in every measure,
            even where the measure itself is not known, since their records are exchangeable.
        spread: of the paired difference.
        censored: borders of the grid that the trained region of either passes, by role and side. Every row
            that trains is trained down to the lowest weight decay, so "low weight decay" is always there.
        breaking_share, overflow_share: of runs, and of finished cells, as in `Recorded`; None where nothing
            is recorded. How many runs have a cell that overflows is not known, so their breaking share is
            None too.
    """

    method: Measures
    baseline: Measures
    difference: Measures
    spread: Spread
    censored: Mapping[str, tuple[Side, ...]]
    breaking_share: float | None
    overflow_share: float | None


@dataclass(frozen=True)
class Cells:
    """Drawn arrays, by transform, seed, weight decay and lr unless another shape is said.

    Attributes:
        left, right: edges, without the last axis [log10 lr from the grid's centre].
        trains: whether the row trains at the seed, without the last axis.
        gain: before noise; 0 where the cell died or departed.
        departed, dead, diverged: a class, and the recorded outcome. finite: whether the final loss is.
        reason: 0 for none, else an index into `REASONS`.
        step: at which divergence was seen [share of the steps], where it was.
        loss_initial, metric_initial: by seed.
        loss, metric: final ones; NaN where not finite.
        entropy: by seed, what its draws come from.
    """

    left: Array
    right: Array
    trains: Flags
    gain: Array
    departed: Flags
    dead: Flags
    diverged: Flags
    finite: Flags
    reason: NDArray[np.int64]
    step: Array
    loss_initial: Array
    metric_initial: Array
    loss: Array
    metric: Array
    entropy: NDArray[np.int64]


REASONS: tuple[str | None, ...] = (None, "nonfinite_loss", "nonfinite_parameters", "loss_exploded")
_EXPLODED = REASONS.index("loss_exploded")


@dataclass(frozen=True)
class Plant:
    """A kind of study whose truth is known.

    Attributes:
        sentence: what is true.
        method, baseline: surfaces, before the `effect` is put into the method's.
        unknown: measures whose own value the plant does not know. Their difference may still be known.
        scatter: by what the method's effects of a seed, in edges, score and loss, exceed those of others.
    """

    name: str
    sentence: str
    baseline: Surface = Surface()
    method: Surface = Surface()
    noise: Noise = Noise()
    metric: Metric = Metric()
    effect: Effect | None = None
    recorded: Recorded | None = None
    unknown: frozenset[str] = frozenset()
    scatter: float = 1.0

    @property
    def twins(self) -> bool:
        """Whether all transforms have one distribution, so that any verdict about a difference is false."""
        return self.effect is None and self.method == self.baseline and self.scatter == 1.0

    def moved(self, decades: float) -> Plant:
        """The same landscapes further right. Draw it per study to average over where edges fall."""
        return replace(
            self,
            method=replace(self.method, shift=self.method.shift + decades),
            baseline=replace(self.baseline, shift=self.baseline.shift + decades),
        )

    def surfaces(self, grid: Grid) -> tuple[Surface, Surface]:
        """Of the method, with its effect, and of the baselines."""
        return _solved(self, grid.axes), self.baseline

    def truth(self, grid: Grid) -> Truth:
        """What holds in the population of seeds; see `Measures`.

        Widths and areas are closed forms. Shares, losses and scores are sums over cells of probabilities and
        expectations: of the common effect and of the left edge by the trapezoid rule over eight standard
        deviations each side, of the right edge by the normal distribution function.
        """
        return _truth(self, grid.axes)

    def draw(self, rng: np.random.Generator, grid: Grid, methods: Sequence[bool]) -> Cells:
        """Arrays of one study; `methods` says which of its transforms have the method's surface."""
        return _draw(self, rng, grid, methods)

    def records(
        self,
        rng: np.random.Generator,
        grid: Grid,
        transforms: Sequence[str],
        *,
        key_of: KeyOf,
        methods: Iterable[str] | None = None,
        workload: str = "planted",
        optimizer: str = "adam",
        setting: str = "planted",
        constants: Mapping[str, str] = MappingProxyType({}),
        steps: int = 1000,
        provenance: str = "{}",
    ) -> list[CellRecord]:
        """One study, ordered by transform, seed, weight decay and lr.

        Args:
            methods: transforms with the method's surface, by default the first one; all others are baselines.
            constants: JSON by transform, `{}` for a transform that is missing.
        """
        chosen = set(transforms[:1] if methods is None else methods)
        if missing := chosen - set(transforms):
            raise ValueError(f"not among the transforms: {sorted(missing)}")
        cells = self.draw(rng, grid, [t in chosen for t in transforms])
        shape = cells.gain.shape
        dynamics = (
            ["{}"] * cells.gain.size if self.recorded is None else _dynamics(self.recorded, cells, steps)
        )
        diverged_step = np.clip(np.ceil(cells.step * steps), 1, steps).astype(np.int64)
        curves, best = _curves(cells, steps, diverged_step, self.metric.direction)
        size = shape[2] * shape[3]
        losses, metrics = cells.loss.ravel().tolist(), cells.metric.ravel().tolist()
        finite, reasons = cells.finite.ravel().tolist(), cells.reason.ravel().tolist()
        seen = diverged_step.ravel().tolist()
        loss_initial, metric_initial = cells.loss_initial.tolist(), cells.metric_initial.tolist()
        pairs = [(wd, lr) for wd in grid.weight_decay for lr in grid.lr]
        records: list[CellRecord] = []
        for t, transform in enumerate(transforms):
            fixed = constants.get(transform, "{}")
            for s, seed in enumerate(grid.seeds):
                start = (t * shape[1] + s) * size
                for i, (wd, lr) in enumerate(pairs, start):
                    reason = REASONS[reasons[i]]
                    ended = finite[i]
                    records.append(
                        CellRecord(
                            key=key_of(transform, lr, wd, seed),
                            workload=workload,
                            optimizer=optimizer,
                            transform=transform,
                            constants=fixed,
                            lr=lr,
                            weight_decay=wd,
                            seed=seed,
                            setting=setting,
                            outcome="diverged" if reason else "finished",
                            reason=reason,
                            diverged_step=seen[i] if reason else None,
                            steps=steps,
                            loss_initial=loss_initial[s],
                            loss_final=losses[i] if ended else None,
                            metric_name=self.metric.name,
                            metric_direction=self.metric.direction,
                            metric_initial=metric_initial[s],
                            metric_final=metrics[i] if ended else None,
                            metric_best=best[i],
                            seconds=0.05,
                            curve=curves[i],
                            dynamics=dynamics[i],
                            provenance=provenance,
                        )
                    )
        return records


# The population: rows, expectations, effects.

Axes = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class _Rows:
    """A surface on a grid. Per row: edges and peak [decades from the centre], the chance that it trains.

    `floor` is the loss at full gain, per row and column.
    """

    left: Array
    right: Array
    peak: Array
    keep: Array
    floor: Array


def _axes(axes: Axes) -> tuple[Array, Array, Array]:
    """x, y from the grid's centre, and h(y)."""
    x, y = np.log10(np.array(axes[0])), np.log10(np.array(axes[1]))
    height = (y - y[0]) / (y[-1] - y[0])
    return x - 0.5 * (x[0] + x[-1]), y - 0.5 * (y[0] + y[-1]), height


def _rows(surface: Surface, axes: Axes, noise: Noise) -> _Rows:
    x, y, height = _axes(axes)
    n = len(y)
    width = surface.width * (1.0 - surface.taper * height)
    thin = round(surface.thin_rows * n)
    if thin:
        width[n - thin :] = surface.thin_width
    keep = np.full(n, surface.keep)
    keep[0] = 1.0
    keep[width <= 0.0] = 0.0
    if empty := min(surface.empty_rows, n - 1):
        keep[n - empty :] = 0.0
    width = np.where(keep > 0.0, width, 2.0 * EMPTY_EDGE)
    peak = surface.shift - surface.tilt * y
    left = peak - 0.5 * width - surface.wider - surface.stretch * width
    right = peak + 0.5 * width + surface.wider_right
    if "low lr" in surface.cut:
        left = np.full(n, x[0] - PAST_BORDER - surface.wider)
    if "high lr" in surface.cut:
        right = np.full(n, x[-1] + PAST_BORDER + surface.wider_right)
    spread = math.sqrt(2.0 * (noise.edge**2 + noise.row**2))
    if float(np.min((right - left)[keep > 0.0])) < REACH + 4.0 * spread:
        raise ValueError(
            "a row is too narrow: the noise of its edges would close it, and its width is not known"
        )
    together = x[None, :] - surface.shift + y[:, None]
    floor = surface.loss + surface.coupling / (1.0 + 10.0**-together) + surface.wd_slope * height[:, None]
    return _Rows(left=left, right=right, peak=peak, keep=keep, floor=floor)


def _top(distance: Array, flat: Array | float, curvature: Array | float) -> Array:
    """Gain of the top at a distance from the peak [decades]."""
    outside: Array = np.maximum(np.abs(distance) - flat, 0.0)
    return np.maximum(1.0 - curvature * outside**2, LEAST_TOP)


def _rise(u: Array, start: Array) -> Array:
    """From `start` at the left edge to 1 at `REACH` decades right of it; left of it in proportion to lr.

    The cubic has the tail's slope at the edge and no slope where it arrives, so the surface is smooth.
    """
    t = np.clip(u / REACH, 0.0, 1.0)
    slope = start * math.log(10.0) * REACH
    inside = start * (1.0 + t * t * (2.0 * t - 3.0)) + slope * t * (1.0 - t) ** 2 + t * t * (3.0 - 2.0 * t)
    return np.where(u < 0.0, start * 10.0 ** np.minimum(u, 0.0), inside)


def _phi(v: Array) -> Array:
    """The normal distribution function, from a table: off by less than 1e-8."""
    below: Array = np.interp(v, _TABLE, _PHI)
    return below


def _below(v: Array, sd: float) -> Array:
    """Chance that a normal effect of mean 0 is below v."""
    return _phi(v / sd) if sd > 0.0 else (v > 0.0).astype(np.float64)


def _nodes(sd: float, count: int) -> tuple[Array, Array]:
    """Values and weights of a normal effect: the trapezoid rule, which converges fast for a bell."""
    if sd <= 0.0:
        return np.zeros(1), np.ones(1)
    v = np.linspace(-8.0, 8.0, count)
    w = np.exp(-0.5 * v * v)
    return v * sd, w / w.sum()


@dataclass(frozen=True)
class _Expected:
    """Per row and column: the chances of the classes, and expectations of the gain and of its root."""

    departed: Array
    dead: Array
    gain: Array
    root: Array


def _expected(surface: Surface, noise: Noise, axes: Axes) -> _Expected:
    rows = _rows(surface, axes, noise)
    x = _axes(axes)[0][None, :]
    own = math.hypot(noise.edge, noise.row)
    total = [np.zeros((len(axes[1]), len(axes[0]))) for _ in range(4)]
    left_nodes, left_weights = _nodes(own, 81)
    keep = rows.keep[:, None]
    for common, weight in zip(*_nodes(noise.common_edge, 17), strict=True):
        peak = rows.peak[:, None] + common
        left = (rows.left[:, None] + common)[None, :, :] + left_nodes[:, None, None]
        start = TRAINED / _top(left - peak, surface.flat, surface.curvature)
        gain = _rise(x - left, start) * _top(x - peak, surface.flat, surface.curvature)
        stuck = np.minimum(gain, POOR)
        w = left_weights[:, None, None]
        g = (w * (keep * gain + (1.0 - keep) * stuck)).sum(axis=0)
        q = (w * (keep * np.sqrt(gain) + (1.0 - keep) * np.sqrt(stuck))).sum(axis=0)
        past = x - rows.right[:, None] - common

        def before(offset: float, past: Array = past) -> Array:
            """Chance that the cell lies further right than `offset` decades from the right edge."""
            return _below(past - offset, own)

        lost = before(0.0)
        poor = lost - before(surface.poor)
        dead = before(surface.poor) - before(surface.poor + surface.dead)
        island = surface.island * keep * (before(ISLAND_GAP) - before(ISLAND_GAP + ISLAND_WIDTH))
        total[0] += weight * (lost - poor - dead - island)
        total[1] += weight * dead
        total[2] += weight * ((1.0 - lost) * g + poor * POOR + island * ISLAND_GAIN)
        total[3] += weight * ((1.0 - lost) * q + poor * math.sqrt(POOR) + island * math.sqrt(ISLAND_GAIN))
    return _Expected(departed=total[0], dead=total[1], gain=total[2], root=total[3])


@lru_cache(maxsize=1)
def _dead() -> tuple[float, float]:
    """Chance that a dead network is recorded as exploded, and the expectation of its capped loss.

    The dead loss is uniform, so both are closed forms at a given untrained loss, and midpoints of the
    quantiles of the untrained loss average over it.
    """
    u = (np.arange(20000) + 0.5) / 20000
    ratio = 1.0 + INITIAL_LOW + INITIAL_SPAN * (1.0 - (1.0 - u) ** (1.0 / INITIAL_POWER))
    low, high = 1.0 - DEAD_SCATTER, 1.0 + DEAD_SCATTER
    limit = np.clip(ratio * EXPLODED, low, high)
    exploded = float(np.mean((high - limit) / (high - low)))
    knee = np.clip(ratio, low, high)
    least = ((knee**2 - low**2) / 2.0 + knee * (high - knee)) / (high - low)
    # An untrained loss that is lower than all of the dead cluster is the least itself.
    least = np.where(ratio < low, ratio, least)
    return exploded, CHANCE_LOSS * float(np.mean(least))


def _initial_mean() -> float:
    """Mean of Beta(1, power) is 1 / (1 + power)."""
    return CHANCE_LOSS * (1.0 + INITIAL_LOW + INITIAL_SPAN / (1.0 + INITIAL_POWER))


def _row_heights(axes: Axes) -> Array:
    gaps = np.diff(np.log10(np.array(axes[1])))
    heights: Array = 0.5 * (np.append(gaps[:1], gaps) + np.append(gaps, gaps[-1:]))
    return heights


def _either(plant: Plant, method: Surface, axes: Axes) -> Flags:
    """Rows where either transform ever trains."""
    return (_rows(method, axes, plant.noise).keep > 0) | (_rows(plant.baseline, axes, plant.noise).keep > 0)


def _measures(plant: Plant, surface: Surface, axes: Axes, rows_counted: Flags) -> Measures:
    rows = _rows(surface, axes, plant.noise)
    cells = _expected(surface, plant.noise, axes)
    exploded, dead_loss = _dead()
    initial = _initial_mean()
    living = 1.0 - cells.departed - cells.dead
    capped = living * initial - cells.root * (initial - rows.floor) + cells.dead * dead_loss
    capped += cells.departed * initial
    width = rows.keep * (rows.right - rows.left)
    metric = plant.metric
    score = metric.chance + cells.gain * (surface.top - metric.chance)
    tuned = float(score.max() if metric.direction == "max" else score.min())
    if metric.examples is not None:
        tuned = _rounded(surface.top, _score_sd(plant.noise, common=True), metric.examples)
    known: dict[str, Any] = {
        "lr_width": width,
        "mean_width": float(width[rows_counted].mean()),
        "area": float(width @ _row_heights(axes)),
        "divergence_share": float((cells.departed + exploded * cells.dead).mean()),
        "departed_share": float(cells.departed.mean()),
        "dead_share": float(cells.dead.mean()),
        "capped_loss": capped,
        "final_loss": float(capped.mean()),
        "lr_sensitivity": capped.mean(axis=1) - capped.min(axis=1),
        "wd_sensitivity": capped.mean(axis=0) - capped.min(axis=0),
        "score": score,
        "tuned_score": tuned,
    }
    return Measures(**{name: None if name in plant.unknown else value for name, value in known.items()})


def _rounded(mean: float, sd: float, examples: int) -> float:
    """Expectation of a normal score that is rounded to whole examples: a sum over the counts."""
    counts = np.arange(examples + 1)
    inner = _below((counts[:-1] + 0.5) / examples - mean, sd)
    return float((counts @ np.diff(np.concatenate(([0.0], inner, [1.0])))) / examples)


def _score_sd(noise: Noise, *, common: bool) -> float:
    """Of the score of one cell at full gain."""
    shared = noise.common_score if common else 0.0
    return math.sqrt(shared**2 + noise.score**2 + noise.cell_score**2)


def _width_sd(plant: Plant, method: Surface, axes: Axes) -> float | None:
    """Both edges have an effect of their own; those of rows average out. The common one cancels."""
    count = int(_either(plant, method, axes).sum())
    variance = 0.0
    for surface in (method, plant.baseline):
        keep = _rows(surface, axes, plant.noise).keep
        if np.any((keep > 0) & (keep < 1)):
            return None
        share = float(keep.sum()) / count
        variance += 2.0 * plant.noise.edge**2 * share**2 + 2.0 * plant.noise.row**2 * share / count
    return math.sqrt(variance)


def _share_moments(surface: Surface, noise: Noise, axes: Axes) -> tuple[Array, Array, Array]:
    """At each common effect: its weight, the mean of the share, and the variance of the share."""
    rows = _rows(surface, axes, noise)
    x = _axes(axes)[0]
    size = len(axes[0]) * len(axes[1])
    # The square of a row's count is a sum over pairs of cells. Both of a pair diverge if the left one does.
    pairs = 2.0 * np.arange(len(x))[::-1] + 1.0
    common, weights = _nodes(noise.common_edge, 17)
    own, own_weights = _nodes(noise.edge, 81)
    edge = rows.right[None, None, :, None] + surface.poor
    edge = edge + common[:, None, None, None] + own[None, :, None, None]
    chance = _below(x - edge, noise.row)
    mean_of_rows = chance.sum(axis=3)
    inner = ((chance * pairs).sum(axis=3) - mean_of_rows**2).sum(axis=2) / size**2
    mean = mean_of_rows.sum(axis=2) / size
    at_common = mean @ own_weights
    variance = inner @ own_weights + (mean**2) @ own_weights - at_common**2
    return weights, at_common, variance


def _share_sd(plant: Plant, method: Surface, axes: Axes) -> float | None:
    """Given the common effect the two shares are independent; their means at it differ where edges do."""
    if any(s.dead > 0 or s.island > 0 for s in (method, plant.baseline)):
        return None
    weights, mean_a, var_a = _share_moments(method, plant.noise, axes)
    _, mean_b, var_b = _share_moments(plant.baseline, plant.noise, axes)
    gap = mean_a - mean_b
    return math.sqrt(max(float(weights @ (var_a + var_b + gap**2)) - float(weights @ gap) ** 2, 0.0))


def fixed_column(grid: Grid) -> int:
    """The column nearest to the grid's centre, the lower of two."""
    return int(np.argmin(np.round(np.abs(_axes(grid.axes)[0]), 9)))


def _wd_sd(plant: Plant, method: Surface, axes: Axes) -> float | None:
    """Sum of v * loss with v = 1/rows, less 1 in the best row, so linear in the noise.

    Effects that move a whole column cancel.
    """
    column = int(np.argmin(np.round(np.abs(_axes(axes)[0]), 9)))
    height = _axes(axes)[2]
    variance = 0.0
    for surface in (method, plant.baseline):
        if float(_expected(surface, plant.noise, axes).gain[:, column].min()) < 1.0 - 1e-6:
            return None
        best = int(np.argmin(_rows(surface, axes, plant.noise).floor[:, column]))
        v = np.full(len(height), 1.0 / len(height))
        v[best] -= 1.0
        variance += (plant.noise.wd_slope * float(v @ height)) ** 2 + plant.noise.cell_loss**2 * float(v @ v)
    return math.sqrt(variance)


@lru_cache(maxsize=512)
def _solved(plant: Plant, axes: Axes) -> Surface:
    """The method's surface with its effect."""
    effect, base = plant.effect, plant.baseline
    if effect is None:
        return plant.method
    height = _axes(axes)[2]
    if effect.measure == "width":
        if effect.unit == "ratio":
            return replace(base, stretch=base.stretch + effect.size)
        return replace(base, wider=base.wider + effect.size * _unit(effect, _width_sd(plant, base, axes)))
    if effect.unit == "ratio":
        raise ValueError("only a width has an effect that is a ratio")
    if effect.measure == "score":
        size = effect.size * _unit(effect, math.sqrt(2.0) * _score_sd(plant.noise, common=False))
        return replace(base, top=base.top + (size if plant.metric.direction == "max" else -size))
    if effect.measure == "wd":
        # Lower loss at high weight decay alone, and in every column, so that "fixed lr" can be any of them.
        size = effect.size * _unit(effect, _wd_sd(plant, base, axes))
        slope = base.wd_slope - size / float(height.mean())
        if slope < 0.0:
            raise ValueError("the effect turns the slope over, and the best row would change")
        return replace(base, wd_slope=slope)
    return _solved_share(plant, effect, axes)


def _unit(effect: Effect, sd: float | None) -> float:
    if effect.unit == "absolute":
        return 1.0
    if sd is None:
        raise ValueError("the plant does not know the standard deviation that its effect is a multiple of")
    return sd


def _mean_share(surface: Surface, noise: Noise, axes: Axes) -> float:
    sd = math.hypot(noise.common_edge, noise.edge, noise.row)
    past = _axes(axes)[0][None, :] - _rows(surface, axes, noise).right[:, None] - surface.poor
    return float(_below(past, sd).mean())


def _solved_share(plant: Plant, effect: Effect, axes: Axes) -> Surface:
    """The method diverges later by some decades and is poor there, so trained regions are equal.

    The share falls with those decades, so they are bisected for.
    """
    base = plant.baseline
    start = _mean_share(base, plant.noise, axes)

    def method(more: float) -> Surface:
        return replace(base, poor=base.poor + more)

    def missing(more: float) -> float:
        gain = start - _mean_share(method(more), plant.noise, axes)
        sd = _share_sd(plant, method(more), axes) if effect.unit == "sd" else None
        return effect.size * _unit(effect, sd) - gain

    low, high = (0.0, 3.0) if effect.size >= 0 else (-base.poor, 0.0)
    if missing(low) < 0.0 or missing(high) > 0.0:
        raise ValueError(f"no divergence edge on this grid gives an effect of {effect.size} {effect.unit}")
    for _ in range(36):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if missing(middle) > 0.0 else (low, middle)
    return method(0.5 * (low + high))


def _less(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a - b


@lru_cache(maxsize=512)
def _truth(plant: Plant, axes: Axes) -> Truth:
    surface = _solved(plant, axes)
    either = _either(plant, surface, axes)
    method = _measures(plant, surface, axes, either)
    baseline = _measures(plant, plant.baseline, axes, either)
    if plant.twins:
        known = _measures(replace(plant, unknown=frozenset()), surface, axes, either)
        difference = Measures(
            **{name: _less(getattr(known, name), getattr(known, name)) for name in MEASURES}
        )
    else:
        difference = Measures(
            **{name: _less(getattr(method, name), getattr(baseline, name)) for name in MEASURES}
        )
    x = _axes(axes)[0]
    censored: dict[str, tuple[Side, ...]] = {}
    for role, of in (("method", surface), ("baseline", plant.baseline)):
        rows = _rows(of, axes, plant.noise)
        trains = rows.keep > 0
        sides: list[tuple[Side, bool]] = [
            ("low lr", bool(np.any(rows.left[trains] < x[0]))),
            ("high lr", bool(np.any(rows.right[trains] > x[-1]))),
            ("low weight decay", bool(trains[0])),
            ("high weight decay", bool(trains[-1])),
        ]
        censored[role] = tuple(side for side, passed in sides if passed)
    rounded = plant.metric.examples is not None
    spread = Spread(
        width=_width_sd(plant, surface, axes),
        share=_share_sd(plant, surface, axes),
        wd=_wd_sd(plant, surface, axes),
        score=None if rounded else math.sqrt(2.0) * _score_sd(plant.noise, common=False),
    )
    recorded = plant.recorded
    return Truth(
        method=method,
        baseline=baseline,
        difference=difference,
        spread=spread,
        censored=MappingProxyType(censored),
        breaking_share=None if recorded is None or recorded.overflow > 0 else recorded.breaking,
        overflow_share=None if recorded is None else recorded.overflow,
    )


# The sample: arrays, curves, recorded statistics.


def _draw(plant: Plant, rng: np.random.Generator, grid: Grid, methods: Sequence[bool]) -> Cells:
    axes, noise, metric = grid.axes, plant.noise, plant.metric
    x, _, height = _axes(axes)
    t_n, s_n, w_n, l_n = len(methods), len(grid.seeds), len(axes[1]), len(axes[0])
    by_role = {True: _solved(plant, axes), False: plant.baseline}
    surfaces = [by_role[m] for m in methods]
    on_grid = {role: _rows(surface, axes, noise) for role, surface in by_role.items()}
    rows = [on_grid[m] for m in methods]

    # Each seed has a generator of its own, so that more seeds leave the first ones as they were.
    entropy = rng.integers(0, 2**63, size=s_n)
    normal_seed, normal_own = np.empty((s_n, 4)), np.empty((s_n, t_n, 5))
    normal_row, uniform_row = np.empty((s_n, t_n, w_n, 2)), np.empty((s_n, t_n, w_n, 2))
    normal_cell, uniform_cell = np.empty((s_n, t_n, w_n, l_n, 2)), np.empty((s_n, t_n, w_n, l_n, 4))
    beta = np.empty(s_n)
    for s in range(s_n):
        of = np.random.default_rng([int(entropy[s]), 0])
        beta[s] = of.beta(1.0, INITIAL_POWER)
        normal_seed[s] = of.standard_normal(4)
        normal_own[s] = of.standard_normal((t_n, 5))
        normal_row[s] = of.standard_normal((t_n, w_n, 2))
        uniform_row[s] = of.random((t_n, w_n, 2))
        normal_cell[s] = of.standard_normal((t_n, w_n, l_n, 2))
        uniform_cell[s] = of.random((t_n, w_n, l_n, 4))
    own = normal_own.swapaxes(0, 1) * np.where(methods, plant.scatter, 1.0)[:, None, None]
    per_row, luck_row = normal_row.swapaxes(0, 1), uniform_row.swapaxes(0, 1)
    per_cell, luck = normal_cell.swapaxes(0, 1), uniform_cell.swapaxes(0, 1)

    def of_surface(values: Sequence[float]) -> Array:
        return np.array(values)[:, None, None, None]

    common = (noise.common_edge * normal_seed[:, 0])[None, :, None]
    peak = np.stack([r.peak for r in rows])[:, None, :] + common
    left = np.stack([r.left for r in rows])[:, None, :] + common
    left = left + noise.edge * own[:, :, None, 0] + noise.row * per_row[..., 0]
    right = np.stack([r.right for r in rows])[:, None, :] + common
    right = right + noise.edge * own[:, :, None, 1] + noise.row * per_row[..., 1]
    trains = luck_row[..., 0] < np.stack([r.keep for r in rows])[:, None, :]
    island_chance = np.array([s.island for s in surfaces])[:, None, None]
    has_island = trains & (luck_row[..., 1] < island_chance)

    flat, curvature = of_surface([s.flat for s in surfaces]), of_surface([s.curvature for s in surfaces])
    start = TRAINED / _top((left - peak)[..., None], flat, curvature)
    gain = _rise(x - left[..., None], start) * _top(x - peak[..., None], flat, curvature)
    gain = np.where(trains[..., None], gain, np.minimum(gain, POOR))
    past = x - right[..., None]
    poor_end = of_surface([s.poor for s in surfaces])
    dead_end = poor_end + of_surface([s.dead for s in surfaces])
    on_island = has_island[..., None] & (past > ISLAND_GAP) & (past <= ISLAND_GAP + ISLAND_WIDTH)
    gain = np.where((past > 0.0) & (past <= poor_end), POOR, gain)
    gain = np.where(on_island, ISLAND_GAIN, gain)
    dead = (past > poor_end) & (past <= dead_end) & ~on_island
    departed = (past > dead_end) & ~on_island
    lost = dead | departed
    gain = np.where(lost, 0.0, gain)
    root = np.sqrt(gain)

    loss_initial = CHANCE_LOSS * (1.0 + INITIAL_LOW + INITIAL_SPAN * beta)
    initial = loss_initial[None, :, None, None]
    slope = noise.wd_slope * own[..., 4][:, :, None, None] * height[None, None, :, None]
    seed_loss = noise.common_loss * normal_seed[None, :, 2] + noise.loss * own[..., 3]
    floor = np.stack([r.floor for r in rows])[:, None] + seed_loss[:, :, None, None] + slope
    floor = floor + noise.cell_loss * per_cell[..., 1]
    loss = initial - root * (initial - floor)
    loss = np.where(dead, CHANCE_LOSS * (1.0 + DEAD_SCATTER * (2.0 * luck[..., 0] - 1.0)), loss)
    # Departed losses that stayed finite end at 2 to 10,000 times the untrained one, far from dead ones.
    loss = np.where(departed, initial * 10.0 ** (0.3 + 3.7 * luck[..., 0]), loss)
    reason = np.where(luck[..., 1] < 0.5, 1, np.where(luck[..., 1] < 0.7, 2, _EXPLODED))
    exploded = dead & (loss > EXPLODED * initial)
    reason = np.where(departed, reason, np.where(exploded, _EXPLODED, 0))
    finite = ~departed | (reason == _EXPLODED)
    loss = np.where(finite, loss, np.nan)
    # An explosion is seen in the mean over the last tenth, so at the end; what is not finite is seen at once,
    # and sooner at a higher lr.
    step = np.where(reason == _EXPLODED, 1.0, luck[..., 2] * np.exp(-np.maximum(past, 0.0)))

    chance = metric.chance + metric.chance_sd * normal_seed[:, 3]
    chance_of = chance[None, :, None, None]
    seed_score = noise.common_score * normal_seed[None, :, 1] + noise.score * own[..., 2]
    best = of_surface([s.top for s in surfaces]) + seed_score[:, :, None, None]
    score = chance_of + gain * (best - chance_of) + noise.cell_score * root * per_cell[..., 0]
    # A lost network answers one class: near chance, not at the score of its untrained self.
    score = np.where(lost, chance_of + 0.2 * metric.chance_sd * (2.0 * luck[..., 3] - 1.0), score)
    if metric.name == "accuracy":
        chance, score = np.clip(chance, 0.0, 1.0), np.clip(score, 0.0, 1.0)
    if metric.examples is not None:
        chance = np.round(chance * metric.examples) / metric.examples
        score = np.round(score * metric.examples) / metric.examples
    return Cells(
        left=left,
        right=right,
        trains=trains,
        gain=gain,
        departed=departed,
        dead=dead,
        diverged=reason > 0,
        finite=finite,
        reason=reason.astype(np.int64),
        step=step,
        loss_initial=loss_initial,
        metric_initial=chance,
        loss=loss,
        metric=np.where(finite, score, np.nan),
        entropy=entropy,
    )


Points = tuple[tuple[int, float | None, float | None], ...]


def _curves(
    cells: Cells, steps: int, diverged_step: NDArray[np.int64], direction: str
) -> tuple[list[Points], list[float | None]]:
    """Curves from the untrained to the final values, and the best metric on each.

    Cells that are not finite in the end have a rising loss until the step of divergence, then nothing.
    """
    at = [round(k * steps / (CURVE - 1)) for k in range(CURVE)]
    share = np.array(at) / steps
    done = (1.0 - np.exp(-4.0 * share)) / (1.0 - math.exp(-4.0))
    shape = cells.loss.shape
    curves: list[Array] = []
    for initial, final in ((cells.loss_initial, cells.loss), (cells.metric_initial, cells.metric)):
        first = np.broadcast_to(initial[None, :, None, None, None], (*shape, 1))
        points = first + (final[..., None] - first) * done
        points[..., -1] = final
        curves.append(points.reshape(-1, CURVE))
    loss, metric = curves
    lost = np.flatnonzero(~cells.finite.ravel())
    seed_of = lost // (shape[2] * shape[3]) % shape[1]
    seen = diverged_step.ravel()[lost, None]
    gone = np.array(at)[None, :] >= seen
    rising = cells.loss_initial[seed_of, None] * (1.0 + np.array(at)[None, :] / seen)
    loss[lost] = np.where(gone, np.nan, rising)
    metric[lost] = np.where(gone, np.nan, cells.metric_initial[seed_of, None])
    best = (np.fmax if direction == "max" else np.fmin).reduce(metric, axis=1).tolist()
    loss_lists, metric_lists = loss.tolist(), metric.tolist()
    out: list[Points] = [
        tuple(zip(at, a, b, strict=True)) for a, b in zip(loss_lists, metric_lists, strict=True)
    ]
    for row, i in enumerate(lost.tolist()):
        out[i] = tuple(
            (k, None, None) if none else (k, a, b)
            for k, a, b, none in zip(at, loss_lists[i], metric_lists[i], gone[row].tolist(), strict=True)
        )
    return out, best


def _dynamics(recorded: Recorded, cells: Cells, steps: int) -> list[str]:
    """JSON of each cell. Finite where the cell's loss is, and it is neither broken nor overflown.

    Cells of one run share a few histories, since the seed is the unit and text is slow to make. A cell whose
    loss is not finite has NaN from the step of divergence on, so that a rule about living cells has something
    to leave out.
    """
    t_n, s_n, w_n, l_n = cells.gain.shape
    run = w_n * l_n
    generators = [np.random.default_rng([int(e), 1]) for e in cells.entropy]
    texts: dict[tuple[int, int], list[str]] = {}
    for s, rng in enumerate(generators):
        for t in range(t_n):
            histories = [_history(rng, steps) for _ in range(VARIANTS)]
            overflows, breaks, where = rng.random(run), rng.random(), rng.random(run)
            hit_at, coins = rng.integers(0, RECORDED, run).tolist(), (rng.random(run) < 0.5).tolist()
            gain, lives = cells.gain[t, s].ravel(), ~cells.diverged[t, s].ravel()
            broken = -1
            if breaks < recorded.breaking:
                # In a well-trained cell, where any claim looks, and at one step, so that all must be read.
                broken = int(np.argmax(np.where((gain > 0.97) & lives, where, -1.0)))
            hit = (lives & (overflows < recorded.overflow)).tolist()
            gone = (~cells.finite[t, s].ravel()).tolist()
            seen = cells.step[t, s].ravel().tolist()
            parts = [{key: json.dumps(v) for key, v in h.items()} for h in histories]
            whole = [_joined(p) for p in parts]
            cut: dict[int, str] = {}
            of_run: list[str] = []
            for i in range(run):
                k = i % VARIANTS
                if gone[i]:
                    first = sum(at < max(1, math.ceil(seen[i] * steps)) for at in histories[0]["step"])
                    if first not in cut:
                        cut[first] = json.dumps(_from_step(histories[0], first))
                    of_run.append(cut[first])
                elif hit[i] or i == broken:
                    new = _broken(histories[k], hit_at[i]) if i == broken else {}
                    if hit[i]:
                        new |= _overflown(histories[k] | new, recorded.keys, hit_at[i], infinite=coins[i])
                    of_run.append(_joined(parts[k] | {key: json.dumps(v) for key, v in new.items()}))
                else:
                    of_run.append(whole[k])
            texts[t, s] = of_run
    return [text for t in range(t_n) for s in range(s_n) for text in texts[t, s]]


def _joined(parts: Mapping[str, str]) -> str:
    """The object of members that are JSON already: only what changed has to be written again."""
    return "{" + ", ".join(f'"{key}": {text}' for key, text in parts.items()) + "}"


def _history(rng: np.random.Generator, steps: int) -> dict[str, Any]:
    """One run in which every rule holds.

    The global std falls, the first two layers' fall and the last one's rises. The scale lies in (0, 1].
    Outgoing norms are below 1. Each tensor keeps its direction, the whole gradient does not. A gain is 1/std.
    """
    time = np.arange(RECORDED) / (RECORDED - 1)
    noise = rng.standard_normal((6, RECORDED))
    std = 0.05 * 10.0 ** (-0.8 * time + 0.02 * noise[0])
    norm = std * 300.0
    out = 0.9 * norm / (1.0 + norm)
    layers = {
        name: 0.03 * 10.0 ** (power * time + 0.02 * noise[k])
        for k, (name, power) in enumerate(zip(LAYERS, (-0.7, -0.5, 0.4), strict=True), 1)
    }
    return {
        "step": [round((k + 1) * steps / RECORDED) for k in range(RECORDED)],
        "grad_std": std.tolist(),
        "grad_norm": norm.tolist(),
        "scale": (0.9 / (1.0 + norm)).tolist(),
        "update_ratio": (1e-3 * 10.0 ** (0.05 * noise[4])).tolist(),
        "out_norm": out.tolist(),
        "tensor_norm": (0.7 * out).tolist(),
        "cosine": (0.8 + 0.05 * np.tanh(noise[5])).tolist(),
        "least_cosine": (1.0 - 5e-8 * np.abs(np.tanh(noise[5]))).tolist(),
        "layer_std": {name: v.tolist() for name, v in layers.items()},
        "gain": {name: (1.0 / v).tolist() for name, v in layers.items()},
    }


def _changed(values: Any, at: int, value: float) -> Any:
    """A copy with another value at one step; of the last layer, where there is a list for each."""
    if isinstance(values, dict):
        return {**values, LAYERS[-1]: _changed(values[LAYERS[-1]], at, value)}
    return [*values[:at], value, *values[at + 1 :]]


def _broken(history: dict[str, Any], at: int) -> dict[str, Any]:
    new = {"scale": 1.25, "least_cosine": 0.8}
    new |= {key: 1e3 * history[key][at] for key in ("out_norm", "tensor_norm")}
    return {key: _changed(history[key], at, value) for key, value in new.items()}


def _overflown(history: dict[str, Any], keys: tuple[str, ...], at: int, *, infinite: bool) -> dict[str, Any]:
    return {
        key: _changed(history[key], at, math.inf if infinite and key in NORMS else math.nan) for key in keys
    }


def _from_step(history: dict[str, Any], first: int) -> dict[str, Any]:
    def gone(values: Any) -> Any:
        if isinstance(values, dict):
            return {name: gone(v) for name, v in values.items()}
        return [*values[:first], *([math.nan] * (len(values) - first))]

    return {key: v if key == "step" else gone(v) for key, v in history.items()}


# The kinds.

SIZES: tuple[float, ...] = (0.5, 0.75, 1.0, 2.0, 3.0)
INDIFFERENCE: Mapping[Effected, float] = MappingProxyType(
    {"width": 0.1, "share": 0.02, "wd": 0.02, "score": 0.005}
)
"""STATISTICS.md section 3: a ratio of the width, a share of cells, loss units, accuracy."""
_WORDS: Mapping[Effected, str] = MappingProxyType(
    {
        "width": "lr width of the trained region",
        "share": "divergence share on the common grid",
        "wd": "weight-decay sensitivity at any fixed lr of the flat top",
        "score": "tuned score",
    }
)
_WD = Surface(width=4.0, taper=0.0, tilt=0.0, flat=2.5, empty_rows=0, wd_slope=0.3)
_BASES: Mapping[Effected, Surface] = MappingProxyType(
    {"width": Surface(), "share": Surface(poor=0.5), "wd": _WD, "score": Surface()}
)
_EFFECT_NOISE = Noise(wd_slope=0.04)
_NOT_WIDTHS = frozenset({"lr_width", "mean_width", "area"})


def effect(measure: Effected, size: float) -> Plant:
    """The method is better by `size` standard deviations of the paired difference; negative is worse."""
    return Plant(
        name=f"effect-{measure}-{size:g}sd",
        sentence=f"The method is better in its {_WORDS[measure]} by {size:g} standard deviations of the "
        "paired difference at one seed; all else that the measure does not imply is equal.",
        baseline=_BASES[measure],
        method=_BASES[measure],
        noise=_EFFECT_NOISE,
        effect=Effect(measure, size),
    )


def exactly(measure: Effected, delta: float | None = None, *, unit: str | None = None) -> Plant:
    """The method is better by exactly `delta`, by default the smallest effect of interest; negative is worse.

    Args:
        unit: `ratio` or `absolute`; by default a ratio for the width and absolute for all others.
    """
    size = INDIFFERENCE[measure] if delta is None else delta
    of = unit or ("ratio" if measure == "width" else "absolute")
    if of not in ("ratio", "absolute"):
        raise ValueError(f"a delta is a ratio or absolute, not {of!r}")
    said = f"{size:g} of the baseline's in every row" if of == "ratio" else f"{size:g}"
    return Plant(
        name=f"delta-{measure}" if delta is None else f"delta-{measure}-{size:g}",
        sentence=f"The method is better in its {_WORDS[measure]} by exactly {said}, neither less nor more.",
        baseline=_BASES[measure],
        method=_BASES[measure],
        noise=_EFFECT_NOISE,
        effect=Effect(measure, size, "ratio" if of == "ratio" else "absolute"),
    )


def shifted(decades: float) -> Plant:
    """The method's lr means something else, by a factor."""
    return Plant(
        name=f"shifted-{decades:g}",
        sentence=f"The method does at lr * 10^{decades:g} what the baselines do at lr: widths, areas, "
        "tuned scores and all that is centred on a transform's optimum are equal; at equal lr they differ.",
        method=Surface(shift=decades),
    )


def uneven(scatter: float) -> Plant:
    """The method is as good, and less steady."""
    return Plant(
        name=f"uneven-{scatter:g}",
        sentence=f"The method's edges, scores and losses vary {scatter:g} times as much over seeds as "
        "those of all others: widths and tuned scores are equal in expectation, and other measures nearly.",
        unknown=frozenset(MEASURES) - {"lr_width", "mean_width"},
        scatter=scatter,
    )


def universal(breaking: float) -> Plant:
    return Plant(
        name=f"universal-{breaking:g}",
        sentence=f"All transforms are twins, and each run (a transform at a seed) breaks its rules with "
        f"chance {breaking:g}: scale <= 1, a tensor's cosine = 1, outgoing norms < 1; in one step of a cell.",
        recorded=Recorded(breaking=breaking),
    )


def overflow(share: float, keys: tuple[str, ...] = NORMS) -> Plant:
    kind = "norms" if keys == NORMS else "scales"
    return Plant(
        name=f"overflow-{kind}-{share:g}",
        sentence=f"All transforms are twins, and each finished cell recorded an infinity or NaN with chance "
        f"{share:g}, in {', '.join(keys)}: where it did, the rules about them are broken.",
        recorded=Recorded(overflow=share, keys=keys),
    )


def _twins(name: str, what: str, surface: Surface, **more: Any) -> Plant:
    return Plant(
        name=name,
        sentence=f"All transforms have one distribution: {what}.",
        baseline=surface,
        method=surface,
        **more,
    )


def _table(*plants: Plant) -> Mapping[str, Plant]:
    table = {p.name: p for p in plants}
    if len(table) != len(plants):
        raise ValueError("two plants have one name")
    return MappingProxyType(table)


_LOSS_METRIC = Metric(name="loss", direction="min", chance=2.33, chance_sd=0.01)
_STILL = Noise(common_score=1e-4, score=1e-4, cell_score=1e-4)
_FEW = Metric(examples=200)

PLANTS: Mapping[str, Plant] = _table(
    _twins(
        "twins-flat",
        "accuracy flat over three columns, a noisy loss that is a function of lr * wd",
        Surface(coupling=0.3, wd_slope=0.0),
        noise=Noise(loss=0.03, cell_loss=0.05),
    ),
    _twins("twins-curved", "a top that is a parabola", Surface(flat=0.0, curvature=0.12)),
    _twins(
        "twins-noisy",
        "strong noise of cells in score and loss",
        Surface(top=0.8),
        noise=Noise(cell_score=0.04, cell_loss=0.15),
        unknown=_NOT_WIDTHS,
    ),
    _twins("twins-coupled", "a loss that depends strongly on lr * wd", Surface(coupling=0.8, wd_slope=0.0)),
    _twins(
        "twins-empty-rows",
        "each seed and transform trains in the lowest row and in 60 % of the others, in other ones each time",
        Surface(keep=0.6),
    ),
    _twins(
        "twins-islands",
        "six of ten rows train again for 0.8 decades, beyond a gap of 0.8 decades right of the region",
        Surface(island=0.6, width=2.2),
        unknown=_NOT_WIDTHS,
    ),
    _twins("cut-high-lr", "a region that runs past the grid at high lr", Surface(cut=("high lr",))),
    _twins("cut-low-lr", "a region that runs past the grid at low lr", Surface(cut=("low lr",))),
    _twins(
        "cut-low-wd",
        "a region in the lower half of the weight decays, which runs past the grid at the lowest",
        Surface(thin_rows=0.5, thin_width=0.0),
    ),
    Plant(
        "cut-wider",
        "The method trains further right by 0.8 decades, all of it outside of the grid: on the grid the two "
        "are twins, and any verdict on the width but inconclusive (or wider) is false.",
        baseline=Surface(cut=("high lr",)),
        method=Surface(cut=("high lr",), wider_right=0.8),
    ),
    overflow(0.05),
    overflow(0.3),
    overflow(0.3, SCALES),
    universal(0.0),
    universal(0.05),
    universal(0.3),
    _twins(
        "twins-dead",
        "networks within a decade right of the region are dead at chance, finite, around the untrained loss",
        Surface(dead=1.0),
    ),
    Plant(
        "dead-instead",
        "The method's networks are dead at chance for a decade where the baselines' losses leave: trained "
        "regions, and dead and departed cells together, are equal.",
        method=Surface(dead=1.0),
    ),
    _twins(
        "twins-quantised",
        "accuracies are counts over 200 examples, so seeds tie often",
        Surface(),
        noise=Noise(common_score=0.001, score=0.002, cell_score=0.001),
        metric=_FEW,
        unknown=_NOT_WIDTHS | {"score"},
    ),
    _twins(
        "twins-no-variance",
        "accuracies are counts over 200 examples with less noise than one example, so tuned scores are equal",
        Surface(),
        noise=_STILL,
        metric=_FEW,
        unknown=_NOT_WIDTHS | {"score"},
    ),
    _twins(
        "twins-loss-metric",
        "the metric is a loss, lower is better",
        Surface(top=0.4),
        metric=_LOSS_METRIC,
    ),
    Plant(
        "contained",
        "The method contains the baseline's region in every row: 4.4 against 4.0 decades in the lower half "
        "of the rows, 1.7 against none in the upper half, and so at nearly every seed. It is wider.",
        baseline=Surface(width=4.0, taper=0.0, thin_rows=0.5, thin_width=0.0, empty_rows=0, curvature=0.04),
        method=Surface(width=4.4, taper=0.0, thin_rows=0.5, thin_width=1.7, empty_rows=0, curvature=0.04),
        noise=Noise(edge=0.05, row=0.03),
    ),
    shifted(0.25),
    shifted(1.0),
    uneven(2.0),
    uneven(4.0),
    uneven(0.5),
    *(effect(measure, size) for measure in _BASES for size in SIZES),
    *(exactly(measure) for measure in _BASES),
)
"""Every kind, by name."""
