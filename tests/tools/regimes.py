"""Planted landscapes and the truth of every measure.

Edges are given by formulas and jitter per seed, and grids lie anywhere relative to them. Truths are those of
a population: measures of many further seeds whose edges are known exactly, so that no grid hides them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from study.measures.array_types import Flags, Floats
from study.measures.landscape import DIVERGED, FINISHED, Landscape

START, BEST, LOSS = 0.1, 0.9, 2.3
"""Untrained score, best score, initial loss."""
NEEDED = {"trained": 0.10, "competitive": 0.95}
"""The way to the reference that a cell has gone [fraction]."""
FELT = -2.0
"""log10 of lr · weight decay from which weight decay matters, in a training of one step."""
POPULATION = 500
"""Seeds of a population. Its mean is far better known than that of the ten seeds of a sample."""
FINE = 7
"""Places along weight decay per row of the grid; odd, so that one of them is the row itself."""
OFFSETS = (np.arange(FINE) - FINE // 2) / FINE
PLACES = np.linspace(-9.0, 4.0, 13 * 400 + 1)
"""Places along lr at which the ends of a region are looked for [decades]."""


@dataclass(frozen=True)
class Regime:
    """One kind of landscape.

    Attributes:
        density: learning rates per decade.
        rows: weight decays, one per decade.
        jitter: standard deviation over seeds of the part of an edge that all rows share [decades].
        row_jitter: the same of each row's own part.
        low_steepness: decades in which the score rises by a factor of e at the low edge. Divergence is a
            jump.
        slant: how far the high edge moves per decade of weight decay [decades].
        bottom, top: where the region ends along weight decay, in rows from the bottom; None runs through.
        wd_jitter: standard deviation over seeds of those ends [decades].
        high: mean place of the high edge [decades]; outside of the grid the region is censored.
        noise: standard deviation of a cell's score.
        seed_noise: the same of a shift that all cells of a seed share.
        loss_noise: standard deviation of a cell's loss where it is least [share of the initial loss]. It
            falls to 0 with the way that a cell went, so that clamping at the initial loss moves no mean.
        seed_loss_noise: the same of what all cells of a seed share.
    """

    density: int = 2
    rows: int = 6
    jitter: float = 0.05
    row_jitter: float = 0.12
    low_steepness: float = 0.3
    slant: float = 0.0
    bottom: float | None = None
    top: float | None = None
    wd_jitter: float = 0.0
    high: float = -0.5
    noise: float = 0.003
    seed_noise: float = 0.004
    loss_noise: float = 0.015
    seed_loss_noise: float = 0.02

    @property
    def flat(self) -> bool:
        """Whether nothing changes along weight decay, but from row to row at random."""
        return self.slant == 0 and self.bottom is None and self.top is None


REGIMES: dict[str, Regime] = {
    "like quickstart": Regime(),
    "4 per decade": Regime(density=4),
    "8 per decade": Regime(density=8, row_jitter=0.06),
    "no seed variance": Regime(
        jitter=0.0,
        row_jitter=0.0,
        noise=0.0,
        seed_noise=0.0,
        loss_noise=0.0,
        seed_loss_noise=0.0,
        low_steepness=0.02,
    ),
    "jitter of a tenth gap": Regime(jitter=0.05, row_jitter=0.0, low_steepness=0.02),
    "jitter of a gap": Regime(jitter=0.5, row_jitter=0.1),
    "slanted edge": Regime(slant=-0.23),
    "ends along both axes": Regime(rows=8, bottom=1.3, top=6.2, wd_jitter=0.25),
    "censored at high lr": Regime(high=3.0),
}


@dataclass(frozen=True)
class Grid:
    """Where cells lie: L learning rates and W weight decays [decades]."""

    x_L: Floats
    y_W: Floats
    gap: float

    @property
    def window(self) -> tuple[float, float]:
        """What the cells stand for along lr."""
        return float(self.x_L[0] - self.gap / 2), float(self.x_L[-1] + self.gap / 2)


@dataclass(frozen=True)
class Edges:
    """Where the landscapes of S seeds begin and end, exactly [decades].

    Attributes:
        rise_SW: by how much the low edge and the optimum are moved.
        high_SW: the high edge at the rows of the grid; beyond it cells diverge.
        bottom_S, top_S: the ends along weight decay, infinite where it runs through.
    """

    rise_SW: Floats
    high_SW: Floats
    bottom_S: Floats
    top_S: Floats

    def alive(self, y: Floats) -> Flags:
        """Which places along weight decay lie between the ends, shape [S, …]."""
        outer = (slice(None), *[None] * y.ndim)
        return np.asarray((y >= self.bottom_S[outer]) & (y <= self.top_S[outer]))


def edges_of(
    regime: Regime, grid: Grid, rng: np.random.Generator, high: float, low: float, shared_S: Floats
) -> Edges:
    """Random edges; `shared_S` is added to every seed's high edge."""
    seeds, rows = len(shared_S), len(grid.y_W)
    edge = (
        high
        + shared_S[:, None]
        + rng.normal(0, regime.jitter, (seeds, 1))
        + rng.normal(0, regime.row_jitter, (seeds, rows))
        + regime.slant * (grid.y_W - (regime.rows - 1) / 2)
    )
    rise = (
        low + rng.normal(0, regime.jitter / 3, (seeds, 1)) + rng.normal(0, regime.row_jitter / 6, edge.shape)
    )
    ends = [
        np.full(seeds, default) if end is None else end + rng.normal(0, regime.wd_jitter, seeds)
        for end, default in ((regime.bottom, -np.inf), (regime.top, np.inf))
    ]
    return Edges(rise, edge, *ends)


@dataclass(frozen=True)
class Population:
    """The truth of every measure: the mean over many seeds whose edges are known.

    P seeds, W rows with F places each, L learning rates. Noise enters only where a measure is by definition
    about the cells that a seed itself has inside: means over a seed's own learning rates.
    """

    regime: Regime
    grid: Grid
    edges: Edges
    low: float
    noise_PWL: Floats
    loss_noise_PWL: Floats

    @cached_property
    def offsets(self) -> Floats:
        """Places of a row along weight decay; the row itself where nothing changes within one."""
        return np.zeros(1) if self.regime.flat else OFFSETS

    @property
    def row(self) -> int:
        """Which of these places is the row of the grid."""
        return len(self.offsets) // 2

    @cached_property
    def y_WF(self) -> Floats:
        return np.asarray(self.grid.y_W[:, None] + self.offsets)

    @cached_property
    def high_PWF(self) -> Floats:
        return np.asarray(self.edges.high_SW[:, :, None] + self.regime.slant * self.offsets)

    @cached_property
    def alive_PWF(self) -> Flags:
        return self.edges.alive(self.y_WF)

    @cached_property
    def way_PWL(self) -> Floats:
        """The way that a cell goes that does not diverge, at the rows of the grid."""
        return progress(self.grid.x_L - self.edges.rise_SW[..., None], self.regime)

    @cached_property
    def reference(self) -> float:
        """The largest expected way on the grid."""
        alive_PWL = self.edges.alive(self.grid.y_W)[..., None]
        return float((self.way_PWL * alive_PWL).mean(axis=0).max())

    def interval(self, kind: str) -> tuple[Floats, Floats]:
        """Where each seed's region begins and ends along lr, cut at the grid's window, two of [P, W, F]."""
        inside = PLACES[progress(PLACES, self.regime) >= NEEDED[kind] * self.reference]
        first, last = self.grid.window
        rise_PWF = self.edges.rise_SW[..., None]
        end = np.minimum(self.high_PWF, inside[-1] + rise_PWF if inside[-1] < PLACES[-1] else np.inf)
        return np.maximum(inside[0] + rise_PWF, first) + 0 * end, np.minimum(end, last)

    def length(self, kind: str, start: Floats | float = -np.inf) -> Floats:
        """Length of each seed's region along lr beyond a place, shape [P, W, F]."""
        begin, end = self.interval(kind)
        return np.asarray(np.maximum(end - np.maximum(begin, start), 0.0) * self.alive_PWF)

    @cached_property
    def inside(self) -> dict[str, Flags]:
        """By kind, the cells of each seed that its noisy scores have inside, shape [P, W, F, L]."""
        way_PWFL = (self.way_PWL + self.noise_PWL)[:, :, None]
        known_PWFL = self.alive_PWF[..., None] & (self.grid.x_L <= self.high_PWF[..., None])
        return {kind: known_PWFL & (way_PWFL >= need * self.reference) for kind, need in NEEDED.items()}

    def row_length(self, kind: str) -> Floats:
        """Expected length at the rows of the grid."""
        return np.asarray(self.length(kind)[:, :, self.row].mean(axis=0))

    def loss(self, alive: Floats | Flags) -> Floats:
        """The expected loss of cells that do not diverge with this probability, given its seed's edges."""
        return np.asarray(LOSS * (1 - 0.9 * self.way_PWL[:, :, None] * self.alive_PWF[..., None] * alive))

    @cached_property
    def point_loss(self) -> Floats:
        """The expected loss at the places of the grid along lr, given the seed's edges, [P, W, F, L]."""
        return self.loss(self.grid.x_L <= self.high_PWF[..., None])

    @cached_property
    def best_border_P(self) -> Floats:
        """Where each seed's best column begins. Beyond it rows in which nothing is learned count as lost."""
        loss_PWL = self.point_loss[:, :, self.row] + self.loss_noise_PWL
        column_P = loss_PWL.min(axis=1).argmin(axis=1)
        return np.asarray(self.grid.x_L[column_P] - self.grid.gap / 2)

    def lost_in(self, first_P: Floats, last_P: Floats) -> Floats:
        """The share of each seed's window of learning rates in which cells are lost, shape [P]."""
        dead = np.minimum(self.high_PWF, self.best_border_P[:, None, None])
        begins = np.where(self.alive_PWF, self.high_PWF, dead)
        first, last = first_P[:, None, None], last_P[:, None, None]
        return np.asarray(((last - np.clip(begins, first, last)) / (last - first)).mean(axis=(1, 2)))

    def centre_P(self, kind: str) -> Floats:
        """The mean place along lr of each seed's region; NaN where it is empty."""
        begin, end = self.interval(kind)
        length = self.length(kind)
        middle = (begin + np.maximum(end, begin)) / 2
        total_P, nowhere = length.sum(axis=(1, 2)), np.full(len(length), np.nan)
        moment_P = (middle * length).sum(axis=(1, 2))
        return np.asarray(np.divide(moment_P, total_P, out=nowhere, where=total_P > 0))

    def over_columns(self, value_PL: Floats, kind: str) -> float:
        """Mean over seeds of the mean over each seed's own learning rates of a region.

        A seed without a region has the learning rate of its best cell.
        """
        own_PL = self.inside[kind][:, :, self.row].any(axis=1)
        best_P = self.point_loss[:, :, self.row].min(axis=1).argmin(axis=1)
        own_PL = np.where(own_PL.any(axis=1, keepdims=True), own_PL, np.eye(own_PL.shape[1])[best_P])
        return float(((value_PL * own_PL).sum(axis=1) / own_PL.sum(axis=1)).mean())

    @property
    def wd_sensitivity(self) -> float:
        """The least expected loss of a column is that at a row of the grid."""
        loss = self.point_loss
        at_row = loss[:, :, self.row]
        row_L = at_row.mean(axis=0).argmin(axis=0)
        least_PL = np.take_along_axis(at_row, row_L[None, None], 1)[:, 0]
        return self.over_columns(loss.mean(axis=(1, 2)) - least_PL, "competitive")

    @property
    def lr_sensitivity(self) -> float:
        """Sums run over the places of the grid; divergence begins within a cell, where its edge is."""
        share = np.clip((self.high_PWF[..., None] - self.grid.x_L) / self.grid.gap + 0.5, 0.0, 1.0)
        mean_WFL = self.loss(share).mean(axis=0)
        return float((mean_WFL.mean(axis=2) - self.point_loss.mean(axis=0).min(axis=2)).mean())

    def truths(self, filled: dict[str, Flags]) -> dict[str, float]:
        """Every measure of one landscape.

        Args:
            filled: by kind, the rows that count for a width along lr. They scale it and nothing else.
        """
        rows, (first, last) = len(self.grid.y_W), self.grid.window
        whole = np.full(POPULATION, first), np.full(POPULATION, last)
        departed = np.clip(last - self.high_PWF, 0.0, last - first) / (last - first)
        middle, best = rows // 2, float(PLACES[progress(PLACES, self.regime).argmax()])
        alive_way = (1 - self.point_loss[:, :, self.row] / LOSS) / 0.9
        found = {
            "divergence share": float(departed.mean()),
            "lost share": float(self.lost_in(*whole).mean()),
            "lr sensitivity": self.lr_sensitivity,
            "wd sensitivity": self.wd_sensitivity,
            "max stable lr": float(self.edges.high_SW[:, middle].mean()),
            "decades above optimum": float(self.edges.high_SW[:, middle].mean()) - best - self.low,
            "tuned score": START + (BEST - START) * float(alive_way.mean(axis=0).max()),
        }
        for kind in NEEDED:
            length, inside = self.length(kind), self.inside[kind]
            beyond = self.length(kind, FELT - (self.grid.y_W[:, None] + OFFSETS))
            top_PL = np.where(inside, self.y_WF[..., None], -np.inf).max(axis=(1, 2)) + 0.5 / len(
                self.offsets
            )
            found |= {
                f"{kind} area": float(length.mean() * rows),
                f"{kind} area that feels decay": float(beyond.mean() * rows),
                f"{kind} lr width": float(self.row_length(kind).sum() / max(filled[kind].sum(), 1)),
                f"{kind} wd width": self.over_columns(inside.mean(axis=(1, 2)) * rows, kind),
            }
            if kind == "trained":
                found["max stable weight decay"] = self.over_columns(np.maximum(top_PL, -99.0), kind)
        return found


@dataclass(frozen=True)
class Planted:
    """A landscape, the population that its seeds were drawn from, and which rows its regions have."""

    landscape: Landscape
    population: Population
    filled: dict[str, Flags]

    @cached_property
    def truth(self) -> dict[str, float]:
        """Every measure within the window of the grid."""
        return self.population.truths(self.filled)


def draw(
    regime: Regime,
    seeds: int,
    rng: np.random.Generator,
    *,
    name: str = "none",
    high: float | None = None,
    low: float = 0.0,
    shared: Floats | None = None,
    offset: Floats | None = None,
) -> Planted:
    """A landscape of a regime: edges at random places relative to the grid.

    Args:
        high: the high edge, if not the regime's own [decades].
        low: by how much the low edge and the optimum are moved [decades].
        shared: for each seed, and behind them each seed of the population, a shift of the high edge that a
            paired landscape has too [decades].
        offset: where the grid lies relative to the edges [gaps along lr, rows], if it must be that of another
            landscape.
    """
    moved, lifted = rng.uniform(0, 1, 2) if offset is None else offset
    gap = 1 / regime.density
    x = np.arange(-5.0 + moved * gap, 1.5 + moved * gap, gap)
    grid = Grid(x, np.arange(regime.rows) + lifted - 0.5, gap)
    high = regime.high if high is None else high
    shared = np.zeros(seeds + POPULATION) if shared is None else shared
    edges = edges_of(regime, grid, rng, high, low, shared[:seeds])
    shape = (seeds, len(grid.y_W), len(x))
    way = progress(x - edges.rise_SW[..., None], regime) * edges.alive(grid.y_W)[..., None]
    diverged = x > edges.high_SW[..., None]
    noise = rng.normal(0, regime.noise, shape) + rng.normal(0, regime.seed_noise, (seeds, 1, 1))
    loss_noise = regime.loss_noise * rng.normal(size=shape) + regime.seed_loss_noise * rng.normal(
        size=(seeds, 1, 1)
    )
    landscape = Landscape(
        workload="planted",
        optimizer="adamw",
        method=name,
        transform=name,
        lr=tuple((10.0**x).tolist()),
        weight_decay=tuple((10.0**grid.y_W).tolist()),
        seeds=tuple(range(seeds)),
        metric_name="accuracy",
        higher_is_better=True,
        outcome_SWL=np.where(diverged, DIVERGED, FINISHED),
        metric_SWL=np.where(diverged, np.nan, START + (BEST - START) * way + noise),
        untrained_S=np.full(seeds, START),
        loss_SWL=np.where(diverged, np.nan, LOSS * (1 - way * (0.9 + loss_noise))),
        loss_initial_S=np.full(seeds, LOSS),
        key_SWL=np.array([f"{name}{k}" for k in range(np.prod(shape))]).reshape(shape),
    )
    many = edges_of(regime, grid, rng, high, low, shared[seeds:])
    other_shape = (POPULATION, *shape[1:])
    score_noise = rng.normal(0, regime.noise, other_shape) + rng.normal(
        0, regime.seed_noise, (POPULATION, 1, 1)
    )
    loss_noise = LOSS * regime.loss_noise * rng.normal(size=other_shape)
    population = Population(regime, grid, many, low, score_noise / (BEST - START), loss_noise)
    rows = {
        kind: np.asarray((~diverged & (way >= needed * population.reference)).any(axis=(0, 2)))
        for kind, needed in NEEDED.items()
    }
    return Planted(landscape, population, rows)


def paired_truths(one: Planted, other: Planted) -> dict[str, float]:
    """What comparisons of two landscapes with the same grid and shared seeds are about.

    Where a centre is needed, it is about the seeds that have one: a study with others gets no estimate.
    """
    first, last = one.population.grid.window
    mine, theirs = one.population, other.population
    centres = mine.centre_P("competitive"), theirs.centre_P("competitive")
    reach_P = np.min([np.minimum(c - first, last - c) for c in centres], axis=0)
    lost = [
        np.nanmean(piece.lost_in(c - reach_P, c + reach_P))
        for piece, c in zip((mine, theirs), centres, strict=True)
    ]
    rows = one.filled["trained"] | other.filled["trained"]
    longer_W = mine.row_length("trained") - theirs.row_length("trained")
    return {
        "width difference": float(longer_W.sum() / max(rows.sum(), 1)),
        "wd sensitivity difference": mine.wd_sensitivity - theirs.wd_sensitivity,
        "lost share in windows": float(lost[0] - lost[1]),
        "gradient-scale shift": float(np.nanmean(theirs.centre_P("trained") - mine.centre_P("trained"))),
    }


def progress(x: Floats, regime: Regime) -> Floats:
    """Way from the untrained to the best score, between 0 and 1.

    It rises at low learning rates, and has a flat optimum near 10^-2.
    """
    return np.asarray(
        (1 - 0.06 * np.minimum((x + 2.0) ** 2, 9))
        / (1 + np.exp(-np.clip((x + 4.0) / regime.low_steepness - np.log(9), -500, 500)))
    )
