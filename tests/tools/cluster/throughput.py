"""Runs per second that the server of a stack takes, written as the driver of a launch writes them."""

from __future__ import annotations

import json

from tests.tools.cluster.stack import Stack

WRITE = """
import dataclasses, json, sys, time
from tracking import Ledger
from tracking.mlflow_store import MlflowStore
from pathlib import Path
ledger = Ledger(Path('/var/lib/stability-study/ledger.sqlite'))
record = next(iter(ledger.get(ledger.outcomes()).values()))
count, name = int(sys.argv[1]), sys.argv[2]
store = MlflowStore('http://mlflow:5000', name)
records = [dataclasses.replace(record, key=f'{name}{i}') for i in range(count)]
began = time.monotonic()
written = dict(store.write(records))
seconds = time.monotonic() - began
assert len(store.complete_runs()) == count
print(json.dumps({'runs': count, 'seconds': seconds, 'per_second': count / seconds}))
"""


def measured(one: Stack, count: int, name: str) -> dict[str, float]:
    """Write so many runs of a cell that the head's ledger has."""
    code, said = one.execute("head", "python", "-c", WRITE, str(count), name, seconds=600)
    if code != 0:
        raise RuntimeError(said)
    found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return found
