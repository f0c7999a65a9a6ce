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
from study.report.outlook import LIMITS
from study.report.terminal.layout import titled

NOTHING = 1e-6
"""Errors below it are written as 0."""


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
    name = escape(analysis.plan.spec.name)
    if not analysis.outlooks:
        return Group(nothing_open(analysis), "")
    parts: list[Table | str] = []
    # The ledger goes claim by claim, and people read setting by setting. A name of a setting as a column, or
    # in one, would leave no room for the others.
    for here in dict.fromkeys(setting for _, setting in analysis.outlooks):
        place = f" on {escape(here)}" if len(analysis.evidence) > 1 else ""
        table = titled(f"What undecided claims of {name} take{place} ({POWER:.0%} chance)")
        table.add_column("claim", no_wrap=True)
        cost_of = "cost" if price is None else "cost: time, money"
        for column in ("comparison", "sd", "grid ±", "seeds for a verdict", "limited by", cost_of):
            table.add_column(column)
        for (id_, setting), found in analysis.outlooks.items():
            if setting != here:
                continue
            row = [
                id_,
                found.against,
                *map(short, (found.deviation, found.grid)),
                "; ".join(f"{count} {verdict}" for verdict, count in found.seeds.items() if count),
                limit(found),
                cost(analysis, seen, (id_, setting), price),
            ]
            table.add_row(*map(escape, row))
        parts.append(table)
    parts += [escape(line) for line in analysis.registration.lines]
    note = "sd over seeds and the grid's error in the unit of each claim; costs are those of the fewest seeds"
    return Group(*parts, note, "")


def short(number: float | None) -> str:
    """Two digits; 0 where the number is far below whatever a study can tell."""
    if number is None:
        return ""
    return f"{number if number > NOTHING else 0:.2g}"


def nothing_open(analysis: Analysis) -> str:
    """Why no claim waits for anything."""
    if not analysis.seeds_seen:
        return "no seed is complete yet, so that nothing is known of what claims take; launch again"
    if all(claim.estimate is None for claim in analysis.judged):
        return "no claim compares anything here; claims.md of `study export` says what each one lacks"
    return "every claim that this study can decide is decided"


def limit(found: Outlook) -> str:
    """`seeds`, or `grid: 3.2 x the points of lr`."""
    if found.points is None:
        return LIMITS[found.missing]
    return f"{LIMITS[found.missing]}: {found.points:.1f} x the points of {found.axis}"


def cost(analysis: Analysis, seen: Preview, claim: tuple[str, str], price: float | None) -> str:
    """What the least of a claim's numbers of seeds costs in time, and in money where a price is given.

    All transforms of the claim's settings get them.

    Args:
        claim: its id and setting.
        price: of an hour of one worker.
    """
    enough = [count for count in analysis.outlooks[claim].seeds.values() if count]
    question, plan = analysis.judgement.questions[claim], analysis.plan
    keys, first = set(question.finding.keys), plan.spec.seeds[0]
    settings = {cell.setting for cell in plan.cells if cell.key in keys}
    per_seed = [cell for cell in plan.cells if cell.seed == first and cell.setting in settings]
    if plan.spec.design == "edges":
        # As many as the first seed took.
        per_seed = [cell for cell in per_seed if cell.key in analysis.stored]
    if not enough or not per_seed:
        return ""
    measured = {key: _seconds(analysis, key) for key in plan.settings}
    seconds = estimate_seconds(plan, per_seed, measured, 1)
    if seconds is None:
        return ""
    seconds *= max(min(enough) - question.n_seeds, 0)
    words = clock(seconds / seen.workers)
    return words if price is None else f"{words}, {seconds / 3600 * price:.2f}"


def _seconds(analysis: Analysis, setting: str) -> float | None:
    found = [one.seconds for one in analysis.stored.values() if one.setting == setting]
    return sum(found) / len(found) if found else None
