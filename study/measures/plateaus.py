"""Plateaus: mean scores around the places of a grid.

Regions are drawn against the best plateau, because the best single cell is a lucky one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces import around
from study.measures.array_types import Floats

REACH = 0.22
"""How far a plateau reaches from its middle, along either axis [decades].

It is less than the distance of 4 values per decade. There the mean over neighbours would lie below the top of
a curved optimum by more than intervals allow: with a quarter of a decade they covered planted competitive
areas in 80 % of draws with ten seeds.
"""
ENOUGH = 16
"""Trained cells, of all seeds together, from which the mean of a plateau is known well enough.

It is then 4 times less noisy than a cell.
"""


@dataclass(frozen=True)
class Surroundings:
    """Which rows and which columns of a grid are at most `REACH` apart, whatever the grid's resolution.

    On a grid whose neighbours are further apart each place is alone, and its plateau is the cell itself.

    Attributes:
        near_WW: 1 where two weight decays are near each other, 0 elsewhere. Weight decay 0 is near itself
            alone.
        near_LL: the same of two learning rates.
    """

    near_WW: Floats
    near_LL: Floats

    @classmethod
    def of(cls, weight_decay: tuple[float, ...], lr: tuple[float, ...]) -> Surroundings:
        """Those of a grid with these axes."""
        return cls(near(weight_decay), near(lr))

    def plateaus(self, score_SWL: Floats) -> tuple[Floats, Floats]:
        """The mean score around each place [S, W, L], and how many more cells of a seed it needs [W, L].

            plateau(s, w, l) = mean of score(s, v, k) over the places (v, k) with
                |log10 wd_v - log10 wd_w| <= REACH and |log10 lr_k - log10 lr_l| <= REACH

        The mean is over the places that are trained at every seed, and NaN where there are none. So a plateau
        is estimated alike from a whole grid and from a part of it.
        """
        known_WL = np.isfinite(score_SWL).all(axis=0)
        count_WL = self._sums(known_WL.astype(float))
        sum_SWL = self._sums(np.where(known_WL, score_SWL, 0.0))
        mean_SWL = np.divide(sum_SWL, count_WL, out=np.full(sum_SWL.shape, np.nan), where=count_WL > 0)
        # `ENOUGH` counts cells of all seeds. A plateau of fewer places is known once all of them are.
        enough_WL = np.minimum(self._sums(np.ones(known_WL.shape)), np.ceil(ENOUGH / len(score_SWL)))
        return mean_SWL, np.maximum(enough_WL - count_WL, 0.0)

    def scores(self, score_SWL: Floats) -> Floats:
        """The mean scores of the N plateaus that are known, shape [S, N].

        While there are none, of those that are known in part, and while nothing is trained, NaN.
        """
        mean_SWL, lack_WL = self.plateaus(score_SWL)
        for chosen_WL in (lack_WL == 0, np.isfinite(mean_SWL).all(axis=0)):
            if chosen_WL.any():
                return np.asarray(mean_SWL[:, chosen_WL])
        return mean_SWL.reshape(len(mean_SWL), -1)

    def wanted(self, score_SWL: Floats) -> list[tuple[int, int]]:
        """Missing places of the plateau that looks best, evenly over it; none where that one is known.

        A plateau may look best because few lucky cells of it are trained. It falls back as more of them
        become known, and then the next best is asked for.
        """
        known_WL = np.isfinite(score_SWL).all(axis=0)
        mean_SWL, lack_WL = self.plateaus(score_SWL)
        mean_WL = np.where(known_WL, mean_SWL.mean(axis=0), -np.inf)
        row, column = divmod(int(mean_WL.argmax()), mean_WL.shape[1])
        missing = np.argwhere(np.outer(self.near_WW[row], self.near_LL[column]) * ~known_WL)
        count = round(lack_WL[row, column])
        chosen = np.linspace(0, len(missing) - 1, count).round().astype(int)
        return [(int(w), int(k)) for w, k in missing[chosen]]

    def _sums(self, value_WL: Floats) -> Floats:
        """The sum around each place; leading axes are kept."""
        return np.asarray(self.near_WW @ value_WL @ self.near_LL.T)


def near(values: tuple[float, ...]) -> Floats:
    """1 where two values of an axis are at most `REACH` apart, 0 elsewhere."""
    found = np.zeros((len(values), len(values)))
    for row, (first, last) in zip(found, around(values, REACH), strict=True):
        row[first : last + 1] = 1.0
    return found
