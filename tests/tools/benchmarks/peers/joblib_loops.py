"""Peer: joblib over plain loops, one process per core, nothing tracked. `FILE OUT CELL…`"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from joblib import Parallel, delayed

from tests.tools.benchmarks.peers.plain import load, trained


def one(file: str, cell: int) -> float:
    return trained(load(file), cell)


def main() -> None:
    file, out, *cells = sys.argv[1:]
    numbers = [int(cell) for cell in cells]
    losses = Parallel(n_jobs=os.cpu_count())(delayed(one)(file, cell) for cell in numbers)
    Path(out).write_text(json.dumps(dict(zip(cells, losses, strict=True))))


if __name__ == "__main__":
    main()
