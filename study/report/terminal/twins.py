"""The false-verdict rate on twins as a table, and what is shown while it is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from study.claims.twins import MOST_SECONDS, Rate, Tell, Twins
from study.report.terminal.layout import titled
from study.report.terminal.words import tell

EVERY = 5.0
"""Seconds between two plain lines."""


def twins_table(study: str, found: Twins) -> Group:
    """One row for any claim, one per claim that was asked. Below, what the rates rest on."""
    table = titled(escape(f"False verdicts of {study} on twins (every difference is luck)"))
    for name in ("claim", "false verdicts", f"share [{found.overall.confidence:.0%} interval]", "n"):
        table.add_column(name)
    table.add_row("any claim", counted(found.overall), shared(found.overall), worded(found.overall))
    for name, rate in found.claims.items():
        if rate.asked:
            kinds = ", ".join(f"{count} {verdict}" for verdict, count in found.verdicts[name].items())
            count = f"{counted(rate)}{f': {kinds}' if kinds else ''}"
            table.add_row(escape(name), count, escape(shared(rate)), worded(rate))
    return Group(table, *map(escape, lines(found)), "")


def counted(rate: Rate) -> str:
    """`3 of 200`."""
    return f"{rate.false} of {rate.asked}"


def shared(rate: Rate) -> str:
    """`1.5 % [0.0, 41.0]`."""
    if rate.share is None or rate.interval is None:
        return "nothing was asked"
    low, high = rate.interval
    return f"{100 * rate.share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def worded(rate: Rate) -> str:
    """The number of independent twin studies."""
    return f"{rate.independent:.1f}" if rate.asked else ""


def lines(found: Twins) -> list[str]:
    """What the rates rest on, in words."""
    names = sorted({source.names for source in found.sources})
    least, most = names[0], names[-1]
    settings = max(len(source.settings) for source in found.sources)
    spread = f", each in {settings} settings at once" if settings > 1 else ""
    said = [
        f"{found.replicates} twin studies: {found.seeds} seeds under each of "
        f"{least if least == most else f'{least} to {most}'} names, of {len(found.sources)} transforms in "
        f"turn{spread}. The shipped claims judged them at one look, and share the error.",
        "n: as many independent twin studies would give a share of the same variance. It follows from how "
        "the transforms differ, and is at most the number of their seeds.",
    ]
    if found.overall.asked < found.replicates:
        said.append(f"In {found.overall.asked} of them there was something that a claim compares.")
    if found.replicates < found.wanted:
        said.append(f"Stopped after {MOST_SECONDS:.0f} s; {found.wanted} twin studies were asked for.")
        if late := [source.transform for source in found.sources[found.replicates :]]:
            said.append(f"Not reached: {', '.join(late)}")
    silent = [name for name, rate in found.claims.items() if not rate.asked]
    if silent:
        said.append(f"Never asked, for lack of what they compare: {', '.join(silent)}")
    if found.left_out:
        few = ", ".join(f"{name} ({seeds} complete seeds)" for name, seeds in found.left_out.items())
        said.append(f"Left out, with too few seeds: {few}")
    return said


@contextmanager
def telling(console: Console) -> Iterator[Tell]:
    """Show how many replicates are done: a bar on a terminal, elsewhere a line every few seconds."""
    printed = time.monotonic()
    with Progress(
        BarColumn(30),
        TextColumn("{task.completed}/{task.total} twin studies"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("twins", total=None)

        def count(done: int, of: int) -> None:
            nonlocal printed
            bar.update(task, completed=done, total=of)
            now = time.monotonic()
            if not console.is_terminal and now - printed >= EVERY:
                printed = now
                tell(console, f"{done}/{of} twin studies")

        yield count
