"""How good a method is when it is tuned for each environment, and what one setting for all costs of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.measures.array_types import Floats
from study.measures.estimate import Estimate, Missing
from study.measures.evidence import Evidence, missing_seeds
from study.measures.minimum import least
from study.measures.tuning import effective_dimension, normalised, shared_default_regret

PERCENTILES = (5.0, 95.0)
"""Of all scores in an environment: what becomes 0, and what becomes 1."""
REFERENCE = "none"
"""The method that the others are compared with."""


@dataclass(frozen=True)
class Spot:
    """Where a method lies in the performance-sensitivity plane.

    Attributes:
        title, transform: what people read, and the technical name.
        method: name of the transform without constants.
        performance: mean over environments of the score that is tuned for each [normalised score].
        sensitivity: Φ, what one setting for all environments costs [normalised score].
        dimension: d, how many hyperparameters must be tuned for each environment [count].
    """

    title: str
    transform: str
    method: str
    performance: Estimate
    sensitivity: Estimate
    dimension: Estimate


def plane(pieces: Sequence[Evidence]) -> tuple[Spot, ...] | Missing:
    """Every method that was trained in all environments; an environment is a workload of the study.

        Γ(e, h) = (score - 5th percentile) / (95th - 5th percentile)
        performance = mean over e of max over h of Γ
        Φ = performance - max over h of mean over e of Γ

    Percentiles are those of all runs in an environment, of all methods, settings and seeds.

    Args:
        pieces: of one optimizer and condition, one per environment.

    Reference: Adkins, Bowling, White, "A method for evaluating hyperparameter sensitivity in reinforcement
        learning", 2024, sections 3 and 4.

    Differs from the reference: a maximum is chosen on the other seeds and read on the seed itself
        (`study.measures.minimum`), because the best of noisy scores is too good. A lost setting counts as the
        untrained score, where the paper leaves it out. Intervals are Student's over seeds.
    """
    if len(pieces) < 2:
        return Missing(f"needs at least two environments (workloads); the study has {len(pieces)}")
    if any(piece.partial for piece in pieces):
        return Missing("needs the scores of the whole grid (design: grid)")
    if any(piece.n_seeds == 0 for piece in pieces):
        return Missing("needs a complete seed in every environment")
    if lack := missing_seeds(pieces):
        return Missing(f"needs {lack}")
    bounds = np.array([percentiles(piece) for piece in pieces])
    floor_ES, ceiling_ES = (np.repeat(bounds[:, k : k + 1], pieces[0].n_seeds, axis=1) for k in (0, 1))
    common = [name for name in pieces[0].landscapes if all(name in piece.landscapes for piece in pieces)]
    spots = []
    for name in common:
        own = [piece.landscapes[name] for piece in pieces]
        score_SEWL = normalised(own, floor_ES, ceiling_ES)
        best_SE = -least(-score_SEWL.reshape(*score_SEWL.shape[:2], -1))
        spots.append(
            Spot(
                title=own[0].title,
                transform=name,
                method=own[0].method,
                performance=Estimate(tuple(best_SE.mean(axis=1).tolist())),
                sensitivity=shared_default_regret(score_SEWL),
                dimension=effective_dimension(score_SEWL),
            )
        )
    return tuple(spots)


def percentiles(piece: Evidence) -> Floats:
    """The scores of an environment that become 0 and 1."""
    everything = np.concatenate([one.score_SWL.ravel() for one in piece.landscapes.values()])
    return np.asarray(np.percentile(everything, PERCENTILES))
