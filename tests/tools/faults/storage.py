"""Drills on the disk and the lock: torn writes, a lost power cord, no room, no permission, two at a time."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from study.home import Home
from tests.making import RECORD
from tests.tools.faults.drills import Row, study, undisturbed
from tests.tools.faults.subject import LOCAL, PATIENCE, Subject, expected, numbers
from tracking import Ledger

BATCH = 200
BATCHES = 4
CHECKPOINT = 1000 * 4096
"""From this size on sqlite moves the log into the database [bytes]."""
WRITER = f"""
import sys
from dataclasses import replace
from pathlib import Path
from tests.making import RECORD
from tracking import Ledger
ledger, n = Ledger(Path(sys.argv[1])), int(sys.argv[2])
print("writing", flush=True)
while True:
    ledger.add(replace(RECORD, key=f"{{n}}-{{k}}", reason="x" * 2000) for k in range({BATCH}))
    n += 1
"""
"""Stores batches for ever; a key says which batch it belongs to."""


def torn_write(folder: Path, kills: int, seed: int) -> Row:
    """A process killed while it writes, in or between transactions: every batch is whole, or not there."""
    rng, row = random.Random(seed), Row("torn ledger write")
    folder.mkdir(parents=True, exist_ok=True)
    path, batches = folder / "ledger.sqlite", 0
    for _ in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(batches)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.2))
        writer.kill()
        writer.wait(30)
        writer.stdout.close()
        row.repetitions += 1
        sizes = whole(path)
        row.check(set(sizes) <= {BATCH}, f"a batch has {sizes} cells")
        batches = len(sizes)
    row.cells = row.trained = batches * BATCH
    row.notes.append(f"{batches} batches of {BATCH}, all whole; integrity check passed each time")
    return row


def power_lost(folder: Path, times: int, seed: int) -> Row:
    """A power cut leaves the database and a write-ahead log that ends anywhere: all is whole and writable.

    The log is one that sqlite has not begun to move into the database. Before it does, it makes sure that the
    log is on the disk.
    """
    rng, row = random.Random(seed), Row("ledger log cut short")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ledger.sqlite"
    with closing(Ledger(path)) as writer:
        for n in range(BATCHES):
            writer.add(replace(RECORD, key=f"{n}-{k}", reason="x" * 2000) for k in range(BATCH))
        log = path.with_name(path.name + "-wal")
        full, database = log.read_bytes(), path.read_bytes()
    row.check(len(full) < CHECKPOINT, f"the log has {len(full):,} bytes, which is too much for this drill")
    for k in range(times):
        copy = folder / f"copy-{k}" / path.name
        copy.parent.mkdir()
        copy.write_bytes(database)
        copy.with_name(log.name).write_bytes(full[: rng.randrange(len(full))])
        with closing(Ledger(copy)) as ledger:
            sizes = whole(copy)
            row.check(set(sizes) <= {BATCH} and len(sizes) <= BATCHES, f"a batch has {sizes} cells")
            ledger.note_fingerprints("still", {"w": "writable"})
        row.repetitions += 1
        shutil.rmtree(copy.parent)
    row.notes.append(f"cut at {times} random bytes of {len(full):,}; every batch whole, writable afterwards")
    return row


def whole(path: Path) -> list[int]:
    """Sizes of the stored batches, after sqlite's own check."""
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert found == "ok", found
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'cells'").fetchone():
            return []
        return [
            size
            for (size,) in connection.execute(
                "SELECT COUNT(*) FROM cells GROUP BY substr(key, 1, instr(key, '-') - 1)"
            )
        ]


FILL = """
set -e
mount -t tmpfs -o size=3m tmpfs "$1"
shift
set +e
"$@"; echo "code $?"
"$@"; echo "code $?"
mount -o remount,size=200m "$0"
"$@"; echo "code $?"
cp -r "$0" "$0-copy"
"""


def disk_full(folder: Path, seed: int, *, small: bool = False) -> Row:
    """A home on a disk of 3 MB: a clear error, nothing corrupt; with room the same command goes on."""
    row = Row("disk full", repetitions=1)
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
        row.repetitions = 0
        row.notes.append("not run: this machine gives no user namespaces")
        return row
    text = study(steps=40, tile=6).replace("points: 4", "points: 40, dynamics: 1")
    if small:
        truth = expected(text)
    else:
        truth = numbers(undisturbed(folder / "truth", "truth", text, None, "--here")[0])
    place = folder / "place"
    place.mkdir(parents=True, exist_ok=True)
    subject = Subject(folder / "full", "full", text)
    subject.home = Home(place)
    command = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        FILL,
        str(place),
        str(place),
        *subject.command("launch", "--here"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder, env=LOCAL)
    codes = [line for line in ended.stdout.splitlines() if line.startswith("code ")]
    row.check(
        codes in (["code 1", "code 1", "code 0"], ["code 1", "code 2", "code 0"]),
        f"exit codes {codes}, wanted 1, 1 or 2, and 0: {ended.stdout[-500:]} {ended.stderr[-500:]}",
    )
    row.check(
        "cannot be written" in ended.stderr and "Traceback" not in ended.stderr,
        f"no clear error: {ended.stderr[-800:]}",
    )
    said = next((line for line in ended.stderr.splitlines() if "cannot be written" in line), "")
    row.notes.append(said[:160].replace(str(folder), "…"))
    subject.home = Home(place.with_name("place-copy"))
    if subject.home.ledger.exists():
        row.check(numbers(subject) == truth, "numbers differ from the undisturbed study's")
        row.cells, row.trained = 144, len(subject.records())
        row.lost = row.cells - row.trained
    else:
        row.check(False, "no ledger was left")
    return row


def two_launches(folder: Path, seed: int, *, small: bool = False) -> Row:
    """A second launch while the first one trains says who holds the study, exits 2, and changes nothing."""
    row = Row("two launches at once", repetitions=1)
    subject = Subject(folder / "two", "two", study(steps=100, tile=6, tiles=4 if small else 12))
    first = subject.start("launch", "--here")
    deadline = time.monotonic() + PATIENCE
    while first.poll() is None and subject.handed == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    row.check(first.poll() is None, "the first launch ended too early to tell")
    # On a busy machine the first could end before the second has started: it holds still meanwhile.
    first.send_signal(signal.SIGSTOP)
    try:
        second = subprocess.run(
            subject.command("launch", "--here"), capture_output=True, text=True, timeout=PATIENCE
        )
    finally:
        first.send_signal(signal.SIGCONT)
    row.check(
        second.returncode == 2 and str(first.pid) in second.stderr,
        f"the second launch ended with {second.returncode}: {second.stderr}",
    )
    row.check(first.wait(PATIENCE) == 0, "the first launch failed")
    row.add(subject.counts())
    row.notes.append("the second exits 2 and names the first one's process")
    return row


def unwritable(folder: Path, seed: int) -> Row:
    """A home on a read-only disk is refused at the start, with what to do."""
    row = Row("read-only home", repetitions=1)
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
        row.repetitions = 0
        row.notes.append("not run: this machine gives no user namespaces")
        return row
    place = folder / "place"
    place.mkdir(parents=True)
    subject = Subject(folder / "readonly", "readonly", study())
    subject.home = Home(place)
    script = 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"'
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(place), *subject.command("launch", "--here")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    row.check(
        ended.returncode == 2 and "cannot be written" in ended.stderr and "--home" in ended.stderr,
        f"ended with {ended.returncode}: {ended.stderr[-500:]}",
    )
    row.notes.append("exit 2, says to choose another with --home")
    return row
