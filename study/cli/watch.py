"""The verb that shows how the maps of a study fill while another process trains it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from study.cli.options import AllowOption, HomeOption, JsonOption, SpecArgument
from study.cli.output import INTERRUPTED, emit, end, out, say
from study.home import DEFAULT_HOME, Home
from study.report.terminal.pasted import nothing_stored

if TYPE_CHECKING:
    from study.live_map import LiveStudy
    from study.watcher import Watcher

PAUSE = 1.0
"""Seconds between two looks, at least."""
PAUSE_PER_LOOK = 3.0
"""A pause is so many times as long as the look before it, which large studies make long."""


def watch(
    spec: SpecArgument,
    home: HomeOption = DEFAULT_HOME,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the maps of a study while it trains, until it is complete or Ctrl-C; it may begin later.

    Where the output is no terminal that can be redrawn, one look is printed. It reads the ledger of this
    machine; a study on a cluster elsewhere has no --cluster here yet.
    """
    from study.stored import spec_of
    from study.watcher import Watcher

    # rich's own word for a terminal whose lines cannot be drawn again.
    follows = out.is_terminal and not out.is_dumb_terminal and not as_json
    watcher = Watcher(spec_of(spec, Home(home), allow), Home(home))
    look = watcher.look(patient=follows)
    if as_json:
        from study.report.plain.watch import look_values

        emit(look_values(look))
        end(complete=look.complete)
    if follows:
        look, interrupted = follow(watcher, look)
        show(look)
        if interrupted:
            raise typer.Exit(INTERRUPTED)
    else:
        show(look)
        if not look.stored:
            say([nothing_stored(look.study, spec, home, allow or ())])
    end(complete=look.complete)


def follow(watcher: Watcher, look: LiveStudy) -> tuple[LiveStudy, bool]:
    """Draw look after look; the last one, and whether Ctrl-C ended it."""
    from rich.live import Live

    from study.report.terminal.live import screen

    started = time.monotonic()
    try:
        # The alternate screen: what stood in the terminal before is there again afterwards.
        with Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            began = started
            while not look.ended:
                width, height = out.size
                text = screen(look, width, height, time.monotonic() - started, ascii_only=ascii_only(out))
                live.update(text, refresh=True)
                time.sleep(max(PAUSE, PAUSE_PER_LOOK * (time.monotonic() - began)))
                began = time.monotonic()
                look = watcher.look(patient=True)
    except KeyboardInterrupt:
        return look, True
    return look, False


def show(look: LiveStudy) -> None:
    """Print all maps once."""
    from study.report.terminal.live import screen

    out.print(screen(look, out.width, None, ascii_only=ascii_only(out)), highlight=False, soft_wrap=True)


def ascii_only(console: Console) -> bool:
    """Whether the terminal's encoding has nothing but ASCII for sure."""
    return not console.encoding.lower().startswith("utf")
