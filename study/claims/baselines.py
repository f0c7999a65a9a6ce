"""What a claim is made of: a sentence, where it stands, the method that it is about, and the function that measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from study.measures.evidence import Evidence
from study.measures.landscape import Landscape

GS = "gradient_stabilizer"
MAINTAINED = 0.005
"""Largest loss of accuracy that still counts as maintained [fraction; half a point]."""


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
