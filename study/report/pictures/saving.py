"""Figures as files: an empty page, words on it, and how it is written."""

from __future__ import annotations

import csv
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.file_names import partial
from study.report.pictures.style import ORDINARY, PictureStyle, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

FORMATS = ("png", "svg", "pdf")
NUMBER = re.compile(r"\$(\\mathdefault\{)?([\d.]+\{?\\times\}? ?)?-?[\d.]+(\^\{-?\d+\})?\}?\$")
"""A number of an axis that is written as a formula: `$10^{-3}$`, or as matplotlib writes it."""
DPI = 300
"""Of what is no vector [dots per inch]; what printers of journals ask for."""


def canvas(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """An empty figure [inches] that needs no screen.

    Args:
        layout: who places the panels; None where the caller does, which is exact and twice as fast.
    """
    from matplotlib.figure import Figure

    # Not pyplot, which keeps every figure in a global list until somebody closes it.
    return Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]


def wrapped(words: str, width: int) -> str:
    """Words in lines of so many characters, at most six: longer ones would leave no page for the picture."""
    return textwrap.fill(words, width, max_lines=6, placeholder=" …")


def take_literally(figure: Figure) -> None:
    """Show dollars in names and titles as they are: a spec's words may hold some, and are no formulas."""
    from matplotlib.text import Text

    # The exponents of a logarithmic axis are formulas, which matplotlib writes itself. But names may stand at
    # an axis, too, and a label that has no words yet gets a number when it is drawn.
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    labels = [label for axis in axes for label in axis.get_ticklabels(which="both")]
    numbers = {id(one) for one in labels if not one.get_text() or NUMBER.fullmatch(one.get_text())}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in numbers:
            text.set_parse_math(False)


def save(
    figure: Figure, folder: Path, name: str, look: PictureStyle = ORDINARY, kinds: Sequence[str] = ()
) -> list[Path]:
    """Write the figure, each file whole or not at all.

    Pictures carry no date, so equal studies give equal files.

    Args:
        kinds: the formats; all of `FORMATS` if empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    undated: dict[str, dict[str, None] | None] = {
        "png": None,
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }
    written = []
    with style(name, look):
        take_literally(figure)
        for kind in kinds or FORMATS:
            path = folder / f"{name}.{kind}"
            # Harder pressing takes twice as long, for a twentieth of the size.
            pressed: dict[str, Any] = {"pil_kwargs": {"compress_level": 3}} if kind == "png" else {}
            figure.savefig(partial(path), format=kind, dpi=DPI, metadata=undated[kind], **pressed)
            os.replace(partial(path), path)
            written.append(path)
    return written


def save_table(rows: Sequence[Mapping[str, Any]], folder: Path, name: str) -> list[Path]:
    """Write the numbers behind a picture as CSV, if there are any. An empty field is no number."""
    if not rows:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: plain(value) for key, value in row.items()})
    return [path]


def plain(value: Any) -> Any:
    """A value as a table has it: numbers that are none are empty, and flags are 0 and 1."""
    if isinstance(value, bool):
        return int(value)
    return "" if value is None or value != value else value
