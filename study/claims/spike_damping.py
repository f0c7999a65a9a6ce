"""Claims about spikes against clipping: what leaves the method on one, and how soon it is back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from study.claims.baselines import keys_of, lacking, others
from study.claims.finding import Comparison, Finding
from study.claims.gradients import BEYOND, UNRECORDED, recorded
from study.claims.recovery import LEVEL, RECOVERED, recovery
from study.claims.spikes import SPIKES_NEEDED, spiked
from study.measures.array_types import Floats
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence, missing_seeds
from study.measures.landscape import Landscape
from study.measures.regions import MAJORITY
from trainers.budget import Budget


def damps_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """Outgoing norm on a seed's first spike over its level before, against clipping; ratios per size."""
    return _against_clipping(
        evidence,
        own,
        "outgoing norm on a seed's first spike step over its level before (geometric mean over competitive "
        "cells), as a ratio to that of clip_norm",
        _jump,
    )


def recovers_from_spikes(evidence: Evidence, own: Landscape) -> Finding:
    """Steps after a seed's first spike until the outgoing level is back; ratios to clipping per size."""
    return _against_clipping(
        evidence,
        own,
        f"steps after a seed's first spike until the outgoing norm is back within {RECOVERED:.0%} of its "
        "level before (geometric mean over competitive cells; where it is not back, the steps that were "
        "left), as a ratio to those of clip_norm",
        _wait,
    )


def _against_clipping(
    evidence: Evidence, own: Landscape, measure: str, of: Callable[[Evidence, str, Budget], Jumps | None]
) -> Finding:
    """The method's geometric mean over that of clip_norm at every size, below 1."""
    wanted = {"a clipping method (clip_norm)": ("clip_norm",)}
    missing = lacking(evidence, wanted)
    pieces = spiked(evidence, own)
    if not pieces:
        return Finding(measure, "x", missing=SPIKES_NEEDED)
    if trouble := missing_seeds([piece for piece, _ in pieces]):
        return Finding(measure, "x", missing=trouble)
    comparisons, used = [], []
    for piece, budget in pieces:
        for other in others(piece, wanted):
            mine, theirs = of(piece, own.transform, budget), of(piece, other.transform, budget)
            if mine is None or theirs is None:
                return Finding(measure, "x", missing=UNRECORDED.format("outgoing norm"))
            used += [piece.landscapes[own.transform], other]
            comparisons.append(_sized(budget.spike_size, other.transform, mine, theirs))
    return Finding(
        measure,
        "x",
        tuple(comparisons),
        ratio=True,
        missing=missing,
        partial=bool(missing),
        keys=keys_of(used),
    )


def _sized(size: float, other: str, mine: Jumps, theirs: Jumps) -> Comparison:
    """One method's logarithms against another's at one size of the spikes."""
    place = f"{other} at spikes of size {size:g}"
    if not np.isfinite([*mine.log_S, *theirs.log_S]).all():
        return Comparison(place, None, 0.0, False, "no competitive cell lived to see a spike at some seed")
    found = Estimate(
        tuple((mine.log_S - theirs.log_S).tolist()), lower_bound=mine.cut, upper_bound=theirs.cut
    )
    means = [math.exp(one.log_S.mean()) for one in (mine, theirs)]
    return Comparison(place, found, 0.0, False, f"{means[0]:.3g} and {means[1]:.3g}")


@dataclass(frozen=True)
class Jumps:
    """What a seed's competitive cells did at its first spike.

    Attributes:
        log_S: mean logarithm over the cells; NaN where there are none.
        cut: in at least half of the cells it would have been larger, had training gone on.
    """

    log_S: Floats
    cut: bool = False


def _jump(piece: Evidence, transform: str, budget: Budget) -> Jumps | None:
    """The outgoing norm on the first spike's step over its level before."""
    from trainers.spikes import spiked_steps

    landscape, seen = piece.landscapes[transform], piece.landscapes[transform].series
    if not recorded(seen, "out_norm"):
        return None
    norm = np.minimum(np.where(seen.broken("out_norm"), BEYOND, seen.values["out_norm"]), BEYOND)
    found = []
    for s, seed in enumerate(landscape.seeds):
        hits = sorted(spiked_steps(budget, seed))
        values = norm[s][piece.near(transform)[s]]
        own_J = np.isfinite(values).any(axis=0)
        at = seen.step_J.index(hits[0]) if hits and hits[0] in seen.step_J else -1
        before = values[:, [j for j in range(max(0, at - LEVEL), max(at, 0)) if own_J[j]]]
        level = before.mean(axis=1) if before.size else np.full(len(values), np.nan)
        usable = np.isfinite(level) & (level > 0) & np.isfinite(values[:, at]) & (values[:, at] > 0)
        logs = np.log(values[usable, at] / level[usable])
        found.append(float(logs.mean()) if at > 0 and logs.size else math.nan)
    return Jumps(np.array(found))


def _wait(piece: Evidence, transform: str, budget: Budget) -> Jumps | None:
    """Steps until the outgoing level is back after the first spike."""
    from trainers.spikes import spiked_steps

    landscape, seen = piece.landscapes[transform], piece.landscapes[transform].series
    if not recorded(seen, "out_norm"):
        return None
    found, cut, cells = [], 0, 0
    for s, seed in enumerate(landscape.seeds):
        hits = [step for step in sorted(spiked_steps(budget, seed)) if step in seen.step_J]
        waited = recovery(seen, s, hits, "out_norm", piece.near(transform)[s])
        last = hits[1] if len(hits) > 1 else seen.step_J[-1]
        cut, cells = cut + int(np.isinf(waited).sum()), cells + waited.size
        waited = np.where(np.isinf(waited), last - hits[0] if hits else np.nan, waited)
        found.append(float(np.log(waited).mean()) if waited.size else math.nan)
    return Jumps(np.array(found), cells > 0 and cut / cells >= MAJORITY)
