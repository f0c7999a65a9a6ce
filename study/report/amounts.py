"""How many there are of something, as people write it."""

from __future__ import annotations


def amount(count: int, noun: str) -> str:
    """`1 transform`, `7 transforms`, `1,764 cells`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
