"""What `study plan` prints of claims: the power for stated effects, and after a pilot what each takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from study.analysis import Analysis
from study.claims.foresight import POWER, Outlook
from study.claims.looks import Look
from study.plan.cells import estimate_seconds
from study.plan.preview import Preview
from study.report.durations import clock
from study.report.outlook import LIMITS, taken
from study.report.terminal.layout import block_row, titled


def power_table(chances: Mapping[float, Sequence[float]], looks: Sequence[Look], questions: int) -> Group:
    """The chance of a verdict at each look, by the size of the effect."""
    table = titled("Chance of a verdict")
    table.add_column("effect [sd over seeds]", justify="right")
    for look in looks:
        table.add_column(f"{look.seeds} seeds", justify="right")
    for effect, row in chances.items():
        table.add_row(f"{effect:g}", *(f"{chance:.0%}" for chance in row))
    note = (
        f"On one comparison, of {questions} that share the error, where nothing but seeds limits it. "
        "Launch, and plan again: then it is known what does."
    )
    return Group(table, note, "")


def outlook_table(analysis: Analysis, seen: Preview, price: float | None) -> Group:
    """One row per undecided claim: what blocks it, what it would take, and what limits it."""
    spec = analysis.plan.spec
    several = len(analysis.evidence) > 1
    table: Table = titled(f"What undecided claims of {escape(spec.name)} take ({POWER:.0%} chance)")
    for name in (
        "claim",
        "sd",
        "grid ±",
        "supported",
        "refuted",
        "no difference",
        "limited by",
        "cost" if price is None else "cost: time, money",
    ):
        table.add_column(name, no_wrap=name in ("claim", "no difference"))
    # The ledger goes claim by claim, and the table setting by setting.
    for here in dict.fromkeys(setting for _, setting in analysis.outlooks):
        if several:
            block_row(table, here)
        for (id_, setting), found in analysis.outlooks.items():
            if setting != here:
                continue
            row = [
                id_,
                *(("" if one is None else f"{one:.2g}") for one in (found.deviation, found.grid)),
                *(seeds_of(found, verdict) for verdict in ("supported", "refuted", "no difference")),
                LIMITS[found.missing],
                cost(analysis, seen, found, price),
            ]
            table.add_row(*map(escape, row))
    if not table.row_count:
        return Group("every claim that this study can decide is decided", "")
    return Group(table, *map(escape, taken(analysis)), "")


def seeds_of(found: Outlook, verdict: str) -> str:
    """`24`, or a dash where no number of seeds does."""
    count = found.seeds.get(verdict)
    return "–" if count is None else str(count)


def cost(analysis: Analysis, seen: Preview, found: Outlook, price: float | None) -> str:
    """What the least of these numbers of seeds costs in time, and in money where a price is given.

    All transforms of the setting get them.

    Args:
        price: of an hour of one worker.
    """
    enough = [count for count in found.seeds.values() if count]
    if not enough:
        return ""
    per_seed = [cell for cell in analysis.plan.cells if cell.seed == analysis.plan.spec.seeds[0]]
    more = max(min(enough) - analysis.seeds_seen, 0)
    measured = {key: _seconds(analysis, key) for key in analysis.plan.settings}
    seconds = estimate_seconds(analysis.plan, per_seed, measured, 1)
    if seconds is None:
        return ""
    words = clock(seconds * more / seen.workers)
    return words if price is None else f"{words}, {seconds * more / 3600 * price:.2f}"


def _seconds(analysis: Analysis, setting: str) -> float | None:
    found = [one.seconds for one in analysis.stored.values() if one.setting == setting]
    return sum(found) / len(found) if found else None
