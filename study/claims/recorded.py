"""Claims about what was recorded at every step: scale factors, deviations, gains, directions."""

from __future__ import annotations

import math

import numpy as np

from study.claims.baselines import keys_of, lacking, others
from study.claims.robustness import fewer_divergences
from study.claims.verdicts import Comparison, Finding, either
from study.measures.arrays import Flags, Floats
from study.measures.dynamics import over, ranks
from study.measures.estimate import Estimate, difference, worded
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.tuning import tuned_score

ROUNDING = 1e-5
"""Recorded numbers have seven digits and come from float32 arithmetic: what exceeds a limit by less than this does not [relative]."""
AMPLIFIES = 10.0
"""Gain of a layer that counts as amplification."""
FEWEST = 3
"""Moments that a trend takes at least."""
UNRECORDED = "recorded dynamics (budget: dynamics) that have the {} of every recorded step"
BASE = {"the baseline none": ("none",)}


def never_amplifies(evidence: Evidence, own: Landscape) -> Finding:
    """The largest scale factor of every seed, over all recorded steps of all cells."""
    measure = "largest scale factor a_t over all recorded steps and cells of a seed"
    if own.series is None or not own.series.has("scale"):
        return Finding(measure, "", missing=UNRECORDED.format("scale factor"))
    scale = own.series.values["scale"]
    largest_S, known = over(scale, np.nanmax, 1, 2, 3), np.isfinite(scale)
    share = Estimate(tuple(((scale > 1 + ROUNDING) & known).sum(axis=(1, 2, 3)) / known.sum(axis=(1, 2, 3))))
    inside = evidence.regions[own.transform, "trained", "own"].inside_SWL[..., None] & known
    note = f"a_t > 1 in a share of {worded(share, evidence.tolerances.confidence)} of the {int(known.sum()):,} recorded steps of all cells"
    note += (
        f", and of {((scale > 1 + ROUNDING) & inside).sum() / inside.sum():.3g} in its trained region"
        if inside.any()
        else ""
    )
    found = Estimate(tuple(np.log(np.maximum(largest_S, 1e-12)).tolist()))
    comparison = Comparison(
        "recorded steps", found, math.log1p(ROUNDING), False, note, preposition="over all", exact=True
    )
    return Finding(measure, "", (comparison,), ratio=True, keys=keys_of([own]))


def std_decreases(evidence: Evidence, own: Landscape) -> Finding:
    """Rank correlation of gradient deviations with the step, in competitive cells: global, and in the layer that rises most.

    A cell counts with the moments at which all these deviations are finite, if they are `FEWEST` or more.
    """
    measure = "Spearman correlation of the gradient's standard deviation with the step (median over competitive cells)"
    seen = own.series
    if seen is None or not seen.has("grad_std") or len(seen.step_J) < FEWEST:
        return Finding(
            measure, "", missing=UNRECORDED.format("gradient deviation") + ", at three steps or more"
        )
    if len(seen.layers) < 2:
        return Finding(
            measure,
            "",
            missing="a network with several weights, of which the sentence sets one against all together",
        )
    known = np.isfinite(seen.values["grad_std"]) & np.isfinite(seen.values["layer_std"]).all(axis=4)
    cells = evidence.regions[own.transform, "competitive", "own"].inside_SWL & (known.sum(axis=3) >= FEWEST)
    if not cells.any(axis=(1, 2)).all():
        return Finding(
            measure, "", missing=f"a competitive cell at every seed, with {FEWEST} moments or more"
        )
    global_S = trend(seen.values["grad_std"], cells, known)
    layer_SN = np.stack(
        [trend(seen.values["layer_std"][..., n], cells, known) for n in range(len(seen.layers))], axis=1
    )
    chosen = [
        int(np.delete(layer_SN, s, axis=0).mean(axis=0).argmax())
        if len(layer_SN) > 1
        else int(layer_SN[s].argmax())
        for s in range(len(layer_SN))
    ]
    rising = Estimate(tuple(float(layer_SN[s, n]) for s, n in enumerate(chosen)))
    falls = int((global_S < 0).sum())
    without = {other.transform: mean_trend(evidence, other) for other in others(evidence, BASE)}
    base = "; ".join(f"with {name} {value:.3g}" for name, value in without.items() if value is not None)
    note = f"below 0 in {falls} of {len(global_S)} seeds" + (f"; {base}" if base else "")
    names = ", ".join(sorted({seen.layers[n] for n in chosen}))
    comparisons = (
        Comparison(
            "all weights together", Estimate(tuple(global_S.tolist())), 0.0, False, note, preposition="for"
        ),
        Comparison(
            "the layer that rises most",
            rising,
            0.0,
            True,
            f"{names}, chosen on the other seeds",
            preposition="for",
        ),
    )
    return Finding(measure, "", comparisons, keys=keys_of([own]))


def trend(values_SWLJ: Floats, cells_SWL: Flags, known_SWLJ: Flags) -> Floats:
    """Spearman correlation of each cell's series with its steps, over its known moments alone, as the median over the chosen cells of each seed."""
    places = ranks(np.where(known_SWLJ, values_SWLJ, np.nan)), np.cumsum(known_SWLJ, axis=-1) - 1.0
    count = np.maximum(known_SWLJ.sum(axis=-1, keepdims=True), 1)
    centred, steps = (
        np.where(
            known_SWLJ, place - np.where(known_SWLJ, place, 0.0).sum(axis=-1, keepdims=True) / count, 0.0
        )
        for place in places
    )
    spread = np.sqrt((centred**2).sum(axis=-1) * (steps**2).sum(axis=-1))
    rho = np.divide((centred * steps).sum(axis=-1), spread, out=np.zeros_like(spread), where=spread > 0)
    return np.array([np.median(rho[s][cells_SWL[s]]) for s in range(len(rho))])


def mean_trend(evidence: Evidence, landscape: Landscape) -> float | None:
    """The global trend of another method, if it can be computed at every seed."""
    seen = landscape.series
    if seen is None or not seen.has("grad_std"):
        return None
    known = np.isfinite(seen.values["grad_std"])
    cells = evidence.regions[landscape.transform, "competitive", "own"].inside_SWL & (
        known.sum(axis=3) >= FEWEST
    )
    return (
        float(trend(seen.values["grad_std"], cells, known).mean()) if cells.any(axis=(1, 2)).all() else None
    )


def zscore_amplifies(evidence: Evidence, own: Landscape) -> Finding:
    """The largest gain of a layer in trained cells, and that the method diverges more or ends lower than the baseline."""
    measure = "largest gain of a layer (gradient norm after over before) in a seed's trained cells; divergence share and tuned score against none"
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
    for base in evidence.of("none")[:1]:
        diverges = [
            replaced(one)
            for one in fewer_divergences(evidence, own).comparisons
            if one.against == base.transform
        ]
        lower = Comparison(
            f"{base.transform} in tuned score",
            difference(tuned_score(own), tuned_score(base)),
            0.0,
            False,
            unit=own.metric_name,
            ratio=False,
        )
        comparisons.append(either(*diverges, lower))
    return Finding(
        measure,
        "x",
        tuple(comparisons),
        ratio=True,
        missing=missing,
        partial=bool(missing),
        keys=keys_of([own, *evidence.of("none")[:1]]),
    )


def replaced(one: Comparison) -> Comparison:
    """The comparison of divergence shares, turned: this claim says that the method diverges more."""
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
    """One minus the least cosine per tensor between incoming and outgoing gradient; the whole gradient's is reported."""
    measure = "largest 1 - cosine between a tensor's gradient before and after, over all recorded steps and cells of a seed"
    seen = own.series
    if seen is None or not seen.has("least_cosine"):
        return Finding(
            measure, "", missing=UNRECORDED.format("cosine between incoming and outgoing gradient")
        )
    least_S, whole = over(seen.values["least_cosine"], np.nanmin, 1, 2, 3), seen.values["cosine"]
    known = whole[np.isfinite(whole)]
    note = f"the whole gradient's cosine is {known.mean():.4g} on average and {known.min():.4g} at least, over {known.size:,} recorded steps"
    found = Estimate(tuple(np.maximum(1 - least_S, 0.0).tolist()))
    return Finding(
        measure,
        "",
        (Comparison("tensor", found, ROUNDING, False, note, preposition="per", exact=True),),
        keys=keys_of([own]),
    )
