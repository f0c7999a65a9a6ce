"""Claims about what was recorded at every step: scale factors, deviations, gains, directions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from study.claims.baselines import keys_of, lacking, others
from study.claims.finding import Comparison, Finding, either
from study.claims.robustness import fewer_divergences
from study.measures.array_types import Flags, Floats
from study.measures.dynamics import Series, over, ranks
from study.measures.estimate import Estimate, difference, worded
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.tuning import tuned_score

ROUNDING = 1e-5
"""What exceeds a limit by less than this does not exceed it [relative].

Recorded numbers have seven digits and come from float32 arithmetic.
"""
AMPLIFIES = 10.0
"""Gain of a layer that counts as amplification."""
FEWEST = 3
"""Moments that a trend needs."""
UNRECORDED = "recorded dynamics (budget: dynamics) that have the {} of every recorded step"
BASE = {"the baseline none": ("none",)}


def never_amplifies(evidence: Evidence, own: Landscape) -> Finding:
    """The largest scale factor of every seed, over all recorded steps of all cells."""
    measure = "largest scale factor a_t over all recorded steps and cells of a seed"
    if own.series is None or not own.series.has("scale"):
        return Finding(measure, "", missing=UNRECORDED.format("scale factor"))
    scale = own.series.values["scale"]
    known, above = np.isfinite(scale), scale > 1 + ROUNDING
    largest_S = over(scale, np.nanmax, 1, 2, 3)
    share = Estimate(tuple((above & known).sum(axis=(1, 2, 3)) / known.sum(axis=(1, 2, 3))))
    note = (
        f"a_t > 1 in a share of {worded(share, evidence.tolerances.confidence)} "
        f"of the {int(known.sum()):,} recorded steps of all cells"
    )
    inside = evidence.regions[own.transform, "trained", "own"].inside_SWL[..., None] & known
    if inside.any():
        note += f", and of {(above & inside).sum() / inside.sum():.3g} in its trained region"
    # The floor keeps the logarithm finite where a scale is 0.
    found = Estimate(tuple(np.log(np.maximum(largest_S, 1e-12)).tolist()))
    comparison = Comparison(
        "recorded steps", found, math.log1p(ROUNDING), False, note, preposition="over all", exact=True
    )
    return Finding(measure, "", (comparison,), ratio=True, keys=keys_of([own]))


def std_decreases(evidence: Evidence, own: Landscape) -> Finding:
    """Rank correlation of gradient deviations with the step, in competitive cells.

    One comparison is about all weights together, one about the layer that rises most. A cell counts with the
    moments at which all these deviations are finite, if they are `FEWEST` or more.
    """
    measure = (
        "Spearman correlation of the gradient's standard deviation with the step "
        "(median over competitive cells)"
    )
    seen = own.series
    if seen is None or not seen.has("grad_std") or len(seen.step_J) < FEWEST:
        lack = UNRECORDED.format("gradient deviation") + ", at three steps or more"
        return Finding(measure, "", missing=lack)
    if len(seen.layers) < 2:
        lack = "a network with several weights, of which the sentence sets one against all together"
        return Finding(measure, "", missing=lack)
    known = np.isfinite(seen.values["grad_std"]) & np.isfinite(seen.values["layer_std"]).all(axis=4)
    cells = evidence.regions[own.transform, "competitive", "own"].inside_SWL & (known.sum(axis=3) >= FEWEST)
    if not cells.any(axis=(1, 2)).all():
        lack = f"a competitive cell at every seed, with {FEWEST} moments or more"
        return Finding(measure, "", missing=lack)
    comparisons = (_global_trend(evidence, seen, cells, known), _layer_trend(seen, cells, known))
    return Finding(measure, "", comparisons, keys=keys_of([own]))


def _global_trend(evidence: Evidence, seen: Series, cells: Flags, known: Flags) -> Comparison:
    """Whether the deviation over all weights together falls; the baseline's trend stands beside it."""
    trend_S = trend(seen.values["grad_std"], cells, known)
    parts = [f"below 0 in {int((trend_S < 0).sum())} of {len(trend_S)} seeds"]
    without = {other.transform: mean_trend(evidence, other) for other in others(evidence, BASE)}
    parts += [f"with {name} {value:.3g}" for name, value in without.items() if value is not None]
    found = Estimate(tuple(trend_S.tolist()))
    return Comparison("all weights together", found, 0.0, False, "; ".join(parts), preposition="for")


def _layer_trend(seen: Series, cells: Flags, known: Flags) -> Comparison:
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
    if own.series is None or not own.series.has("gain"):
        return Finding(measure, "x", missing=UNRECORDED.format("gain of every layer"))
    inside = evidence.regions[own.transform, "trained", "own"].inside_SWL
    gain = np.where(inside[..., None, None], own.series.values["gain"], np.nan)
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
    """That the method diverges more than the baseline, and that it ends lower."""
    found = fewer_divergences(evidence, own).comparisons
    lower = Comparison(
        f"{base.transform} in tuned score",
        difference(tuned_score(own), tuned_score(base)),
        0.0,
        False,
        unit=own.metric_name,
        ratio=False,
    )
    return [*(more_divergences(one) for one in found if one.against == base.transform), lower]


def more_divergences(one: Comparison) -> Comparison:
    """A comparison of divergence shares, turned round: here the claim is that the method diverges more."""
    return Comparison(
        f"{one.against} in divergence share",
        one.estimate,
        one.threshold,
        not one.above,
        one.note,
        unit="fraction",
        ratio=False,
    )


def keeps_direction(evidence: Evidence, own: Landscape) -> Finding:
    """One minus the least cosine per tensor between incoming and outgoing gradient."""
    measure = (
        "largest 1 - cosine between a tensor's gradient before and after, "
        "over all recorded steps and cells of a seed"
    )
    seen = own.series
    if seen is None or not seen.has("least_cosine"):
        lack = UNRECORDED.format("cosine between incoming and outgoing gradient")
        return Finding(measure, "", missing=lack)
    least_S, whole = over(seen.values["least_cosine"], np.nanmin, 1, 2, 3), seen.values["cosine"]
    # The whole gradient's cosine is shown and decides nothing: scaling tensors apart turns the whole, even
    # where each keeps its own direction.
    known = whole[np.isfinite(whole)]
    note = (
        f"the whole gradient's cosine is {known.mean():.4g} on average and {known.min():.4g} at least, "
        f"over {known.size:,} recorded steps"
    )
    found = Estimate(tuple(np.maximum(1 - least_S, 0.0).tolist()))
    comparison = Comparison("tensor", found, ROUNDING, False, note, preposition="per", exact=True)
    return Finding(measure, "", (comparison,), keys=keys_of([own]))
