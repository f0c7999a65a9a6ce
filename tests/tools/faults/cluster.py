"""A Ray cluster of two machines, both on this one, and the loss of one of them; `python -m tests.tools.faults.cluster` holds it until its input ends."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools.faults.drills import Row, study, trainables, undisturbed
from tests.tools.faults.subject import LOCAL, PATIENCE, Subject, family, numbers

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


def machine_killed(folder: Path, kills: int, seed: int, steps: int = 600) -> Row:
    """SIGKILL to all processes of one of two machines while it trains a tile: the study ends on the other, in the same launch."""
    rng, row, text = random.Random(seed), Row("one of two machines lost"), study(steps)
    truth, _ = undisturbed(folder / "truth", "truth", text)
    for k in range(kills):
        subject = Subject(folder / f"machine-{k}", f"machine-{k}", text)
        with cluster(folder / f"machine-{k}") as machines:
            process = subject.start("launch", "--address", machines.address)
            deadline = time.monotonic() + PATIENCE
            while (
                process.poll() is None
                and not (subject.handed and trainables(machines.second))
                and time.monotonic() < deadline
            ):
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 1.0))
            while (
                process.poll() is None and not trainables(machines.second) and time.monotonic() < deadline
            ):  # it may be between two tiles now
                time.sleep(0.02)
            before, busy = subject.handed, len(trainables(machines.second))
            for member in family(machines.second):
                member.kill()
            row.repetitions += 1
            row.check(busy > 0, "the machine had no work when it was lost")
            row.resume += (
                [resume] if (resume := subject.seconds_to_progress(process, before)) is not None else []
            )
            row.check(
                process.wait(PATIENCE) == 0, f"the launch ended with {process.returncode}; see {subject.log}"
            )
        row.add(subject.counts())
        row.check(
            numbers(subject) == numbers(truth), f"{subject.name}: numbers differ from the undisturbed study's"
        )
    row.notes.append(
        f"{kills} studies, each ended on the other machine, equal to the undisturbed one bit by bit"
    )
    return row


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
