"""What dies in a cluster of containers while a study runs, and what is left of the study afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.tools.cluster.stack import Stack, run
from tests.tools.cluster.there import AwayError, There
from tests.tools.faults.drills import Row, study

STEPS = 6000
"""Long enough that a tile takes several seconds, and that two workers have cells left after the damage."""
TILES, CELLS = 12, 144
CUT = 60.0
"""How long a worker is cut off [s]."""
A_WORKER = """
import ray
ray.init("auto", logging_level=40)
print(next(one["NodeID"] for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU")))
"""
Strike = Callable[[Stack], str]
"""Does the damage, and says what was done."""


def text(number: int) -> str:
    """A study whose cells no other drill has: what is stored once is not trained again."""
    return study(steps=STEPS + number, every=5.0)


def drill(stack: Stack, folder: Path, name: str, number: int, strike: Strike, *, again: bool = False) -> Row:
    """Launch, wait for the first tile, strike, and let the study end.

    Args:
        again: the launch itself ends by the damage, and the same command goes on.
    """
    row = Row(name, repetitions=1)
    there = There(stack, folder, f"drill-{number}", text(number), CELLS)
    started = time.monotonic()
    client = there.start()
    row.check(there.wait_for(0) is not None, "nothing was stored before the damage")
    row.notes.append(f"first cells after {time.monotonic() - started:.0f} s")
    row.notes.append(strike(stack))
    before = safely(there)
    row.check(before < CELLS, "the study was over before the damage was done")
    struck = time.monotonic()
    if again:
        code = there.end(client)
        row.notes.append(f"the client ended with {code}")
        client = there.start()
    seconds = there.wait_for(before)
    if seconds is None:
        row.problems.append("nothing more was stored")
    else:
        row.resume.append(time.monotonic() - struck)
    code = there.end(client)
    row.check(code == 0, f"the launch ended with {code}, see {there.log}")
    row.add(there.counts())
    row.check(len(there.export()) == CELLS, "the export lacks cells")
    row.notes.append(f"{time.monotonic() - started:.0f} s in all")
    return row


def safely(there: There) -> int:
    """How many records the ledger had; waits while the head is unreachable."""
    for _ in range(240):
        try:
            return len(there.handed())
        except AwayError:
            time.sleep(0.5)
    raise RuntimeError("the head did not come back")


def worker_killed(stack: Stack) -> str:
    """SIGKILL to a worker's container, which is started again."""
    done("docker", "kill", stack.container("worker"))
    time.sleep(5)
    stack.up("--no-recreate", "worker")
    return "a worker's container was killed, and started 5 s later"


def worker_cut(stack: Stack) -> str:
    """A worker's network cable is pulled for a minute."""
    network, worker = f"{stack.name}_ray", stack.container("worker")
    done("docker", "network", "disconnect", network, worker)
    time.sleep(CUT)
    done("docker", "network", "connect", network, worker)
    return f"a worker was cut off for {CUT:g} s"


def worker_added(stack: Stack) -> str:
    """One more worker joins."""
    stack.up("--no-recreate", "--scale", "worker=2", "worker")
    return "a second worker was started"


def restarted(service: str) -> Strike:
    """A service is stopped and started."""

    def strike(stack: Stack) -> str:
        done("docker", "restart", stack.container(service))
        return f"{service} was restarted"

    return strike


def worker_drained(stack: Stack) -> str:
    """A worker's node is drained, as a cloud does before it takes a machine away."""
    code, said = stack.execute("head", "python", "-c", A_WORKER)
    if code != 0:
        raise RuntimeError(said)
    node = said.strip().splitlines()[-1]
    why = ("--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=drill")
    code, said = stack.execute(
        *("head", "ray", "drain-node", f"--node-id={node}", *why, "--deadline-remaining-seconds=5")
    )
    if code != 0:
        raise RuntimeError(said)
    # Ray ends on a machine that was drained, and its container stays.
    time.sleep(15)
    done("docker", "restart", stack.container("worker"))
    return "a worker's node was drained with 5 s to go, and its container restarted 15 s later"


def client_killed(stack: Stack) -> str:
    """SIGKILL to the container of whoever launched."""
    done("docker", "kill", stack.guests()[0])
    return "the client was killed, and the same command given again"


def all_down(stack: Stack) -> str:
    """The whole stack goes down and comes up."""
    stack.down()
    stack.up()
    stack.healthy()
    stack.end_guests()
    return "docker compose down and up"


FULL = "MLflow's volume full"
SMALL = """
volumes:
  artifacts:
    driver_opts: {type: tmpfs, device: tmpfs, o: "size=20m,uid=10001,mode=700"}
"""
DRILLS: dict[str, tuple[Strike, bool]] = {
    "worker killed": (worker_killed, False),
    "worker cut off": (worker_cut, False),
    "worker added": (worker_added, False),
    "worker drained": (worker_drained, False),
    "head restarted": (restarted("head"), False),
    "MLflow restarted": (restarted("mlflow"), False),
    "PostgreSQL restarted": (restarted("postgres"), False),
    "client killed": (client_killed, True),
    "stack down and up": (all_down, True),
}
"""By name: what strikes, and whether the client ends by it."""


def mlflow_full(stack: Stack, folder: Path, number: int) -> Row:
    """No room for artifacts: the study is whole, and its files come when there is room."""
    row = Row(FULL, repetitions=1)
    stack.down()
    done("docker", "volume", "rm", f"{stack.name}_artifacts")
    small = folder / "small.yaml"
    small.write_text(SMALL)
    stack.more.append(small)
    stack.up()
    stack.healthy()
    code, said = stack.execute("mlflow", "sh", "-c", "head -c 1G /dev/zero > /var/lib/mlflow/filler")
    row.check(code != 0 and "No space left" in said, "the volume was not full")
    there = There(stack, folder, f"drill-{number}", text(number), CELLS)
    code = there.end(there.start())
    said = there.log.read_text()
    row.notes.append(f"launched on a full volume: exit {code}")
    row.check("MLflow" in said and "Nothing is lost" in said, f"the launch did not say it, see {there.log}")
    stack.execute("mlflow", "rm", "/var/lib/mlflow/filler")
    code = there.end(there.start())
    row.check(code == 0, f"the next launch ended with {code}, see {there.log}")
    row.add(there.counts())
    client = stack.tracker()
    parent = client.search_runs(
        [client.get_experiment_by_name(there.name).experiment_id], "tags.stability_study = 'parent'"
    )[0]
    found = [one.path for one in client.list_artifacts(parent.info.run_id)]
    row.check(bool(found), "the study's run has no files after there was room")
    row.notes.append(f"then {len(found)} entries of files in the study's run")
    return row


def done(*words: str) -> None:
    """Run a command.

    Raises:
        RuntimeError: it failed.
    """
    code, said = run(words, 300)
    if code != 0:
        raise RuntimeError(f"{' '.join(words)}: {said[-500:]}")
