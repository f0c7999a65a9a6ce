"""`make cluster`: everything that needs a Docker engine, with a table of each."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.tools.cluster import drills, listening, refused, shipped, throughput
from tests.tools.cluster.stack import Stack, missing, run, stack
from tests.tools.faults.__main__ import console, table
from tests.tools.faults.drills import Row

DRILLS = [*drills.DRILLS, drills.FULL]


def protected(one: Stack) -> bool:
    """What listens, where secrets can be seen, and who is refused what; whether all are that should be."""
    print("\n".join(listening.ports(one)))
    for service, found in listening.secrets_seen(one).items():
        print(service, found)
    tries = refused.all_of(one)
    for each in tries:
        print(f"{'ok   ' if each.right else 'WRONG'} {each.who} | {each.what} | {each.answered}")
    return all(each.right for each in tries)


def drilled(one: Stack, folder: Path, names: Sequence[str]) -> list[Row]:
    """The drills of these names, one after another."""
    rows = []
    for number, name in enumerate(DRILLS):
        if name not in names:
            continue
        began = time.monotonic()
        try:
            if name == drills.FULL:
                row = drills.mlflow_full(one, folder, number)
            else:
                strike, again = drills.DRILLS[name]
                row = drills.drill(one, folder, name, number, strike, again=again)
        except Exception as error:
            # The others may still be seen.
            row = Row(name, problems=[f"{type(error).__name__}: {error}"])
            one.end_guests()
        rows.append(row)
        seconds = f"{time.monotonic() - began:.0f} s, {row.resumed} s to resume"
        console.print(f"{name}: {'good' if row.good else 'BROKEN'}, {seconds}", highlight=False)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drills", nargs="*", choices=DRILLS, default=DRILLS, metavar="NAME")
    parser.add_argument("--only-drills", action="store_true")
    parser.add_argument("--json", type=Path, help="write the drills there, too")
    asked = parser.parse_args()
    if why := missing():
        print(f"skipped: {why}")
        return 0
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="study-cluster-"))
    folder.chmod(0o755)  # a container's user reads the specs in it
    good = True
    with stack() as one:
        print(f"built and started after {time.monotonic() - began:.0f} s")
        one.healthy()
        print(f"healthy after {time.monotonic() - began:.0f} s")
        print(run(["docker", "images", "--filter", "reference=stability-study-*"])[1])
        if not asked.only_drills:
            good &= protected(one)
            good &= shipped.same_as_here(one, folder)
            for workers in ("1", "4"):
                one.write(MLFLOW_SERVER_WORKERS=workers)
                one.up("mlflow")
                one.healthy()
                found = throughput.measured(one, 400, f"throughput{workers}")
                print(f"{found['per_second']:.1f} runs/s through {workers} workers of the server (n = 400)")
        rows = drilled(one, folder, asked.drills)
    console.print(table(rows, 0))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0 if good and all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
