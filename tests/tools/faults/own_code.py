"""Drills in which a user's own transform ends Python, forks or prints without end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from study.home import Home
from tests.tools.faults.drills import Row, driver_killed
from tests.tools.faults.subject import LOCAL, PATIENCE, Subject, left_over

MODULE = '''
"""Transforms that behave well when they are tried, and badly in a tile."""

import os
import sys

from trainers.transforms import Transform

STEPS = {steps}


def badly(act):
    seen = []

    def update(grads, state, params):
        seen.append(1)
        if len(seen) == STEPS:
            act()
        return grads, state

    return Transform(lambda params: {{}}, update)


def leaves():
    return badly(lambda: sys.exit(0))


def dies():
    return badly(lambda: os._exit(0))


def forks():
    return badly(lambda: os.fork())


def fails():
    def act():
        print("the last words")
        raise RuntimeError("a plain error")

    return badly(act)


def prints():
    def act():
        for _ in range({lines}):
            print("x" * 999_999)
        os.system("echo from a shell")

    return badly(act)
'''
BAD = ("leaves", "dies", "forks", "fails")
SPEC = """
name: own
workload: digits
model: mlp
optimizer: adamw
transforms: [{transforms}]
lr: [1e-3, 1e-2, 30]
weight_decay: [1e-2, 10]
seeds: 1
budget: {{steps: 20, batch_size: 32, points: 2, dynamics: 1}}
workers: {{tile: 6, retries: 0}}
"""
"""One tile of six cells for each transform, whose Python runs at each step: dynamics are recorded."""


def prepared(folder: Path, lines: int = 60) -> Path:
    """A spec and the module that it names, in a folder of their own.

    Args:
        lines: megabytes that one of the transforms prints.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "badly_behaved.py").write_text(MODULE.format(steps=10, lines=lines))
    names = ", ".join(f"{{factory: 'badly_behaved:{name}'}}" for name in (*BAD, "prints"))
    spec = folder / "own.yaml"
    spec.write_text(SPEC.format(transforms=names))
    return spec


def launched(folder: Path, *words: str) -> tuple[int, bytes, bytes, list[psutil.Process]]:
    """A launch under `--json` with its exit code, what it printed, and the processes that outlived it."""
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "study.cli", "launch", "own.yaml", "--home", "home", "--json", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,
        env={**LOCAL, "PYTHONPATH": os.pathsep.join((root, str(folder)))},
    )
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    alive = [one for one in psutil.process_iter() if _in_session(one, process.pid)]
    return process.returncode, out, err, alive


def _in_session(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def problems(folder: Path, code: int, out: bytes, err: bytes) -> list[str]:
    """What is wrong with the end of such a launch, in words."""
    found = []
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        return [f"standard output is no JSON: {out[:80]!r} of {len(out)} bytes, exit {code}"]
    if code != 3:
        found.append(f"exit code {code}, not 3")
    if (answer["failed"], answer["finished"] + answer["diverged"], answer["pending"]) != (24, 6, 0):
        found.append(f"cells: { ({name: answer[name] for name in ('finished', 'failed', 'pending')}) }")
    reasons = "\n".join(answer["failures"])
    found += [
        f"no failure says {words!r}"
        for words in (
            "SystemExit: 0 (badly_behaved.py, line",
            "SystemExit: os._exit(0) (badly_behaved.py, line",
            "forked a child process that came back",
            "a plain error",
            "  the last words",
        )
        if words not in reasons
    ]
    if len(err) > 20_000:
        found.append(f"{len(err)} bytes on standard error")
    logs = [path.read_bytes() for path in Home(folder / "home").logs("own").glob("*.log")]
    if not any(log.endswith(b"from a shell\n") for log in logs):
        found.append("no log ends with what was printed last")
    if (longest := max(map(len, logs), default=0)) > 100_000:
        found.append(f"a log of {longest} bytes")
    return found


def own_code_misbehaves(folder: Path, seed: int, *, ray: bool = True) -> Row:
    """`sys.exit`, `os._exit`, a fork, an error and 60 MB of prints, in this process and on Ray's workers."""
    row = Row("own code that exits, forks, prints")
    for words in [("--here",), ()] if ray else [("--here",)]:
        place = folder / (words[0].strip("-") if words else "ray")
        prepared(place)
        started = time.monotonic()
        code, out, err, alive = launched(place, *words)
        row.repetitions += 1
        row.problems += [f"{place.name}: {words}" for words in problems(place, code, out, err)]
        left_behind = left_over(alive)
        row.check(left_behind == 0, f"{place.name}: {left_behind} processes outlived their launch")
        row.notes.append(f"{place.name}: {time.monotonic() - started:.0f} s")
    return row


FUNCTION = '''
"""A loop of a user's own: logistic regression, of which some cells explode."""

import torch


def train(cell):
    torch.manual_seed(cell.seed)
    x = torch.randn(256, 16)
    y = (x @ torch.randn(16) > 0).float()
    weight = torch.zeros(16, requires_grad=True)
    optimizer = torch.optim.AdamW([weight], lr=cell.lr, weight_decay=cell.weight_decay)
    cell.attach(optimizer)
    for step in range(1, cell.budget.steps + 1):
        out = x @ weight
        loss = torch.nn.functional.binary_cross_entropy_with_logits(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            accuracy = ((out > 0) == y.bool()).float().mean().item()
            cell.report(step=step, loss=loss.item(), accuracy=accuracy)
'''
FUNCTION_STUDY = """
workload: {function: "regression:train", metric: accuracy, direction: max, paired: true, untrained: 0.5,
  untrained_loss: 0.693}
transforms: [none, gradient_stabilizer]
lr: [1e-3, 1e-2, 30]
weight_decay: [1e-2, 10]
seeds: 2
budget: {steps: 300, batch_size: 256}
"""


def function_study(folder: Path, name: str, text: str, tracker: str) -> Subject:
    """A study of a function, with the module that it names beside it."""
    subject = Subject(folder, name, text, tracker)
    (folder / "regression.py").write_text(FUNCTION)
    return subject


def function_killed(folder: Path, kills: int, seed: int) -> Row:
    """SIGKILL to a launch of a user's own function, each cell of which is a process."""
    return driver_killed(folder, kills, seed, name="function", text=FUNCTION_STUDY, make=function_study)
