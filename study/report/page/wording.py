"""How the page writes names and numbers."""

from __future__ import annotations

import math

from study.measures.estimate import Estimate, Missing, bound_of
from study.report.pictures.geometry import whole_decade

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Three digits with a true minus sign; a dash where there is no number."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3g}".replace("-", "−")


def place(value: float) -> str:
    """A value of an axis: `10⁻³`, `0.0316`, `3.16×10⁻⁵`, `0`."""
    if value and whole_decade(value) and not 0.1 <= value <= 100:
        return f"10{str(round(math.log10(value))).translate(RAISED)}"
    mantissa, _, power = f"{value:.3g}".partition("e")
    return f"{mantissa}×10{str(int(power)).translate(RAISED)}" if power else mantissa


def tick(value: float) -> str:
    """The same for a tick, where powers of ten stand beside each other."""
    if value and whole_decade(value):
        return f"10{str(round(math.log10(value))).translate(RAISED)}"
    return place(value)


def span(interval: tuple[float, float] | None) -> str:
    """`[−0.2, 0.3]`, or nothing."""
    return f"[{number(interval[0])}, {number(interval[1])}]" if interval else ""


def worded(found: Estimate | Missing, confidence: float) -> str:
    """`≥ 4.2 [3.7, 4.7]`, or a dash."""
    if isinstance(found, Missing):
        return "–"
    bound = bound_of(lower=found.lower_bound, upper=found.upper_bound)
    return f"{bound}{number(found.shown)} {span(found.interval(confidence))}".strip()
