"""Claims about what was recorded at every step: scale factors, deviations, gains, directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeGuard

import numpy as np

from study.claims.baselines import in_metric, keys_of, lacking, others
from study.claims.finding import Comparison, Finding, either
from study.claims.robustness import lost_apart, tuned_apart
from study.measures.array_types import Flags, Floats
from study.measures.dynamics import Series, over, ranks
from study.measures.estimate import Estimate
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from trainers.budget import PRECISIONS

ROUNDING = 1e-5
"""What exceeds a limit by less than this does not exceed it [relative].

Recorded numbers have seven digits and come from float32 arithmetic.
"""
BEYOND = 1e12
"""Stands for what is not finite, and for every larger number."""
AMPLIFIES = 10.0
"""Gain of a layer that counts as amplification."""
FEWEST = 3
"""Moments that a trend needs."""
UNRECORDED = "recorded dynamics (budget: dynamics) that have the {} of every recorded step"
BASE = {"the baseline none": ("none",)}


def recorded(seen: Series | None, name: str) -> TypeGuard[Series]:
    """Whether a number was recorded, be it finite or not."""
    return seen is not None and (seen.has(name) or bool(seen.broken(name).any()))


def never_amplifies(evidence: Evidence, own: Landscape) -> Finding:
    """The largest scale factor of every seed, over all recorded steps of its competitive cells.

    Cells that are lost at a large learning rate say nothing about training: anything amplifies there. A scale
    that is not finite in a living cell counts as larger than every limit.
    """
    measure = "largest scale factor a_t over all recorded steps of a seed's competitive cells"
    seen = own.series
    if not recorded(seen, "scale"):
        return Finding(measure, "", missing=UNRECORDED.format("scale factor"))
    scale = np.where(seen.broken("scale"), BEYOND, seen.values["scale"])
    scale = np.where(skipped(evidence, own), np.nan, scale)
    known = np.isfinite(scale) & evidence.near(own.transform)[..., None]
    if not known.any(axis=(1, 2, 3)).all():
        return Finding(measure, "", missing="a competitive cell at every seed")
    above = (scale > 1 + ROUNDING) & known
    largest_S = over(np.where(known, scale, np.nan), np.nanmax, 1, 2, 3)
    everywhere = np.isfinite(scale)
    note = (
        f"a_t > 1 in {above.sum() / known.sum():.3g} of these steps, and in "
        f"{(scale[everywhere] > 1 + ROUNDING).mean():.3g} of the recorded steps of all cells"
    )
    # The floor keeps the logarithm finite where a scale is 0.
    found = Estimate(tuple(np.log(np.maximum(largest_S, 1e-12)).tolist()))
    comparison = Comparison(
        "recorded steps",
        found,
        math.log1p(ROUNDING),
        False,
        note,
        preposition="over all",
        exact=True,
        breaking=evidence.tolerances.breaking,
        steps=int(known.sum()),
    )
    return Finding(measure, "", (comparison,), ratio=True, keys=keys_of([own]))


def std_decreases(evidence: Evidence, own: Landscape) -> Finding:
    """Rank correlation of the deviation over all weights together with the step, in competitive cells."""
    return _trends(evidence, own, _global_trend)


def layer_std_rises(evidence: Evidence, own: Landscape) -> Finding:
    """The same of the layer that rises most."""
    return _trends(evidence, own, _layer_trend)


def _trends(
    evidence: Evidence, own: Landscape, of: Callable[[Evidence, Series, Flags, Flags], Comparison]
) -> Finding:
    """One of the two sentences about trends.

    A cell counts with the moments at which all these deviations are finite, if they are `FEWEST` or more.
    """
    measure = (
        "Spearman correlation of the gradient's standard deviation with the step "
        "(median over competitive cells)"
    )
    seen = own.series
    if seen is None or not seen.has("grad_std") or len(seen.step_J) < FEWEST:
        lack = UNRECORDED.format("gradient deviation") + ", at three steps or more"
        return Finding(measure, "", missing=lack)
    if of is _layer_trend and len(seen.layers) < 2:
        lack = "a network with several weights, of which the sentence sets one against all together"
        return Finding(measure, "", missing=lack)
    known = np.isfinite(seen.values["grad_std"]) & np.isfinite(seen.values["layer_std"]).all(axis=4)
    cells = evidence.near(own.transform) & (known.sum(axis=3) >= FEWEST)
    if not cells.any(axis=(1, 2)).all():
        lack = f"a competitive cell at every seed, with {FEWEST} moments or more"
        return Finding(measure, "", missing=lack)
    return Finding(measure, "", (of(evidence, seen, cells, known),), keys=keys_of([own]))


def _global_trend(evidence: Evidence, seen: Series, cells: Flags, known: Flags) -> Comparison:
    """Whether the deviation over all weights together falls; the baseline's trend stands beside it."""
    trend_S = trend(seen.values["grad_std"], cells, known)
    parts = [f"below 0 in {int((trend_S < 0).sum())} of {len(trend_S)} seeds"]
    without = {other.transform: mean_trend(evidence, other) for other in others(evidence, BASE)}
    parts += [f"with {name} {value:.3g}" for name, value in without.items() if value is not None]
    found = Estimate(tuple(trend_S.tolist()))
    return Comparison("all weights together", found, 0.0, False, "; ".join(parts), preposition="for")


def _layer_trend(evidence: Evidence, seen: Series, cells: Flags, known: Flags) -> Comparison:
    """Whether the deviation of the layer that rises most rises."""
    trend_SN = np.stack(
        [trend(seen.values["layer_std"][..., n], cells, known) for n in range(len(seen.layers))], axis=1
    )
    chosen = _rising_most(trend_SN)
    found = Estimate(tuple(float(trend_SN[s, n]) for s, n in enumerate(chosen)))
    names = ", ".join(sorted({seen.layers[n] for n in chosen}))
    note = f"{names}, chosen on the other seeds"
    return Comparison("the layer that rises most", found, 0.0, True, note, preposition="for")


def _rising_most(trend_SN: Floats) -> list[int]:
    """For each seed the layer that rises most."""
    if len(trend_SN) == 1:
        return [int(trend_SN[0].argmax())]
    # Chosen on the other seeds: the largest of several noisy trends of the same seed would be biased upwards.
    return [int(np.delete(trend_SN, s, axis=0).mean(axis=0).argmax()) for s in range(len(trend_SN))]


def trend(values_SWLJ: Floats, cells_SWL: Flags, known_SWLJ: Flags) -> Floats:
    """Spearman correlation of cells' series with their steps: the median over the chosen cells of each seed.

    Each cell is correlated over its known moments alone.
    """
    rank = ranks(np.where(known_SWLJ, values_SWLJ, np.nan))
    moment = np.cumsum(known_SWLJ, axis=-1).astype(np.float64) - 1.0
    count = np.maximum(known_SWLJ.sum(axis=-1, keepdims=True), 1)
    centred, steps = _centred(rank, known_SWLJ, count), _centred(moment, known_SWLJ, count)
    spread = np.sqrt((centred**2).sum(axis=-1) * (steps**2).sum(axis=-1))
    # A constant series has no correlation; it counts as 0, neither rising nor falling.
    rho = np.divide((centred * steps).sum(axis=-1), spread, out=np.zeros_like(spread), where=spread > 0)
    return np.array([np.median(rho[s][cells_SWL[s]]) for s in range(len(rho))])


def _centred(place: Floats, known: Flags, count: Floats) -> Floats:
    """Places minus their mean over the known moments; 0 at the others."""
    mean = np.where(known, place, 0.0).sum(axis=-1, keepdims=True) / count
    return np.where(known, place - mean, 0.0)


def mean_trend(evidence: Evidence, landscape: Landscape) -> float | None:
    """The global trend of another method, if it can be computed at every seed."""
    seen = landscape.series
    if seen is None or not seen.has("grad_std"):
        return None
    known = np.isfinite(seen.values["grad_std"])
    competitive = evidence.regions[landscape.transform, "competitive", "own"].inside_SWL
    cells = competitive & (known.sum(axis=3) >= FEWEST)
    if not cells.any(axis=(1, 2)).all():
        return None
    return float(trend(seen.values["grad_std"], cells, known).mean())


def zscore_amplifies(evidence: Evidence, own: Landscape) -> Finding:
    """The largest gain of a layer in trained cells, and whether the method diverges more or ends lower."""
    measure = (
        "largest gain of a layer (gradient norm after over before) in a seed's trained cells; "
        "divergence share and tuned score against none"
    )
    missing = lacking(evidence, BASE)
    if not recorded(own.series, "gain"):
        return Finding(measure, "x", missing=UNRECORDED.format("gain of every layer"))
    inside = evidence.regions[own.transform, "trained", "own"].inside_SWL
    gain = np.where(own.series.broken("gain"), BEYOND, own.series.values["gain"])
    gain = np.where(inside[..., None, None], np.minimum(gain, BEYOND), np.nan)
    largest_S = over(gain, np.nanmax, 1, 2, 3, 4)
    if not np.isfinite(largest_S).all() or (largest_S <= 0).any():
        return Finding(measure, "x", missing="a trained cell at every seed")
    middle = float(np.nanmedian(gain[np.isfinite(gain)]))
    comparisons = [
        Comparison(
            "trained cells",
            Estimate(tuple(np.log(largest_S).tolist())),
            math.log(AMPLIFIES),
            True,
            f"median gain {middle:.3g}",
            preposition="in",
            unit="x",
            ratio=True,
        )
    ]
    bases = evidence.of("none")[:1]
    comparisons += [either(*harms(evidence, own, base)) for base in bases]
    return Finding(
        measure,
        "x",
        tuple(comparisons),
        ratio=True,
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *bases]),
    )


def harms(evidence: Evidence, own: Landscape, base: Landscape) -> Sequence[Comparison]:
    """That the method loses more cells than the baseline, and that it ends with a worse score."""
    lower = Comparison(
        f"{base.transform} in tuned score",
        tuned_apart(evidence, own)[base.transform],
        0.0,
        False,
        unit=own.metric_name,
        ratio=False,
    )
    (lost,) = lost_apart(evidence, own, [base])
    return [more_divergences(lost), in_metric(lower, own)]


def more_divergences(one: Comparison) -> Comparison:
    """A comparison of shares of lost cells, turned round: here the claim is that the method loses more."""
    return replace(
        one,
        against=f"{one.against} in the share of lost cells",
        above=not one.above,
        unit="fraction",
        ratio=False,
    )


def keeps_direction(evidence: Evidence, own: Landscape) -> Finding:
    """One minus the least cosine per tensor between incoming and outgoing gradient.

    By construction it is 1 in exact arithmetic, so that only overflow and underflow can break it.
    """
    return _turned(evidence, own, "least_cosine", "a tensor's gradient", "tensor")


def keeps_whole_direction(evidence: Evidence, own: Landscape) -> Finding:
    """The same of the whole gradient: scaling tensors apart turns it, even where each keeps its direction."""
    return _turned(evidence, own, "cosine", "the whole gradient", "whole gradient")


def skipped(evidence: Evidence, own: Landscape) -> Flags:
    """Where float16's loss scale was too large, so that the step was left out, in the shape [S, W, L, J].

    Its gradients came from the loss scale alone, and nothing was done with what the transform made of them.
    """
    budget, seen = evidence.budget, own.series
    assert seen is not None
    if budget is None or PRECISIONS[budget.precision][1] != "float16":
        return np.zeros_like(seen.alive_SWLJ)
    return seen.broken("grad_norm")


def _turned(evidence: Evidence, own: Landscape, name: str, what: str, against: str) -> Finding:
    measure = (
        f"largest 1 - cosine between {what} before and after, over all recorded steps of a seed's cells that "
        "are not lost"
    )
    seen = own.series
    if not recorded(seen, name):
        lack = UNRECORDED.format("cosine between incoming and outgoing gradient")
        return Finding(measure, "", missing=lack)
    # What left is not finite, so it has no direction that could be the same: a cosine of -1 is the furthest.
    # In a lost cell the incoming gradient itself overflows, which is not the method's doing.
    cosine = np.where(seen.broken(name), -1.0, seen.values[name])
    cosine = np.where(own.lost_SWL[..., None] | skipped(evidence, own), np.nan, cosine)
    known = np.isfinite(cosine)
    if not known.any(axis=(1, 2, 3)).all():
        return Finding(measure, "", missing="a recorded direction at every seed")
    least_S = over(cosine, np.nanmin, 1, 2, 3)
    note = f"the cosine is {cosine[known].mean():.4g} on average and {cosine[known].min():.4g} at least"
    found = Estimate(tuple(np.maximum(1 - least_S, 0.0).tolist()))
    comparison = Comparison(
        against,
        found,
        ROUNDING,
        False,
        note,
        preposition="per" if name == "least_cosine" else "of the",
        exact=True,
        breaking=evidence.tolerances.breaking,
        steps=int(known.sum()),
    )
    return Finding(measure, "", (comparison,), keys=keys_of([own]))
