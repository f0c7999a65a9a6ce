"""Where the time of a launch goes: `python -m tests.tools.benchmarks.phases [SPEC]`.

A study of fixed seeds is launched into a new home, with what its ledger and its console say of the time.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from study.spec.read import shipped_text
from tests.pages import ROOT
from tests.tools.benchmarks.figures import Figures, about, spread, where


@dataclass(frozen=True)
class Phases:
    """Seconds of one launch.

    Attributes:
        loading: from the command to where data is loaded and the plan is stored.
        first: from there to the beginning of the first tile.
        training: to the last stored cell.
        claims: from there to the printed claims.
        rest: to the end of the command.
    """

    loading: float
    first: float
    training: float
    claims: float
    rest: float


WORDS = {
    "loading": "the command to a stored plan",
    "first": "there to the first tile's beginning",
    "training": "there to the last stored cell",
    "claims": "there to printed claims",
    "rest": "there to the end",
}


def measured(text: str, folder: Path) -> tuple[Phases, int]:
    """One launch, and how many cells it trained.

    Raises:
        RuntimeError: it failed.
    """
    folder.mkdir()
    home, spec = folder / "home", folder / "spec.yaml"
    spec.write_text(text)
    began, claims, said = time.time(), 0.0, []
    command = [sys.executable, "-m", "study.cli", "launch", str(spec), "--home", str(home)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "Claims of" in line and not claims:
                claims = time.time()
    ended = time.time()
    if process.returncode or not claims:
        raise RuntimeError("".join(said[-30:]))
    with closing(sqlite3.connect(f"file:{home / 'ledger.sqlite'}?mode=ro", uri=True)) as ledger:
        (loaded,) = ledger.execute("SELECT launched_at FROM studies").fetchone()
        last, cells = ledger.execute("SELECT max(stored_at), count(*) FROM cells").fetchone()
        # Each cell has its share of its tile's seconds, the same for all of a tile.
        (first,) = ledger.execute(
            "SELECT min(stored_at) - sum(seconds) FROM cells"
            " WHERE seconds = (SELECT seconds FROM cells ORDER BY stored_at LIMIT 1)"
        ).fetchone()
    return Phases(loaded - began, first - loaded, last - first, claims - last, ended - claims), cells


def figures(found: dict[str, Any]) -> Figures:
    """Medians with their range."""
    rows = found["launches"]
    totals = [sum(row.values()) for row in rows]
    table = [
        [
            WORDS[name],
            spread([row[name] for row in rows]),
            f"{median(row[name] for row in rows) / median(totals):.0%}",
        ]
        for name in rows[0]
    ]
    table.append(["all of it", spread(totals), ""])
    said = f"`{found['spec']}`, {found['cells']:,} cells, n = {len(rows)}; {where(found)}."
    return Figures(said, ("from … to …", "seconds, median (least–greatest)", "share"), table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", nargs="?", default="quickstart", help="a shipped spec, or a file")
    parser.add_argument("--seeds", type=int, help="instead of the spec's own")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    written = Path(asked.spec).read_text() if Path(asked.spec).is_file() else shipped_text(asked.spec)
    content = yaml.safe_load(written)
    content.pop("verdicts", None)
    content["seeds"] = asked.seeds or content["seeds"]
    with tempfile.TemporaryDirectory(prefix="phases-") as place:
        found = [
            measured(yaml.safe_dump(content), Path(place, str(number))) for number in range(asked.repeats)
        ]
    kept = {
        **about("torch", "ray", "mlflow"),
        "spec": content["name"],
        "cells": found[0][1],
        "launches": [asdict(row) for row, _ in found],
    }
    figures(kept).show()
    if asked.json:
        asked.json.write_text(json.dumps(kept, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
