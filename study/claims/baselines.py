"""What sentences compare with: the methods that they name, and the cells behind a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from study.claims.finding import Comparison
from study.measures.estimate import Estimate, pooled
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape

GS = "gradient_stabilizer"
MAINTAINED = 0.005
"""Largest loss of accuracy that still counts as maintained [fraction; half a point]."""
CLIPPING = ("clip_norm", "clip_value", "agc", "zclip", "autoclip", "adagc")
DECOUPLED = ("adamw", "lion", "muon", "schedule_free_adamw", "prodigy", "adam_mini")
"""Optimizers whose weight decay is decoupled."""
SCALE_FREE = ("adam", "rmsprop", *DECOUPLED)
"""Optimizers that divide by the size of the gradient: one lr means one step, whatever rescales before it."""
KEEP_LR = ("none", "centralization", *CLIPPING)
"""Methods that leave most gradients as large as they are, and so lr what it means."""


def same_lr(one: Landscape, other: Landscape) -> bool:
    """Whether a learning rate means the same with both methods."""
    if one.optimizer_method in SCALE_FREE:
        return True
    return one.method in KEEP_LR and other.method in KEEP_LR


def keys_of(landscapes: Sequence[Landscape]) -> tuple[str, ...]:
    """Keys of all cells of these landscapes that were trained."""
    # `tolist`: an array of strings gives `np.str_`, which prints as np.str_('…') in whatever shows a claim.
    return tuple(key for one in landscapes for key in one.key_SWL[one.trained_SWL].tolist())


def lacking(evidence: Evidence, wanted: Mapping[str, Sequence[str]]) -> str:
    """Name the comparisons of a sentence that the study cannot make; empty when it can make all of them.

    A study without clipping must not support a sentence about clipping, so what is lacking is always said.

    Args:
        wanted: what to compare with, in words, and the methods of which any one will do.
    """
    absent = [name for name, methods in wanted.items() if not evidence.of(*methods)]
    if not absent:
        return ""
    return f"the sentence compares with {' and '.join(absent)}, which the study does not have"


def against_others(
    evidence: Evidence, own: Landscape, compare: Callable[[Landscape], Estimate | None]
) -> dict[str, Estimate]:
    """A method's differences to every other transform of the setting, with their pooled spread.

    All of them are computed, whichever a sentence names: together they tell how much such a difference varies
    over seeds (`study.measures.prior`).

    Args:
        compare: the difference to another transform; None where there is none.
    """
    found = {}
    for other in evidence.landscapes.values():
        if other.transform != own.transform and (difference := compare(other)) is not None:
            found[other.transform] = difference
    return pooled(found)


def in_metric(one: Comparison, landscape: Landscape) -> Comparison:
    """A comparison of scores as one of the metric itself: turned round where lower is better."""
    found = one.estimate
    if landscape.higher_is_better or found is None:
        return one
    return replace(one, estimate=found.turned, threshold=-one.threshold, above=not one.above)


def others(evidence: Evidence, wanted: Mapping[str, Sequence[str]]) -> list[Landscape]:
    """The landscapes that a sentence compares with."""
    # One call with all methods: `of` keeps the spec's order, in which the comparisons are then shown.
    return evidence.of(*(method for methods in wanted.values() for method in methods))
