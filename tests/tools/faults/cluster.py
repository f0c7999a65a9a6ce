"""A Ray cluster of two machines, both on this one, and the loss of one of them.

`python -m tests.tools.faults.cluster` holds such a cluster until its input ends.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools.faults.drills import Row, study, trainables, undisturbed
from tests.tools.faults.subject import LOCAL, PATIENCE, Subject, expected, family, numbers

STORE = 100 * 2**20
"""Memory of each machine's object store, which tiles do not use [bytes]."""


@dataclass(frozen=True)
class Machines:
    """Where a cluster listens, and the process of its second machine that all others there descend from."""

    address: str
    second: int


@contextmanager
def cluster(folder: Path) -> Iterator[Machines]:
    """Two machines of one processor each on the loopback interface, gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cluster.txt").open("ab") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.faults.cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=LOCAL,
        )
    members = []
    try:
        assert holder.stdout is not None
        machines = Machines(**json.loads(holder.stdout.readline()))
        members = family(holder.pid)
        yield machines
    finally:
        try:
            holder.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait(30)
        for member in members:
            if member.is_running():
                member.kill()


def machine_killed(folder: Path, kills: int, seed: int, steps: int = 600, *, small: bool = False) -> Row:
    """SIGKILL to all processes of one of two machines while it trains: the same launch ends on the other.

    Args:
        small: the moment is when that machine begins to train, not a random one after the first stored tile.
    """
    rng, row, text = (
        random.Random(seed),
        Row("one of two machines lost"),
        study(steps, tiles=2 if small else 12),
    )
    truth = expected(text) if small else numbers(undisturbed(folder / "truth", "truth", text)[0])
    for k in range(kills):
        subject = Subject(folder / f"machine-{k}", f"machine-{k}", text)
        with cluster(folder / f"machine-{k}") as machines:
            process = subject.start("launch", "--address", machines.address)
            if not small:
                wait_until(process, lambda s=subject, m=machines: bool(s.handed and trainables(m.second)))
                time.sleep(rng.uniform(0.0, 1.0))
            # It may be between two tiles now. Whether it had work is known from the very look that ends the
            # wait: a second look once came after the end of a tile, and found none.
            busy = wait_until(process, lambda m=machines: bool(trainables(m.second)))
            before = subject.handed
            for member in family(machines.second):
                member.kill()
            row.repetitions += 1
            row.check(busy, "the machine had no work when it was lost")
            if (resume := subject.seconds_to_progress(process, before)) is not None:
                row.resume.append(resume)
            row.check(
                process.wait(PATIENCE) == 0, f"the launch ended with {process.returncode}; see {subject.log}"
            )
        row.add(subject.counts())
        row.check(numbers(subject) == truth, f"{subject.name}: numbers differ from the undisturbed study's")
    row.notes.append(
        f"{kills} studies, each ended on the other machine, equal to the undisturbed one bit by bit"
    )
    return row


def wait_until(process: subprocess.Popen[bytes], fact: Callable[[], bool]) -> bool:
    """Look for a fact until it holds; False when the process ends first, or patience does."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if fact():
            return True
        time.sleep(0.02)
    return False


def main() -> None:
    """Start both machines, say where they are, and stop them when the input ends."""
    from ray.cluster_utils import Cluster

    machine = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": STORE}
    held = Cluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
    second = held.add_node(**machine)
    print(
        json.dumps({"address": held.address, "second": second.all_processes["raylet"][0].process.pid}),
        flush=True,
    )
    sys.stdin.read()
    held.shutdown()


if __name__ == "__main__":
    main()
