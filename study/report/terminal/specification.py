"""The specification curve of every claim as a table, for `study analyse --specification`."""

from __future__ import annotations

from rich.console import Group
from rich.markup import escape

from study.analysis import Analysis
from study.claims.specification import CORNERS, Specified, Variation, variations
from study.claims.verdicts import INCONCLUSIVE
from study.report.terminal.layout import titled


def specification_table(analysis: Analysis) -> Group:
    """One row per measured claim: a letter per variation, how many agree, and the estimates' range."""
    spec = analysis.plan.spec
    shown = [one for one in analysis.specification if one.span is not None and one.varied]
    if not shown:
        reason = "an edge-seeking design trains the cells of its own thresholds alone"
        why = reason if spec.design == "edges" else "no claim has a number yet"
        return Group(f"No specification curve: {why}.", "")
    several = len(analysis.evidence) > 1
    table = titled(
        escape(f"Claims of {spec.name} under other thresholds (specification curve)"), padding=(0, 1, 0, 0)
    )
    columns = columns_of(variations(spec.region))
    for name in ("claim", *(("setting",) if several else ()), "spec"):
        table.add_column(name, no_wrap=name != "setting", overflow="fold")
    for name, members in columns.items():
        values = [f"{one.changed[name]:g}" if name in one.changed else one.name for one in members]
        table.add_column("\n".join([name, " ".join(values)] if name else values), no_wrap=True)
    table.add_column("agree", no_wrap=True)
    table.add_column("estimates")
    for one in shown:
        assert one.span is not None  # for the type checker
        place = {varied.variation.words: varied.verdict for varied in one.varied}
        cells = [" ".join(letter(place[member.words]) for member in members) for members in columns.values()]
        low, high = (f"{end:.3g}" for end in one.span)
        row = [
            one.claim.id,
            *([one.claim.setting] if several else []),
            letter(one.claim.verdict),
            *cells,
            f"{one.agreeing} of {len(one.varied)}",
            low if low == high else f"{low} … {high}",
        ]
        table.add_row(*map(escape, row))
    return Group(table, escape(legend(shown)), "")


def columns_of(found: list[Variation]) -> dict[str, list[Variation]]:
    """The variations of each threshold, and those of all thresholds below an empty name."""
    columns: dict[str, list[Variation]] = {}
    for variation in found:
        columns.setdefault("" if variation.name in CORNERS else variation.name, []).append(variation)
    return columns


def letter(verdict: str) -> str:
    """What stands for a verdict in the table."""
    return "·" if verdict == INCONCLUSIVE else verdict[0].upper()


def legend(shown: list[Specified]) -> str:
    """What the letters mean, and what a variation is."""
    verdicts = {one.claim.verdict for one in shown}
    verdicts |= {varied.verdict for one in shown for varied in one.varied}
    letters = ", ".join(f"{letter(verdict)} {verdict}" for verdict in sorted(verdicts))
    return (
        f"{letters}; one letter per value, in order. One threshold is varied at a time, the others are the "
        f"spec's; {' and '.join(CORNERS)}: all thresholds at once."
    )
