"""What a command is doing, while its reader waits at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on standard error what is being done until the block ends; then the line goes.

    Where that is no terminal nothing is said: a script reads its answer, and nobody waits.
    """
    console = Console(stderr=True, emoji=False)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        # What the block prints on standard output belongs to the answer.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as line:
        line.add_task(what, total=None)
        yield
