"""What `study ui` says: that it starts, and where each study's page is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from study.report.terminal.pasted import suggested


def starting_line(home: Path) -> str:
    """Said at once: loading MLflow takes some seconds."""
    return f"starting the MLflow UI of {home}"


def ui_lines(home: Path, at: str, studies: Mapping[str, str], live: str, plain: Sequence[str]) -> list[str]:
    """Said as soon as the server answers.

    Args:
        at: the address of the server.
        studies: the address of each study's page, by its name.
        live: the address of the pages that follow what is stored; empty where they are not served.
        plain: studies that an earlier version wrote, without a view of their own.
    """
    lines = [f"MLflow UI of {home}: {at}  (Ctrl-C ends it)"]
    width = max(map(len, studies), default=0)
    lines += [f"  {name:<{width}}  {page}" for name, page in studies.items()]
    unserved = "not served, their process ended (what it said stands above)"
    lines.append(f"reports that follow a launch: {live or unserved}")
    if plain:
        some = "all studies" if len(plain) == len(studies) else ", ".join(plain)
        lines.append(f"to give {some} a table of their own and a description: {suggested('sync', home=home)}")
    return lines
