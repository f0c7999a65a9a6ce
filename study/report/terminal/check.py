"""What `study check` prints: a line per part of a home, and below it what is not whole."""

from __future__ import annotations

from study.check import Check
from study.stored import damaged_lines


def check_lines(found: Check) -> list[str]:
    """What of a home is whole, and what mends the rest."""
    lines = []
    for part in found.parts:
        facts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in part.facts.items())
        lines.append(f"{part.name}: {'whole' if part.whole else 'NOT WHOLE'}{f' ({facts})' if facts else ''}")
        lines += [f"  {problem}" for problem in part.problems]
        lines += [f"  {line}" for line in damaged_lines(part.damaged)]
    return lines
