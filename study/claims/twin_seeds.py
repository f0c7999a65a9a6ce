"""Seeds that make twins: which transforms have enough of them, and one twin study drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from study.claims.baselines import GS
from study.errors import UserError
from study.measures.landscape import Landscape
from study.spec.tolerances import Tolerances

METHODS = (GS, "autoscale")
"""Methods that the shipped claims are about; the user's own claims add theirs."""
BASELINES = ("none", "clip_norm", "unit_norm", "centralization", "zscore")
"""What they are compared with."""
NAMES = 4
"""Names that a twin study has where seeds allow: the claims about regions then find all that they name."""


@dataclass(frozen=True)
class Source:
    """A transform whose complete seeds make twins.

    Attributes:
        landscapes: one per setting, all with the same seeds.
        names: how many names one twin study gives to its seeds.
    """

    landscapes: tuple[Landscape, ...]
    names: int

    @property
    def seeds(self) -> int:
        return len(self.landscapes[0].seeds)

    @property
    def transform(self) -> str:
        return self.landscapes[0].transform

    @property
    def settings(self) -> list[str]:
        return [one.setting_title for one in self.landscapes]


def spanning(
    landscapes: Sequence[Landscape], least: int
) -> tuple[list[tuple[Landscape, ...]], dict[str, int]]:
    """Each transform in all of its settings, at the seeds that are complete in all of them.

    Args:
        least: complete seeds that twins need.

    Returns:
        the transforms, and what was left out, with its number of complete seeds.
    """
    groups: dict[str, list[Landscape]] = {}
    for one in landscapes:
        groups.setdefault(one.transform, []).append(one)
    found: list[tuple[Landscape, ...]] = []
    left_out: dict[str, int] = {}
    for transform, members in groups.items():
        # A setting that is still being trained must not keep the others from making twins.
        ready = [one for one in members if one.complete_S.sum() >= least]
        if ready:
            for one in members:
                if one.complete_S.sum() < least:
                    left_out[f"{one.setting_title} · {transform}"] = int(one.complete_S.sum())
        else:
            ready = members
        common = set.intersection(*(set(np.asarray(one.seeds)[one.complete_S].tolist()) for one in ready))
        found.append(tuple(one.at_seeds(np.isin(one.seeds, list(common))) for one in ready))
    return found, left_out


def seeds_per_name(counts: Sequence[int], tolerances: Tolerances, wanted: int | None, study: str) -> int:
    """How many seeds each name of a twin study has.

    Args:
        counts: complete seeds of every transform.

    Raises:
        UserError: a verdict needs more, or two names need more than there are.
    """
    least = tolerances.least_seeds
    most = max(counts, default=0)
    if most < 2 * least:
        raise UserError(
            f"{study}: the transform with the most complete seeds has {most}; twins need at least "
            f"{2 * least}, for two names of {least} seeds each (region: least_seeds); set seeds: {2 * least} "
            "or more in the spec and launch it again, which trains the new seeds alone"
        )
    if wanted is None:
        fewest = min(count for count in counts if count >= 2 * least)
        return max(least, fewest // NAMES)
    if not least <= wanted <= most // 2:
        raise UserError(
            f"--seeds {wanted}: a verdict needs {least} seeds or more, and {most} complete seeds are enough "
            f"for two names of {most // 2}; give {least} to {most // 2}, or add seeds to {study}"
        )
    return wanted


def twin_study(
    source: Source, seeds: int, methods: Sequence[str], rng: np.random.Generator
) -> list[Landscape]:
    """Landscapes of one transform's disjoint seeds under the names of a method and of some baselines.

    A name has the same seeds in every setting.
    """
    method = methods[int(rng.integers(len(methods)))]
    others = [name for name in BASELINES if name != method]
    # Which baselines a study has decides which claims it can support, so they vary too.
    names = [method, *rng.choice(others, size=min(source.names - 1, len(others)), replace=False).tolist()]
    order = rng.permutation(source.seeds)
    found = []
    for landscape in source.landscapes:
        for k, name in enumerate(names):
            chosen_S = np.zeros(source.seeds, dtype=bool)
            chosen_S[order[k * seeds : (k + 1) * seeds]] = True
            part = landscape.at_seeds(chosen_S)
            renamed = replace(part, seeds=tuple(range(seeds)), method=name, transform=name, constants=())
            found.append(renamed)
    return found
