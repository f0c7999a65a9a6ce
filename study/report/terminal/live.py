"""Maps of a study that trains, cell by cell, for a terminal of any size."""

from __future__ import annotations

import math

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from study.live_map import SHOWN, LiveMap, LiveStudy
from study.report.amounts import amount
from study.report.terminal.room import GAP, LABELS, Room, room_for, several, wide

GLYPHS = {
    "competitive": "█",
    "trained": "▓",
    "untrained": "░",
    "diverged": "×",
    "failed": "!",
    "pending": "·",
    "inferred": "~",
}
"""By what a place is. The classes read without colours: the edges of regions are where glyphs change."""
ASCII = {**GLYPHS, "competitive": "#", "trained": "+", "untrained": "-", "diverged": "x", "pending": "."}
"""The same for terminals that have no other letters."""
RAMP = ((72, 60, 140), (59, 100, 150), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""From the untrained score to the best: viridis, whose lightness rises, without its darkest fifth."""
STYLES = {"failed": "bold reverse", "pending": "dim", "diverged": "bold", "inferred": "dim"}
EVERY = 6.0
"""Seconds until the next page of maps is shown."""


def screen(
    look: LiveStudy, width: int, height: int | None, seconds: float = 0.0, *, ascii_only: bool
) -> Text:
    """All lines that are shown at one moment.

    Args:
        height: lines of the terminal; None shows all maps below each other.
        seconds: since the first screen, which decides the page.
    """
    glyphs = ASCII if ascii_only else GLYPHS
    room = room_for(look, width, height)
    pages = max(1, math.ceil(len(look.maps) / room.maps))
    page = int(seconds / EVERY) % pages
    shown = look.maps[page * room.maps : (page + 1) * room.maps]
    lines = [*header(look), legend(look, glyphs)]
    for at in range(0, len(shown), room.beside):
        if at:
            lines.append(Text())
        lines += side_by_side(
            [panel(one, room, glyphs, named=several(look)) for one in shown[at : at + room.beside]]
        )
    left_out = footer(look, room, page, pages)
    if left_out:
        lines.append(Text(left_out, style="italic"))
    for line in lines:
        line.truncate(width, overflow="ellipsis" if not ascii_only else "crop")
    text = Text("\n").join(lines)
    if ascii_only:
        # Of the same length, so that the colours stay where they are.
        text.plain = text.plain.encode("ascii", "replace").decode()
    return text


def header(look: LiveStudy) -> list[Text]:
    """How far the study is, and who trains it."""
    counts = ", ".join(f"{count:,} {name}" for name, count in look.counts.items() if count)
    done = f"{look.stored:,} of {amount(look.cells, 'cell')}"
    if look.damaged:
        counts += f"; {amount(look.damaged, 'damaged record')} left out"
    if look.ended:
        who = "complete"
    elif look.process is not None:
        who = f"launched by process {look.process}"
    else:
        who = "no launch runs on this machine" if look.stored else "waiting: nothing is stored yet"
    colours = "; colour: untrained to best so far"
    return [Text(f"{look.study}: {done}, {who}", style="bold"), Text(counts + colours)]


def legend(look: LiveStudy, glyphs: dict[str, str]) -> Text:
    """What the glyphs are, as far as they occur here."""
    line = Text()
    there = {SHOWN[place] for one in look.maps for place in set(one.place_WL.ravel().tolist())}
    for name, glyph in glyphs.items():
        if name == "inferred" and name not in there:
            continue
        style = {"competitive": colour(1.0), "trained": colour(0.6), "untrained": colour(0.0)}.get(name)
        line.append(glyph * 2, style or STYLES[name])
        line.append(f" {name}  ")
    return line


def panel(one: LiveMap, room: Room, glyphs: dict[str, str], *, named: bool) -> list[Text]:
    """One map: its title, a line per weight decay with the largest first, and the learning rates."""
    landscape, width = one.landscape, wide(room.cell, room.columns)
    count = f" {one.stored}/{one.cells}"
    name = printable(landscape.title)
    lines = [Text(cropped(name, width - len(count)) + count, style="bold")]
    if named:
        place = landscape.setting_title
        lines.insert(0, Text(cropped(printable(place), width), style="dim"))
    order = range(len(landscape.weight_decay) - 1, -1, -1)
    for w in list(order)[: room.rows]:
        line = Text(f"{short(landscape.weight_decay[w]):>{LABELS - 1}} ")
        for c in range(min(room.columns, len(landscape.lr))):
            name = SHOWN[int(one.place_WL[w, c])]
            fraction = float(one.fraction_WL[w, c])
            style = colour(fraction) if math.isfinite(fraction) else STYLES.get(name, "")
            line.append(glyphs[name] * room.cell, style)
        lines.append(line)
    across = room.cell * min(room.columns, len(landscape.lr))
    first, last = short(landscape.lr[0]), short(landscape.lr[: room.columns][-1])
    axis = f"{first}{last:>{max(across - len(first), len(last) + 1)}}" if across > len(first) else first
    lines.append(Text(f"{'lr':>{LABELS - 1}} {axis}", style="dim"))
    return lines


def side_by_side(panels: list[list[Text]]) -> list[Text]:
    """Maps in a row."""
    widths = [max(line.cell_len for line in lines) for lines in panels]
    found = []
    for k in range(max(map(len, panels))):
        line = Text()
        for lines, width in zip(panels, widths, strict=True):
            piece = lines[k].copy() if k < len(lines) else Text()
            piece.pad_right(max(0, width - piece.cell_len) + GAP)
            line.append_text(piece)
        line.rstrip()
        found.append(line)
    return found


def footer(look: LiveStudy, room: Room, page: int, pages: int) -> str:
    """What there is no room for; empty where everything is shown."""
    parts = []
    if pages > 1:
        others = len(look.maps) - min(room.maps, len(look.maps) - page * room.maps)
        parts.append(f"page {page + 1} of {pages}, {others} more maps in turn")
    rows = max((len(one.landscape.weight_decay) for one in look.maps), default=0) - room.rows
    columns = max((len(one.landscape.lr) for one in look.maps), default=0) - room.columns
    cut = [amount(rows, "weight decay")] * (rows > 0) + [amount(columns, "learning rate")] * (columns > 0)
    if cut:
        parts.append(f"no room for {' and '.join(cut)}")
    return "; ".join(parts) + ("; a larger terminal shows more" if parts else "")


def colour(fraction: float) -> Style:
    """The colour of a score by how far it is on the way from untrained to best."""
    at = min(max(fraction, 0.0), 1.0) * (len(RAMP) - 1)
    below = min(int(at), len(RAMP) - 2)
    low, high = RAMP[below], RAMP[below + 1]
    red, green, blue = (round(a + (b - a) * (at - below)) for a, b in zip(low, high, strict=True))
    return Style(color=f"#{red:02x}{green:02x}{blue:02x}")


def short(value: float) -> str:
    """`3.2e-5`, `0.01`."""
    mantissa, mark, exponent = f"{value:.2g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def printable(words: str) -> str:
    """Words with `?` for what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def cropped(words: str, width: int) -> str:
    """Words in so many columns; their end stays, where variants of a method differ."""
    if cell_len(words) <= width:
        return words
    tail = max(0, width - 1) * 2 // 3
    begin, end = words, ""
    while cell_len(end) < tail and begin:
        begin, end = begin[:-1], begin[-1] + end
    return set_cell_size(begin, max(0, width - 1 - cell_len(end))) + "…" + end
