"""How tables look on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

INDENT = 2
"""Spaces before a row of a block."""
WIDEST = 48
"""Characters that a first column gets in any case. Longer titles wrap."""


def titled(title: str, *, padding: tuple[int, int, int, int] = (0, 1, 0, 1)) -> Table:
    """An empty table below its title.

    Args:
        title: rich's markup is obeyed in it, so names that a user wrote are escaped by the caller.
        padding: spaces around a cell: above, right, below, left.
    """
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=padding)


def name_column(table: Table, name: str, titles: Iterable[str]) -> None:
    """A first column that holds every title in one line.

    Names of settings, which may be longer than a page is wide, wrap in it and leave the others their room.
    """
    longest = max(map(len, titles), default=0) + INDENT
    table.add_column(name, min_width=min(longest, WIDEST), overflow="fold")


def block_row(table: Table, name: str) -> None:
    """Begin a block of rows under a line with a setting's name.

    As a column, names that long would leave no room for the others.
    """
    table.add_section()
    table.add_row(f"[bold]{escape(name)}[/]")
