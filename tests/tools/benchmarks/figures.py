"""What a benchmark measured, as a table for a terminal and for a page, and where it was measured.

`python -m tests.tools.benchmarks.figures` writes the tables of the pages anew from `measured/`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.pages import ROOT

MEASURED = Path(__file__).parent / "measured"
"""What the pages show: a JSON file for each table."""


@dataclass(frozen=True)
class Figures:
    """A table with what is to be known of it.

    Attributes:
        said: sentences above it.
        rows: texts; the first column is a name, and the others are figures.
    """

    said: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """For a page."""
        rule = f"|---|{'---:|' * (len(self.head) - 1)}"
        lines = [f"| {' | '.join(row)} |" for row in (self.head, *self.rows)]
        return "\n".join([self.said, "", lines[0], rule, *lines[1:]])

    def show(self) -> None:
        """For a terminal."""
        table = Table()
        for number, name in enumerate(self.head):
            table.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
        console.print(self.said, table)


def about(*libraries: str) -> dict[str, Any]:
    """The machine and the versions of libraries, for a file of figures."""
    names = [line for line in cpuinfo() if line.startswith("model name")]
    return {
        "machine": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries if find_spec(name) is not None},
    }


def cpuinfo() -> list[str]:
    """The lines that Linux has of its processors."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def where(found: dict[str, Any]) -> str:
    """The machine and the versions, in words."""
    versions = ", ".join(f"{name} {one}" for name, one in found["versions"].items())
    return f"{found['cores']} cores ({found['machine']}), Python {found['python']}, {versions}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Their median, with the least and the greatest."""
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def pages() -> dict[str, tuple[Path, Callable[[dict[str, Any]], str]]]:
    """For each file in `measured/` the page, and what makes its block's text."""
    from tests.tools.benchmarks import growth, phases, steps
    from tests.tools.benchmarks.peers import __main__ as peers
    from trainers.bench.table import as_markdown

    trainers = ROOT / "trainers" / "bench" / "README.md"
    tools = ROOT / "tests" / "tools" / "benchmarks" / "README.md"
    return {
        "speed": (trainers, as_markdown),
        "steps": (trainers, lambda found: steps.figures(found).markdown()),
        "growth": (trainers, lambda found: growth.figures(found).markdown()),
        "peers": (tools, lambda found: peers.figures(found).markdown()),
        "phases": (tools, lambda found: phases.figures(found).markdown()),
    }


def block(name: str) -> tuple[Path, str]:
    """The page of a block, and its text."""
    page, text = pages()[name]
    return page, text(json.loads((MEASURED / f"{name}.json").read_text()))


def written(page: str, name: str, text: str) -> str:
    """A page's text with this block in the place of the old one."""
    before, begin, rest = page.partition(f"<!-- {name}: begin -->\n")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    if not begin or not end:
        raise ValueError(f"the page has no block {name}")
    return f"{before}{begin}{text}\n{end}{after}"


def main() -> None:
    for name in pages():
        if (MEASURED / f"{name}.json").exists():
            page, text = block(name)
            page.write_text(written(page.read_text(), name, text))


if __name__ == "__main__":
    main()
