"""Edges of known dimension, drawn at a picture's resolution, and how often an interval covers it.

Run as `python -m tests.tools.edge_sets POINTS N`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from study.measures.edge_dimension import Dimension, by_boxes, by_pairs

FINER = 4
"""Fields are made so many times finer than the picture: an edge goes on between its cells."""
Set = Callable[[int, np.random.Generator], np.ndarray]


def line(points: int, random: np.random.Generator) -> np.ndarray:
    """A half plane whose border crosses the picture somewhere, at any angle."""
    y, x = np.mgrid[0:points, 0:points] / points
    angle, (a, b) = random.uniform(0, 2 * np.pi), random.uniform(0.3, 0.7, 2)
    return (x - a) * np.cos(angle) + (y - b) * np.sin(angle) > 0


def circle(points: int, random: np.random.Generator) -> np.ndarray:
    """A disc."""
    y, x = np.mgrid[0:points, 0:points] / points
    (a, b), radius = random.uniform(0.4, 0.6, 2), random.uniform(0.2, 0.45)
    return (x - a) ** 2 + (y - b) ** 2 < radius**2


def koch(points: int, random: np.random.Generator) -> np.ndarray:
    """The inside of Koch's snowflake, turned, and as a whole or a part of it."""
    corner = np.exp(-2j * np.pi * np.arange(4) / 3)
    for _ in range(7):
        a, step = corner[:-1], np.diff(corner) / 3
        bent = [a, a + step, a + step + step * np.exp(1j * np.pi / 3), a + 2 * step]
        corner = np.append(np.stack(bent, 1).ravel(), corner[-1])
    size = math.exp(random.uniform(math.log(0.35), math.log(1.2)))
    corner = corner[:-1] * size * np.exp(1j * random.uniform(0, 2 * np.pi))
    # A large one is looked at where its border is.
    middle = corner[random.integers(len(corner))] if size > 0.5 else 0
    return inside(corner - middle + complex(*random.uniform(0.4, 0.6, 2)), points)


def inside(corner: np.ndarray, points: int) -> np.ndarray:
    """Which points of a picture lie inside of a polygon in the unit square."""
    x, y = corner.real * points, corner.imag * points
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    low, high = np.minimum(y, y_next), np.maximum(y, y_next)
    crossed = np.zeros((points, points + 1), dtype=int)
    for k in range(int(np.ceil((high - low).max())) + 1):
        row = np.ceil(low).astype(int) + k
        on = (row < high) & (row >= 0) & (row < points)
        at = x[on] + (row[on] - y[on]) * (x_next - x)[on] / (y_next - y)[on]
        np.add.at(crossed, (row[on], np.clip(np.ceil(at), 0, points).astype(int)), 1)
    return crossed.cumsum(axis=1)[:, :points] % 2 == 1


def level_set(dimension: float) -> Set:
    """Where a random field of roughness 2 - dimension is above its middle: an edge with islands."""

    def drawn(points: int, random: np.random.Generator) -> np.ndarray:
        many = 2 * points * FINER
        frequency = np.fft.fftfreq(many)[:, None] ** 2 + np.fft.rfftfreq(many)[None, :] ** 2
        frequency[0, 0] = np.inf
        amplitude = frequency ** (-(2 - dimension + 1) / 2)
        noise = np.fft.rfft2(random.standard_normal((many, many)))
        field = np.fft.irfft2(amplitude * noise)[::FINER, ::FINER]
        a, b = random.integers(0, points, 2)
        part = field[a : a + points, b : b + points]
        return part > np.median(part)

    return drawn


def stripes(points: int, random: np.random.Generator) -> np.ndarray:
    """Straight bands of equal width, at any angle: their edge is a set of lines."""
    y, x = np.mgrid[0:points, 0:points] / points
    angle = random.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    return np.sin(2 * np.pi * (random.uniform(4, 9) * along + random.uniform())) > 0


def discs(points: int, random: np.random.Generator) -> np.ndarray:
    """Three to thirty small discs."""
    y, x = np.mgrid[0:points, 0:points] / points
    found = np.zeros((points, points), dtype=bool)
    for _ in range(random.integers(3, 31)):
        (a, b), radius = random.uniform(0, 1, 2), random.uniform(0.01, 0.08)
        found |= (x - a) ** 2 + (y - b) ** 2 < radius**2
    return found


def graph(dimension: float) -> Set:
    """What lies below the graph of fractional Brownian motion: rough along one axis alone."""

    def drawn(points: int, random: np.random.Generator) -> np.ndarray:
        many = 64 * points
        frequency = np.fft.rfftfreq(2 * many)
        frequency[0] = np.inf
        noise = np.fft.rfft(random.standard_normal(2 * many))
        path = np.fft.irfft(noise * frequency ** -(2 - dimension + 0.5))[:many]
        height = (path - path.min()) / np.ptp(path)
        y = np.arange(points) / points
        return y[:, None] < 0.1 + 0.8 * height[:: many // points][None, :]

    return drawn


def noise(points: int, random: np.random.Generator) -> np.ndarray:
    """Cells that ended by chance: an edge everywhere."""
    return random.random((points, points)) < random.uniform(0.3, 0.7)


SETS: dict[str, tuple[Set, float]] = {
    "line": (line, 1.0),
    "circle": (circle, 1.0),
    "Koch": (koch, math.log(4) / math.log(3)),
    "level set 1.3": (level_set(1.3), 1.3),
    "level set 1.5": (level_set(1.5), 1.5),
    "level set 1.7": (level_set(1.7), 1.7),
    "noise": (noise, 2.0),
    "stripes": (stripes, 1.0),
    "discs": (discs, 1.0),
    "graph 1.2": (graph(1.2), 1.2),
    "graph 1.5": (graph(1.5), 1.5),
}


def covered(name: str, points: int, n: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """By method: the share of n intervals that cover the truth, the mean estimate and half-width."""
    draw, truth = SETS[name]
    random = np.random.default_rng(seed)
    found: dict[str, list[tuple[bool, float, float]]] = {"boxes": [], "pairs": []}
    for _ in range(n):
        picture = draw(points, random)
        for method, measure in (("boxes", by_boxes), ("pairs", by_pairs)):
            one = measure(picture)
            if isinstance(one, Dimension):
                # A line's slope is 1 up to rounding.
                within = one.low - 1e-9 <= truth <= one.high + 1e-9
                found[method].append((within, one.value, (one.high - one.low) / 2))
    names = ("covered", "mean", "half")
    return {
        method: {"n": len(rows), **dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))}
        for method, rows in found.items()
        if rows
    }


if __name__ == "__main__":
    for each in SETS:
        for method, row in covered(each, int(sys.argv[1]), int(sys.argv[2])).items():
            numbers = (
                f"n {row['n']}  covered {row['covered']:.2f}  mean {row['mean']:.3f} ± {row['half']:.3f}"
            )
            print(f"{each:14} {SETS[each][1]:.3f}  {method}  {numbers}", flush=True)
