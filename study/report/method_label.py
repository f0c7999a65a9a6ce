"""What a method is called in tables for readers."""

from __future__ import annotations

from study.measures.landscape import Landscape


def method_label(landscape: Landscape) -> str:
    """The name of a landscape's transform, with the constants that differ from its defaults."""
    return landscape.transform
