"""What an undecided claim would take, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from study.analysis import Analysis
from study.claims.foresight import AXIS, GRID, LACK, MOST, POWER, SEEDS, SIDE, WINDOW, Outlook


def _seeds(found: Outlook) -> str:
    if found.deviation is None:
        return "two seeds or more to be told"
    enough = sorted((count, verdict) for verdict, count in found.seeds.items() if count)
    if not enough:
        return f"more than {MOST:,} seeds, if the difference is the present one"
    return " or ".join(f"{count} seeds for *{verdict}*" for count, verdict in enough)


def _grid(found: Outlook) -> str:
    return (
        f"{found.points:.1f} times as many points along {found.axis}: the grid alone leaves "
        f"± {found.grid:.2g} open"
    )


WORDS: Mapping[str, Callable[[Outlook], str]] = {
    SEEDS: _seeds,
    GRID: _grid,
    AXIS: lambda found: "a wider axis, or longer training: the number is only a bound",
    WINDOW: lambda found: (
        "a number at every seed; `study export` writes claims.md, which says what is missing"
    ),
    LACK: lambda found: f"no number of seeds, because {found.lack}",
    SIDE: lambda found: "one range of learning rates that the sentence means: elsewhere the sign is another",
}
"""By what is missing."""


LIMITS: Mapping[str, str] = {
    SEEDS: "seeds",
    GRID: "grid",
    AXIS: "border of the grid",
    WINDOW: "no number",
    LACK: "what it compares",
    SIDE: "learning rate",
}
"""What limits a claim, in a table."""


def takes(found: Outlook) -> str:
    """`104 seeds for *no difference* (against centralization)`."""
    return f"{WORDS[found.missing](found)} ({found.against})"


def taken(analysis: Analysis) -> list[str]:
    """One line per claim that has a number and no verdict: what it would take."""
    several = len(analysis.evidence) > 1
    lines = []
    for (id_, setting), found in analysis.outlooks.items():
        place = f" ({setting})" if several else ""
        lines.append(f"  {id_}{place}: {takes(found)}")
    return lines


HEADING = f"What it would take ({POWER:.0%} chance, if the truth is the present number):"
