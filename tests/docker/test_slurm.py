"""The script for SLURM, run as SLURM runs it: with commands in SLURM's, Ray's and the study's place."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
import typer

from study.cli.command import app

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docker" / "slurm" / "study.sbatch"
JOB = 5000 + os.getpid() % 5000
"""The script takes its port and its folder of Ray from it, and tests run side by side."""
COMMANDS = {
    "scontrol": '[ "$1" = requeue ] && echo "$*" >>"$TOLD" || echo 127.0.0.1',
    "squeue": 'echo "$QUEUE"',
    "srun": 'while [ "$1" != bash ]; do shift; done; exec "$@"',
    # A head listens on its port, and both end at SIGTERM.
    "ray": """
echo "ray $*" >>"$TOLD"
for one in "$@"; do case $one in --port=*) port=${one#*=} ;; esac; done
exec python3 -c 'import socket, sys, time
if sys.argv[1]: kept = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)' "${port:-}"
""",
    # Stores a cell, and trains until it is stopped or for as long as the spec says.
    "study": """
echo "study $*" >>"$TOLD"
ls -l "$RAY_AUTH_TOKEN_PATH" >>"$TOLD"
python3 - "$4/ledger.sqlite" <<'PYTHON'
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as ledger, ledger:
    ledger.execute("PRAGMA journal_mode=WAL")
    ledger.execute("create table if not exists cells (cell)")
    ledger.execute("insert into cells values (1)")
PYTHON
mkdir -p "$4/exports"; echo drawn >"$4/exports/picture"
trap 'exit "$STOPPED"' TERM
echo trains >>"$TOLD"
for _ in $(seq "$TENTHS"); do sleep 0.1; done
exit "$ENDS"
""",
    "rsync": """
leave='' folders=()
for one in "$@"; do case $one in --exclude=/*) leave=yes ;; -*) ;; *) folders+=("$one") ;; esac; done
[ -z "$FULL" ] || [ "${folders[1]}" != "$FULL/" ] || exit 11
for one in "${folders[0]}"*; do
  case $leave$(basename "$one") in yesledger.sqlite*) continue ;; esac
  [ ! -e "$one" ] || cp -a "$one" "${folders[1]}"
done
""",
}


SQUEUE = """#!/bin/bash
# The first job is answered when both have read who had the lock, the second when the first has taken it.
touch "$TOLD.asked-$SLURM_JOB_ID"
for _ in $(seq 200); do
  if [ -n "$WAITS_FOR" ]; then [ "$(cat "$LOCK")" = "$WAITS_FOR" ] && break
  else [ "$(ls "$TOLD".asked-* | wc -l)" = 2 ] && break; fi
  sleep 0.05
done
echo "$QUEUE"
"""


class Cluster:
    """A folder that all machines share, a disk of the first one, and what a job said there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.disk = folder, folder / "shared home", folder / "disk"
        self.told = folder / "told"
        binaries = folder / "venv" / "bin"
        binaries.mkdir(parents=True)
        self.disk.mkdir()
        (binaries / "python").symlink_to(shutil.which("python3") or "")
        for name, text in COMMANDS.items():
            (binaries / name).write_text(f"#!/bin/bash\n{text}\n")
            (binaries / name).chmod(0o755)

    def start(self, **changed: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TOLD": str(self.told),
            "SLURM_JOB_ID": str(JOB),
            "SLURM_JOB_NODELIST": "a[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "3",
            "SLURM_GPUS_ON_NODE": "1",
            "STABILITY_STUDY_VENV": str(self.folder / "venv"),
            "STABILITY_STUDY_HOME": str(self.home),
            "STABILITY_STUDY_LOCAL": str(self.disk),
            "STABILITY_STUDY_KEEP_EVERY": "600",
            "QUEUE": str(JOB),
            "TENTHS": "1",
            "ENDS": "0",
            "STOPPED": "3",
            "FULL": "",
            "LOCK": "",
            "WAITS_FOR": "",
        }
        return subprocess.Popen(
            ["bash", str(SCRIPT), "spec.yaml", "--until-decided"],
            env=environment | changed,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **changed: str) -> tuple[int, str]:
        return self.end(self.start(**changed))

    def end(self, job: subprocess.Popen[str]) -> tuple[int, str]:
        _, said = job.communicate(timeout=30)
        return job.returncode, said

    def wait_for(self, words: str) -> None:
        until = time.monotonic() + 20
        while words not in self.words:
            assert time.monotonic() < until, self.words
            time.sleep(0.05)

    @property
    def words(self) -> str:
        return self.told.read_text() if self.told.exists() else ""

    def cells(self) -> int:
        with sqlite3.connect(self.home / "ledger.sqlite") as ledger:
            found = int(ledger.execute("select count(*) from cells").fetchone()[0])
        ledger.close()
        return found

    def left(self) -> list[str]:
        beside = [one.name for one in self.folder.glob("shared home.*")]
        return beside + [one.name for one in self.disk.iterdir()]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_job_asks_for_what_it_needs() -> None:
    """SLURM reads the limits, and a signal in time, from lines before the first command."""
    text = SCRIPT.read_text(encoding="utf-8")
    before = text[: text.index("\nset -uo pipefail")]
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", before, re.MULTILINE))
    assert text.count("\n#SBATCH") == len(asked)
    assert {"requeue", "nodes", "gpus-per-node", "cpus-per-task", "time"} < set(asked)
    assert asked["ntasks-per-node"] == "1"
    to, _, seconds = asked["signal"].partition("@")
    assert to == "B:USR1"
    assert int(seconds) >= 120


def test_script_ends_no_other_ray() -> None:
    """`ray stop`, and `ray symmetric-run` with it, would end other jobs' Ray on the same machines."""
    commands = [line for line in SCRIPT.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in commands if re.search(r"ray (stop|symmetric-run)", line)]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    """The script has none of the faults that shellcheck knows."""
    subprocess.run(["shellcheck", "--shell=bash", str(SCRIPT)], check=True)


def test_study_ends_in_the_shared_home(cluster: Cluster) -> None:
    """What was trained on the disk is in the home afterwards, and nothing else is left anywhere."""
    code, said = cluster.run()
    assert code == 0, said
    assert cluster.cells() == 1
    assert (cluster.home / "exports" / "picture").exists()
    assert cluster.left() == []
    assert "requeue" not in cluster.words
    assert cluster.run()[0] == 0
    assert cluster.cells() == 2  # the second run went on at the first one's ledger


def test_commands_are_real_ones(cluster: Cluster) -> None:
    """Ray and the study know every option that the script gives them; the token is no argument."""
    from ray.scripts.scripts import start

    cluster.run()
    lines = [line.split() for line in cluster.words.splitlines()]
    starts = [line[2:] for line in lines if line[:2] == ["ray", "start"]]
    assert len(starts) == 2
    heads = [start.make_context("start", list(words)).params["head"] for words in starts]
    assert sorted(heads) == [False, True]
    (launch,) = ([*line[1:]] for line in lines if line[0] == "study")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    given = commands["launch"].make_context("launch", launch[1:]).params
    assert given["until_decided"]
    (mode,) = (line[0] for line in lines if line[0].startswith("-rw"))
    assert mode == "-rw-------"


@pytest.mark.parametrize(("stopped", "again"), [("3", True), ("143", True), ("0", False), ("2", False)])
def test_time_limit_queues_the_job_again(cluster: Cluster, stopped: str, again: bool) -> None:
    """At the signal the launch closes its ledger, the home is copied back, and the rest waits."""
    job = cluster.start(TENTHS="200", STOPPED=stopped)
    cluster.wait_for("trains")
    job.send_signal(signal.SIGUSR1)
    code, said = cluster.end(job)
    assert code == int(stopped), said
    assert cluster.cells() == 1
    assert (f"requeue {JOB}" in cluster.words) is again
    assert cluster.left() == []


def test_cancelled_job_is_not_queued_again(cluster: Cluster) -> None:
    """`scancel` keeps what was trained, and the job stays away."""
    job = cluster.start(TENTHS="200")
    cluster.wait_for("trains")
    job.send_signal(signal.SIGTERM)
    assert cluster.end(job)[0] == 3
    assert cluster.cells() == 1
    assert "requeue" not in cluster.words


def test_failed_cells_do_not_queue_the_job_again(cluster: Cluster) -> None:
    """An incomplete study without the signal would be incomplete again."""
    assert cluster.run(ENDS="3")[0] == 3
    assert "requeue" not in cluster.words


def test_ledger_is_kept_while_the_study_runs(cluster: Cluster) -> None:
    """A machine that dies takes the cells of the last minutes with it, not those of the whole job."""
    job = cluster.start(TENTHS="100", STABILITY_STUDY_KEEP_EVERY="0.2")
    cluster.wait_for("trains")
    until = time.monotonic() + 8
    while not (cluster.home / "ledger.sqlite").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert cluster.cells() == 1
    job.send_signal(signal.SIGTERM)
    cluster.end(job)


def test_second_job_on_a_home_is_refused(cluster: Cluster) -> None:
    """Two copies of one home would overwrite each other; a job that is gone holds nothing."""
    cluster.home.mkdir()
    lock = Path(f"{cluster.home}.job")
    lock.write_text("17\n")
    code, said = cluster.run(QUEUE=f"17\n{JOB}")
    assert code == 1
    assert "job 17 works on" in said
    assert lock.read_text() == "17\n"
    assert cluster.run(QUEUE=str(JOB))[0] == 0
    lock.write_text(f"{JOB}\n")  # its own, from before its machine died
    assert cluster.run()[0] == 0


def test_two_jobs_that_find_a_home_left_over_do_not_both_take_it(cluster: Cluster) -> None:
    """The later one asked SLURM before the first took the lock, and leaves the first one's alone."""
    cluster.home.mkdir()
    lock, later = Path(f"{cluster.home}.job"), str(JOB + 1)
    lock.write_text("17\n")
    (cluster.folder / "venv" / "bin" / "squeue").write_text(SQUEUE)
    queue = f"{JOB}\n{later}"
    first = cluster.start(QUEUE=queue, LOCK=str(lock), TENTHS="200")
    second = cluster.start(QUEUE=queue, LOCK=str(lock), SLURM_JOB_ID=later, WAITS_FOR=str(JOB))
    code, said = cluster.end(second)
    assert (code, f"job {JOB} works on" in said) == (1, True), said
    assert lock.read_text() == f"{JOB}\n"
    cluster.wait_for("trains")
    first.send_signal(signal.SIGTERM)
    assert cluster.end(first)[0] == 3
    assert cluster.cells() == 1
    assert cluster.left() == []


def test_full_home_loses_nothing(cluster: Cluster) -> None:
    """What cannot be copied back stays on the disk, and the job says where."""
    code, said = cluster.run(FULL=str(cluster.home))
    assert code == 1
    assert f"{cluster.disk}/stability-study-{JOB}" in said
    assert (cluster.disk / f"stability-study-{JOB}" / "ledger.sqlite").exists()
