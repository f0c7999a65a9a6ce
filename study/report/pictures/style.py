"""How pictures look, whatever the user has set for pictures of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

HOUSE = {"svg.fonttype": "none", "pdf.fonttype": 42}
"""Text stays text in an svg, and fonts of type 42 keep it editable in a pdf."""


@contextmanager
def style(salt: str | None = None) -> Iterator[None]:
    """Draw and save under matplotlib's own defaults, also as a decorator; afterwards the user's are back.

    A `matplotlibrc` in the current folder, or code of the user's own, must not change pictures: studies are
    compared by them, and a launch does not draw again what it finds unchanged.

    Args:
        salt: of the ids inside an svg, which are random without one.
    """
    from matplotlib import rc_context, rcParamsDefault

    # Not the backend: no figure here is shown on a screen, and a notebook's must stay what it is.
    default = {name: value for name, value in rcParamsDefault.items() if name != "backend"}
    with rc_context({**default, **HOUSE, "svg.hashsalt": salt}):
        yield
