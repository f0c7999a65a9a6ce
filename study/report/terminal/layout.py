"""How tables look on a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table


def titled(title: str, *, padding: tuple[int, int, int, int] = (0, 1, 0, 1)) -> Table:
    """An empty table below its title.

    Args:
        title: rich's markup is obeyed in it, so names that a user wrote are escaped by the caller.
        padding: spaces around a cell: above, right, below, left.
    """
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=padding)


def block_row(table: Table, name: str) -> None:
    """Begin a block of rows under a line with a setting's name.

    As a column, names that long would leave no room for the others.
    """
    table.add_section()
    table.add_row(f"[bold]{escape(name)}[/]")
