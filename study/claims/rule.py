"""What a claim is made of: a sentence, where it stands, the method that it is about, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.evidence import Evidence
from study.landscape import Landscape
from study.verdicts import Finding

GS = "gradient_stabilizer"
MAINTAINED = 0.005
"""Largest loss of accuracy that still counts as maintained [fraction; half a point]."""

Decide = Callable[[Evidence, Landscape], Finding]
"""Measures a claim about one landscape: that of the method, with whatever constants. The study's other settings are `evidence.study`."""


@dataclass(frozen=True)
class Rule:
    """A sentence, where it stands, the method that it is about, and how a study measures it.

    Attributes:
        across: what of a setting (`condition`, `optimizer`) the measurement itself compares, so that the claim is asked once for
            all of them. Of several conditions a claim that does not compare them is asked of the one nearest to the ordinary.
        each_variant: ask it of every variant of the method's constants, not of the first alone.
    """

    sentence: str
    source: str
    method: str
    decide: Decide
    across: tuple[str, ...] = ()
    each_variant: bool = True


def keys_of(landscapes: Sequence[Landscape]) -> tuple[str, ...]:
    """Keys of all cells of these landscapes."""
    return tuple(str(key) for landscape in landscapes for key in landscape.key_SWL.ravel())


def lacking(evidence: Evidence, wanted: Mapping[str, Sequence[str]]) -> str:
    """Which of the comparisons that a sentence names the study cannot make, in words; empty when it has all.

    Args:
        wanted: what to compare with, in words, and the methods of which any one will do.
    """
    absent = [name for name, methods in wanted.items() if not evidence.of(*methods)]
    return (
        f"the sentence compares with {' and '.join(absent)}, which the study does not have" if absent else ""
    )


def others(evidence: Evidence, wanted: Mapping[str, Sequence[str]]) -> list[Landscape]:
    """The landscapes that a sentence compares with."""
    return evidence.of(*(method for methods in wanted.values() for method in methods))
