"""Claims over the settings of several studies as a table, and why each holds in general or does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding

from study.claims.generality import Generality, Verdicts
from study.claims.pooled_comparison import Pooled
from study.measures.estimate import bound_of
from study.measures.stratified import DRAWS, Interval
from study.report.amounts import amount
from study.report.terminal.claims import COLOURS
from study.report.terminal.layout import titled


def generality_table(
    found: Verdicts, studies: Sequence[str], silent: Sequence[str], rules: Mapping[str, Sequence[str]]
) -> Group:
    """One row per claim; below, the reasons, the meaning of the columns, and what was counted once.

    Args:
        silent: ids of claims without a number in any of the studies.
        rules: by study, what a reader must know of the rules of its verdicts.
    """
    names = ", ".join(dict.fromkeys(studies))
    table = titled(escape(f"Claims over all settings of {names}"), padding=(0, 1, 0, 0))
    # Verdicts here stand below the claim: as a column they would leave no room for the effect at 100 columns.
    table.add_column("claim, and verdicts here", no_wrap=True)
    table.add_column("effect in the hardest comparison", min_width=22)
    for name in ("on its side", "tasks", "I²", "in general"):
        table.add_column(name, no_wrap=True)
    for one in found.claims:
        table.add_row(*row(one))
    unmeasured = f"Without a number in these studies: {', '.join(silent)}" if silent else ""
    if not found.claims:
        return Group(escape(f"No claim has a number in {names}."), escape(unmeasured), "")
    lines = [*tasks(found), *legend(found), *rules_changed(rules), *repeated(found)]
    lines += [unmeasured, ""] if unmeasured else []
    return Group(table, *reasons(found), "", *map(escape, lines))


def coloured(verdict: str, text: str | None = None) -> str:
    """A verdict in its colour."""
    return f"[{COLOURS.get(verdict, 'white')}]{escape(text or verdict)}[/]"


def row(one: Generality) -> list[str]:
    """A claim's cells."""
    hardest = one.shown
    here = (f"  {coloured(verdict, f'{count} {verdict}')}" for verdict, count in one.here.items())
    limit = f"claimed {'>' if hardest.above else '<'} {hardest.turn(hardest.threshold):.3g}"
    return [
        "\n".join([escape(one.id), *here]),
        escape(f"{effect(hardest)}\n{hardest.place}\n{limit}"),
        escape(side(hardest)),
        str(len(hardest.tasks)),
        heterogeneity(hardest),
        coloured(one.verdict),
    ]


def effect(one: Pooled) -> str:
    """`0.12 [0.05, 0.2] decades`, or how often an exact rule is broken."""
    if one.exact:
        return f"broken in {one.broken_runs} of {amount(one.runs, 'run')}"
    if one.effect is None:
        return "–"
    unit = f" {one.unit}" if one.unit else ""
    sign = bound_of(lower=bool(one.higher), upper=bool(one.lower))
    return f"{sign}{worded(one.effect, one.turn)}{unit}"


def worded(found: Interval, turn: Callable[[float], float] = float) -> str:
    """`0.12 [0.05, 0.2]`."""
    return f"{turn(found.value):.3g} [{turn(found.low):.3g}, {turn(found.high):.3g}]"


def side(one: Pooled) -> str:
    """`62%` of the seeds, and below it the interval."""
    if one.exact and one.runs:
        return f"{1 - one.broken_runs / one.runs:.0%}"
    if one.share is None:
        return "–"
    return f"{one.share.value:.0%}\n[{100 * one.share.low:.0f}, {100 * one.share.high:.0f}]"


def heterogeneity(one: Pooled) -> str:
    """`73%`, or a dash for one task."""
    found = one.effects.i_squared if one.effects else None
    return "–" if found is None else f"{found:.0%}"


def reasons(found: Verdicts) -> list[RenderableType]:
    """The number behind each verdict in general."""
    lines: list[RenderableType] = ["In general:"]
    for one in found.claims:
        lines += [
            f"  {escape(one.id)}: {coloured(one.verdict)}",
            Padding(escape(f"{one.reason[0].upper()}{one.reason[1:]}."), (0, 0, 0, 4)),
        ]
    return lines


def legend(found: Verdicts) -> list[str]:
    """What the columns mean."""
    together = f"corrected for {amount(found.together, 'claim')} (Bonferroni)"
    percent = f"{found.confidence:.0%}"
    return [
        "What the columns mean:",
        "  here         how many settings have which verdict in the ledger of their own study",
        "  effect       interquartile mean over all settings and seeds, each task with the same weight",
        "  on its side  share of seeds on the claim's side, ties half (probability of improvement)",
        f"  [ ]          {percent} bootstrap intervals over seeds within settings, {DRAWS:,} draws; no",
        "               verdict rests on them",
        "  tasks        workloads; models, optimizers, variants and budgets on one count together",
        "  I²           share of the variance between tasks that the seeds do not explain",
        "  in general   about tasks that were not tried: the mean over tasks, with Student's interval,",
        f"               {together}",
        "",
    ]


def tasks(found: Verdicts) -> list[str]:
    """What "in general" speaks of: tasks like these."""
    lines = [f"In general means tasks like these: {'; '.join(found.tasks)}."]
    if len(found.tasks) == 1:
        lines.append("All settings have the same data, so that nothing is known of others.")
    return [*lines, ""]


def rules_changed(lines: Mapping[str, Sequence[str]]) -> list[str]:
    """What readers of verdicts must know of a study's rules."""
    found = [f"  {name}: {line}" for name, said in lines.items() for line in said]
    return ["Studies whose rules are not those from the start:", *found, ""] if found else []


def repeated(found: Verdicts) -> list[str]:
    """The settings that stand for others with the same cells."""
    pairs = dict.fromkeys((one.left_out.place, one.counted.place) for one in found.repeated)
    if not pairs:
        return []
    lines = [f"  {left_out}, which has cells of {counted}" for left_out, counted in pairs]
    return ["Not counted again:", *lines, ""]
