"""Planted landscapes and the truth of every measure.

Edges are given by formulas and jitter per seed, and grids lie anywhere relative to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtr

from study.measures.array_types import Floats
from study.measures.landscape import DIVERGED, FINISHED, Landscape

START, BEST, LOSS = 0.1, 0.9, 2.3
"""Untrained score, best score, initial loss."""
FINE = 150
"""Points per decade along lr, and rows, with which truths are computed."""


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


REGIMES: dict[str, Regime] = {
    "like quickstart": Regime(),
    "4 per decade": Regime(density=4),
    "8 per decade": Regime(density=8, row_jitter=0.06),
    "no seed variance": Regime(jitter=0.0, row_jitter=0.0, noise=0.0, seed_noise=0.0, low_steepness=0.02),
    "jitter of a tenth gap": Regime(jitter=0.05, row_jitter=0.0, low_steepness=0.02),
    "jitter of a gap": Regime(jitter=0.5, row_jitter=0.1),
    "slanted edge": Regime(slant=-0.23),
    "ends along both axes": Regime(rows=8, bottom=1.3, top=6.2, wd_jitter=0.25),
    "censored at high lr": Regime(high=3.0),
}


@dataclass(frozen=True)
class Planted:
    """A landscape, and what is true of the population that its seeds were drawn from.

    The truth is that within the window of its grid.
    """

    landscape: Landscape
    truth: dict[str, float] = field(default_factory=dict)


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
        shared: per seed, a shift of the high edge that a paired landscape has too [decades].
        offset: where the grid lies relative to the edges [gaps along lr, rows], if it must be that of another
            landscape.
    """
    moved, lifted = rng.uniform(0, 1, 2) if offset is None else offset
    gap = 1 / regime.density
    x = np.arange(-5.0 + moved * gap, 1.5 + moved * gap, gap)
    y = np.arange(regime.rows) + lifted - 0.5
    shape = (seeds, len(y), len(x))
    high = regime.high if high is None else high
    edge = (
        high
        + rng.normal(0, regime.jitter, (seeds, 1, 1))
        + rng.normal(0, regime.row_jitter, (seeds, len(y), 1))
    )
    if shared is not None:
        edge = edge + shared[:, None, None]
    edge = edge + regime.slant * (y - (regime.rows - 1) / 2)[None, :, None]
    rise = (
        low
        + rng.normal(0, regime.jitter / 3, (seeds, 1, 1))
        + rng.normal(0, regime.row_jitter / 6, (seeds, len(y), 1))
    )
    ends = [
        None if end is None else end + rng.normal(0, regime.wd_jitter, (seeds, 1, 1))
        for end in (regime.bottom, regime.top)
    ]
    way = np.broadcast_to(progress(x[None, None] - rise, regime) * between(y[None, :, None], ends), shape)
    diverged = np.broadcast_to(x > edge, shape)
    score = (
        START
        + (BEST - START) * way
        + rng.normal(0, regime.noise, shape)
        + rng.normal(0, regime.seed_noise, (seeds, 1, 1))
    )
    landscape = Landscape(
        workload="planted",
        optimizer="adamw",
        method=name,
        transform=name,
        lr=tuple((10.0**x).tolist()),
        weight_decay=tuple((10.0**y).tolist()),
        seeds=tuple(range(seeds)),
        metric_name="accuracy",
        higher_is_better=True,
        outcome_SWL=np.where(diverged, DIVERGED, FINISHED),
        metric_SWL=np.where(diverged, np.nan, score),
        untrained_S=np.full(seeds, START),
        loss_SWL=np.where(diverged, np.nan, LOSS * (1 - 0.9 * way)),
        loss_initial_S=np.full(seeds, LOSS),
        key_SWL=np.array([f"{name}{k}" for k in range(np.prod(shape))]).reshape(shape),
    )
    return Planted(landscape, truth(replace(regime, high=high - low), x - low, y, low))


def progress(x: Floats, regime: Regime) -> Floats:
    """Way from the untrained to the best score, between 0 and 1.

    It rises at low learning rates, and has a flat optimum near 10^-2.
    """
    return np.asarray(
        (1 - 0.06 * np.minimum((x + 2.0) ** 2, 9))
        / (1 + np.exp(-np.clip((x + 4.0) / regime.low_steepness - np.log(9), -500, 500)))
    )


def between(y: Floats, ends: list[Floats | float | None]) -> Floats:
    """1 between the ends along weight decay, 0 outside."""
    bottom, top = ends
    above = y >= (-np.inf if bottom is None else bottom)
    below = y <= (np.inf if top is None else top)
    return np.asarray(above & below, dtype=float)


def truth(regime: Regime, x: Floats, y: Floats, low: float) -> dict[str, float]:
    """Every measure of the population's mean landscape, on a grid so fine that it hides nothing.

    Args:
        x: places of the grid along lr, counted from `low` [decades].
        y: places along weight decay [decades].
        low: by how much the landscape was moved [decades].
    """
    gap, half = 1 / regime.density, 0.5
    fine_x = np.arange(x[0] - gap / 2, x[-1] + gap / 2, 1 / FINE)
    fine_y = np.linspace(y[0] - half, y[-1] + half, 96)
    edge_Y = regime.high + regime.slant * (fine_y - (regime.rows - 1) / 2)
    best_x = fine_x[progress(fine_x, regime).argmax()]
    way = progress(fine_x, regime)[None] * between(fine_y[:, None], [regime.bottom, regime.top])
    spread = max(float(np.sqrt(2 * regime.jitter**2 + regime.row_jitter**2)), 1e-9)
    # The probability that a cell of the population does not diverge.
    alive = ndtr((edge_Y[:, None] - fine_x[None]) / spread)
    clamped = LOSS * (1 - 0.9 * way * alive)
    # Sensitivities are means over the points of the grid, so smooth curves are taken at these. Divergence is
    # taken where its edge is, because the interval of a sensitivity allows for that.
    nearest = np.abs(fine_x[:, None] - x).argmin(axis=1)
    way_on_grid = progress(x, regime)[nearest][None]
    on_grid = LOSS * (1 - 0.9 * way_on_grid * between(fine_y[:, None], [regime.bottom, regime.top]) * alive)
    reference = float(progress(x, regime).max())
    least_Y = LOSS * (1 - 0.9 * reference * between(fine_y, [regime.bottom, regime.top]))
    found: dict[str, float] = {
        "divergence share": float(1 - alive.mean()),
        "lr sensitivity": float((on_grid - least_Y[:, None]).mean()),
    }
    for kind, needed in (("trained", 0.1 * reference), ("competitive", 0.95 * reference)):
        length_Y = ((way >= needed) * alive).sum(axis=1) / FINE
        found[f"{kind} area"] = float(length_Y.mean() * len(y))
        found[f"{kind} lr width"] = float(np.median(length_Y))
        found[f"{kind} wd width"] = float((length_Y > 0).mean() * len(y))
    found["decades above optimum"] = (
        regime.high - best_x + regime.slant * (y[len(y) // 2] - (regime.rows - 1) / 2)
    )
    found["max stable lr"] = found["decades above optimum"] + best_x + low
    best = clamped[:, np.abs(fine_x - best_x).argmin()]
    found["wd sensitivity"] = float((best - best.min()).mean())
    found["tuned score"] = START + (BEST - START) * reference
    return found
