"""How pictures look, whatever the user has set for pictures of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import UserError
from trainers.naming import nearest

WIDTHS = {"one": 3.25, "two": 6.75}
"""Width of a picture [inches]: one column of a paper, or both. The narrowest that conferences have."""
POINTS = 7
"""Size of all text at the final size [points]; journals want 5 to 7 and more."""
HOUSE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # and editable, with the font inside
    "font.size": POINTS,
    "axes.titlesize": POINTS,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "figure.titlesize": POINTS + 1,
    "axes.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.minor.size": 1.2,
    "ytick.minor.size": 1.2,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "axes.labelpad": 1.5,
    "hatch.linewidth": 0.5,
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's, which people with every kind of colour vision tell apart."""
KEPT = ("svg.fonttype", "pdf.fonttype", "text.usetex", "backend", "interactive", "figure.figsize")
"""What no style changes: how text is stored, how wide a page is, what starts programs or opens windows."""


@dataclass(frozen=True)
class PictureStyle:
    """What the user chooses of how pictures look.

    Attributes:
        width: a key of `WIDTHS`.
        title: whether the figure says above what it is of. In a paper the caption does.
        style: a matplotlib style file, or the name of a style that comes with matplotlib; empty for none.
    """

    width: str = "two"
    title: bool = True
    style: str = ""

    @property
    def inches(self) -> float:
        return WIDTHS[self.width]


ORDINARY = PictureStyle()


@contextmanager
def style(salt: str | None = None, look: PictureStyle = ORDINARY) -> Iterator[None]:
    """Draw and save under matplotlib's own defaults, also as a decorator; afterwards the user's are back.

    A `matplotlibrc` in the current folder, or code of the user's own, must not change pictures: studies are
    compared by them, and a launch does not draw again what it finds unchanged. Only a style that is asked for
    by name does.

    Args:
        salt: of the ids inside an svg, which are random without one.
    """
    from matplotlib import rc_context, rcParams, rcParamsDefault

    # Not the backend: no figure here is shown on a screen, and a notebook's must stay what it is.
    default = {name: value for name, value in rcParamsDefault.items() if name != "backend"}
    chosen = settings_of(look.style)
    page = {"figure.figsize": (look.inches, look.inches), "svg.hashsalt": salt}
    with rc_context({**default, **HOUSE, **page}):
        rcParams.update(chosen)
        yield


def page_width() -> float:
    """Width of the pages of the style that is in force [inches]."""
    from matplotlib import rcParams

    return float(rcParams["figure.figsize"][0])


def settings_of(name: str) -> dict[str, Any]:
    """What a style sets.

    Raises:
        UserError: there is no such style, or the file is none.
    """
    if not name:
        return {}
    import logging

    from matplotlib import rc_params_from_file
    from matplotlib.style import available, library

    if name in available:
        found: Any = library[name]
    elif Path(name).is_file():
        # Matplotlib warns of a wrong line, and takes the others. A picture for a paper wants all of them.
        heard: list[str] = []
        listener = logging.Handler()
        listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("matplotlib")
        logger.addHandler(listener)
        try:
            found = rc_params_from_file(name, use_default_template=False)
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise UserError(f"--style {name}: cannot be read ({error})") from None
        finally:
            logger.removeHandler(listener)
        if heard:
            raise UserError(f"--style {name}: {' '.join(heard[0].split())}")
    else:
        known = f"known: {', '.join(available)}"
        raise UserError(f"--style {name}: neither a file nor a style; {known}{nearest(name, available)}")
    return {key: value for key, value in found.items() if key not in KEPT}
