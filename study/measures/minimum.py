"""The least expected value along an axis, without the luck of the seed that it is taken from."""

from __future__ import annotations

import numpy as np

from study.measures.array_types import Floats


def least(value_SX: Floats) -> Floats:
    """For each seed an estimate of the least expected value along the last axis, shape [S, …].

    The least of a seed's own values lies below it, by as much as the values are noisy, at any number of
    seeds. So the place is chosen on the other seeds. Seeds that choose for each other are not independent:
    the spread of their values is too small, and that of Tukey's pseudo-values too large. What is returned is
    halfway between, and the mean of both is the same.

        h_s = value_s at the place that is least on the mean of the other seeds
        p_s = mean(h) - (S - 1) · (h without seed s - its mean over s)
        least_s = (h_s + p_s) / 2

    With one seed it is the seed's own least, with two both choose for each other.

    Measured on flat and curved axes of 6 to 14 places with noise of a tenth to the whole of what they vary:
    95 % intervals of mean - least held in 91 to 97 % at 3, 5 and 10 seeds (those of h alone in 69 to 95 %).

    Args:
        value_SX: S seeds, any axes between, X places.

    Reference: Tukey, "Bias and confidence in not-quite large samples", 1958.
    Differs from the reference: its pseudo-values of the whole estimate are averaged with the held-out values.
    """
    count = len(value_SX)
    if count < 2:
        return np.asarray(value_SX.min(axis=-1))
    held_S = _held_out(value_SX, value_SX.sum(axis=0))
    if count < 3:
        return held_S
    # All seeds but one, for each of them at once: [S, S - 1, …, X].
    others_SN = np.arange(count)[None].repeat(count, 0)[~np.eye(count, dtype=bool)].reshape(count, -1)
    fewer, total = value_SX[others_SN], value_SX.sum(axis=0) - value_SX
    without = _held_out(fewer, total[:, None]).mean(axis=1)
    away_S = without - without.mean(axis=0)
    return np.asarray((held_S + held_S.mean(axis=0) - (count - 1) * away_S) / 2)


def _held_out(value_SX: Floats, total_X: Floats) -> Floats:
    """Each seed's value at the place that is least on the others."""
    place_S = (total_X - value_SX).argmin(axis=-1)[..., None]
    return np.asarray(np.take_along_axis(value_SX, place_S, -1)[..., 0])
