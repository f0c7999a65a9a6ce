"""Drills on a home: struck in its first seconds, copied, without room for MLflow alone, with damaged rows."""

from __future__ import annotations

import fcntl
import hashlib
import multiprocessing
import os
import pty
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.making import records
from tests.tools.faults.drills import Row, study
from tests.tools.faults.subject import LOCAL, PATIENCE, Subject, expected, numbers
from tracking import Ledger

SHORT = study(steps=30, tiles=1)
"""Twelve cells in a tile."""


def half_made(folder: Path, kills: int, seed: int) -> Row:
    """SIGKILL to a process that makes MLflow's database; the next one opens it and writes what there is."""
    rng, row = random.Random(seed), Row("MLflow's database half made")
    # Forked from a process that has MLflow loaded: loading it takes longer than making the database.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store", "tracking.mlflow_store"])
    broken = making = 0
    for k in range(kills):
        place = folder / f"half-{k}"
        place.mkdir(parents=True)
        process = processes.Process(target=write_runs, args=(place,))
        process.start()
        deadline = time.monotonic() + PATIENCE
        while process.is_alive() and not list(place.glob("*mlflow.db*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 2.0))
        making += not (place / "mlflow.db").exists()
        process.kill()
        process.join()
        again = processes.Process(target=write_runs, args=(place,))
        again.start()
        again.join(PATIENCE)
        again.kill()
        again.join()
        broken += again.exitcode != 0
        row.repetitions += 1
        shutil.rmtree(place)
    row.check(broken == 0, f"{broken} databases could not be opened afterwards")
    row.notes.append(f"{making} of {kills} while it was made, {broken} could not be opened afterwards")
    return row


def write_runs(place: Path) -> None:
    """What a launch does with the embedded database; exit code 1 where it cannot."""
    from tracking.mlflow_store import MlflowStore

    set_aside: list[str] = []
    store = MlflowStore(
        f"sqlite:///{place / 'mlflow.db'}", "s", place / "mlflow-artifacts", replaced=set_aside.append
    )
    done = store.complete_runs()
    written = dict(store.write([one for one in records(3) if one.key not in done]))
    sys.exit(bool(set_aside) or len(done) + len(written) != 3)


@dataclass
class Struck:
    """A launch whose terminal this process holds, until it closes that."""

    process: subprocess.Popen[bytes]
    terminal: int | None


def killed(launch: Struck) -> None:
    launch.process.kill()


def ctrl_c_twice(launch: Struck) -> None:
    launch.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    launch.process.send_signal(signal.SIGINT)


def terminal_closed(launch: Struck) -> None:
    assert launch.terminal is not None
    os.close(launch.terminal)
    launch.terminal = None


def struck(folder: Path, name: str, strike: Callable[[Struck], None], times: int, seed: int) -> Row:
    """A launch in a new home ends in the seconds in which MLflow's database is made, and goes on later."""
    rng, row, truth = random.Random(seed), Row(name), expected(SHORT)
    codes: list[int] = []
    for k in range(times):
        subject = Subject(folder / f"struck-{k}", f"struck-{k}", SHORT)
        launch = start_on_a_terminal(subject)
        deadline = time.monotonic() + PATIENCE
        while launch.process.poll() is None and not list(subject.home.root.glob("*mlflow.db*")):
            drain(launch)
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 1.5))
        row.check(launch.process.poll() is None, "the launch ended before it was struck")
        strike(launch)
        codes.append(end_of(launch))
        row.check(subject.run("launch", "--here") == 0, f"launching again failed; see {subject.log}")
        row.add(subject.counts())
        row.check(numbers(subject) == truth, f"{subject.name}: numbers differ from the undisturbed study's")
        row.check(
            not list(subject.home.root.glob("*set-aside*")), f"{subject.name}: a database was set aside"
        )
        row.repetitions += 1
    row.check(0 not in codes, "a launch went on as if nothing had struck it")
    row.notes.append(f"ended with {sorted(set(codes))}; each study whole after the next launch")
    return row


def start_on_a_terminal(subject: Subject) -> Struck:
    """A launch that a terminal of its own controls."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)

    def control() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A shell that runs the drills in the background has it ignored, and so would the launch.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        subject.command("launch", "--here"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=subject.folder,
        start_new_session=True,
        preexec_fn=control,
        env=LOCAL,
    )
    os.close(theirs)
    return Struck(process, ours)


def drain(launch: Struck) -> bytes:
    """What the launch printed; one that nobody reads would wait for a reader."""
    with suppress(OSError):  # nothing to read, or the other end is closed
        return os.read(launch.terminal, 1 << 16) if launch.terminal is not None else b""
    return b""


def end_of(launch: Struck) -> int:
    """Wait for the end of a launch, and close its terminal; its exit code."""
    deadline = time.monotonic() + 60
    while launch.process.poll() is None and time.monotonic() < deadline:
        drain(launch)
        time.sleep(0.02)
    launch.process.kill()
    code = launch.process.wait(30)
    if launch.terminal is not None:
        os.close(launch.terminal)
    return code


def copied(folder: Path, seed: int) -> Row:
    """A launch in a copy of a home, with another seed: the original keeps every byte."""
    row, subject = Row("home copied", repetitions=1), Subject(folder / "original", "copied", SHORT)
    row.check(subject.run("launch", "--here") == 0, "the launch failed")
    before = content(subject.home.root)
    copy = Subject(folder / "copy", "copied", SHORT.replace("seeds: 1", "seeds: 2"))
    shutil.rmtree(copy.home.root)
    shutil.copytree(subject.home.root, copy.home.root)
    row.check(copy.run("launch", "--here") == 0, "the launch in the copy failed")
    row.check(copy.run("check") == 0, "the copy is not whole")
    changed = sum(before.get(name) != seen for name, seen in content(subject.home.root).items())
    row.check(changed == 0, f"{changed} files of the original changed")
    row.add(copy.counts())
    row.notes.append(f"{changed} of {len(before)} files of the original changed")
    return row


def content(home: Path) -> dict[str, str]:
    """Every file of a home, by a hash of what is in it."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


FILL = """
mount -t tmpfs -o size=600k tmpfs "$1"
ln -s "$1/mlflow.db" "$0/mlflow.db"
shift
"$@"; echo "code $?"
mount -o remount,size=200m "$(dirname "$(readlink "$0/mlflow.db")")"
"$@"; echo "code $?"
cp --remove-destination "$(readlink "$0/mlflow.db")" "$0/mlflow.db"
"""


def mlflow_full(folder: Path, seed: int) -> Row:
    """No room for MLflow's database alone: it is said, and all is trained; with room it is mended."""
    row, subject = Row("disk full under MLflow alone"), Subject(folder / "full", "full", SHORT)
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
        row.notes.append("not run: this machine gives no user namespaces")
        return row
    # A link out of a home would be refused.
    row.repetitions, place = 1, subject.home.root / "small"
    place.mkdir(parents=True)
    command = ["unshare", "-rm", "sh", "-c", FILL, str(subject.home.root), str(place)]
    ended = subprocess.run(
        [*command, *subject.command("launch", "--here")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=folder,
        env=LOCAL,
    )
    codes = [line for line in ended.stdout.splitlines() if line.startswith("code ")]
    row.check(codes == ["code 3", "code 0"], f"exit codes {codes}, wanted 3 and 0: {ended.stderr[-500:]}")
    row.check("make room on its disk" in ended.stdout, f"no clear word: {ended.stdout[-800:]}")
    row.check("Traceback" not in ended.stdout + ended.stderr, f"a traceback: {ended.stderr[-800:]}")
    row.add(subject.counts())
    row.notes.append("exit 3 and why; with room exit 0, every run there")
    return row


def damaged_rows(folder: Path, times: int, seed: int) -> Row:
    """Changed digits and cut texts in random rows: each is named and trained again, and no other suffers."""
    rng, row, text = random.Random(seed), Row("damaged rows"), study(steps=30, tiles=4)
    subject = Subject(folder / "damaged", "damaged", text)
    row.check(subject.run("launch", "--here") == 0, "the launch failed")
    truth = numbers(subject)
    harm = (
        "metric_final = metric_final * 1.001",
        "loss_initial = loss_initial + 1e-12",
        "curve = substr(curve, 1, 5)",
        "provenance = '{'",
        "transform = 'unit_nprm'",
        "reason = CAST(x'ff' AS TEXT)",
    )
    victims = rng.sample(sorted(truth), min(times, len(truth) // 2))
    with closing(sqlite3.connect(subject.home.ledger)) as connection, connection:
        for key in victims:
            connection.execute(f"UPDATE cells SET {rng.choice(harm)} WHERE key = ?", (key,))
    with closing(Ledger(subject.home.ledger, create=False)) as ledger:
        ledger.look_at()
        # A diverged cell has no score that could be changed.
        named = set(ledger.damaged)
    row.check(named <= set(victims), f"{named - set(victims)} are named, and whole")
    row.check(subject.run("check") == 3, "study check did not end with 3")
    row.check(subject.run("analyse") == 3, "study analyse did not end with 3")
    before = subject.handed
    row.check(subject.run("launch", "--here") == 0, "launching again failed")
    row.check(
        subject.handed - before == len(named), f"{subject.handed - before} trained, {len(named)} damaged"
    )
    row.check(numbers(subject) == truth, "numbers differ from those before")
    row.check(subject.run("check") == 0, "the home is not whole afterwards")
    row.repetitions, row.cells, row.trained = len(named), len(truth), subject.handed - before
    row.notes.append(f"{len(named)} of {len(truth)} rows, each named and trained again with the same numbers")
    return row


def shared_cells(folder: Path, seed: int) -> Row:
    """Two studies with the same cells launched at once in one home: each cell is trained once."""
    row, text = Row("two studies share cells", repetitions=1), study(steps=600, tile=4, tiles=4)
    one = Subject(folder / "shared", "one", text)
    two = folder / "two.yaml"
    two.write_text(f"name: two\n{text}")
    first = one.start("launch", "--here")
    with one.log.open("ab") as log:
        second = subprocess.Popen(
            [sys.executable, "-m", "study.cli", "launch", str(two), "--home", str(one.home.root), "--here"],
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            env=LOCAL,
        )
    codes = [process.wait(PATIENCE) for process in (first, second)]
    row.check(codes == [0, 0], f"the launches ended with {codes}; see {one.log}")
    row.add(one.counts())
    said = "waiting for them" in one.log.read_text()
    row.notes.append("the second waited for the first" if said else "neither waited")
    return row
