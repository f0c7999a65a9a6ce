"""How words are printed that somebody else wrote: a user, a path, another program."""

from __future__ import annotations

from rich.console import Console


def tell(console: Console, words: str) -> None:
    """Print words as they are: unwrapped, and without reading markup, colours or smileys in them.

    A label or a fault of a server may hold brackets. rich would drop them, or raise `MarkupError`.
    """
    console.print(words, highlight=False, soft_wrap=True, markup=False, emoji=False)
