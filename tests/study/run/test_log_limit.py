"""The limit on a log where processes outlive their tile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from study.run.log_limit import CUT, FLOOD, MOST, cut, file_of, processes, written_by
from study.run.tile_log import captured

ROOT = Path(__file__).parents[3]
FLOODS = "import os, time\nwhile True: os.write(1, b'x' * 1_000_000); time.sleep(0.01)"
"""Up to 100 MB a second."""
SLOWLY = "import os, time\nwhile True: os.write(1, b'x' * 300_000); time.sleep(0.25)"
QUIET = "import time; time.sleep(60)"


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test starts; none is left."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for one in found:
        one.kill()
        one.wait()


@pytest.mark.parametrize("size", [MOST + 1, MOST + 20, 2 * MOST - 9, 20 * MOST])
@pytest.mark.parametrize("call", ["pread", "pwrite", "ftruncate"])
def test_lines_that_come_while_a_log_is_cut_are_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    """What another process writes while a log is read, written or shortened is neither lost nor moved."""
    path = tmp_path / "log"
    log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    lines = b"".join(b"line %d\n" % line for line in range(size))[:size]
    os.write(log, lines)
    real, late = getattr(os, call), [b"and one\n", b"and " + b"x" * 200 + b"\n", b"and the last\n"]
    coming = iter(late)

    def slow(*arguments: object) -> object:
        done = real(*arguments)
        os.write(log, next(coming, b""))
        return done

    monkeypatch.setattr(os, call, slow)
    cut(log, MOST)
    monkeypatch.undo()
    came = b"".join(late if call != "ftruncate" else late[:1])
    text = path.read_bytes()
    assert text.startswith(CUT)
    assert (lines + came).endswith(text.removeprefix(CUT))
    assert text.endswith(came)
    assert MOST - 10 < len(text) <= MOST + len(late[0])
    os.close(log)


def python(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", code])


def comes(true: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether something comes true, and was not so for a moment: a process is missed that forks just then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true() and true():
            return True
        time.sleep(0.05)
    return False


def written(process: int) -> int:
    """Bytes that a process wrote."""
    lines = Path(f"/proc/{process}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def writers(log: int) -> list[int]:
    return [process for process in processes() if file_of(log) in written_by(process)]


def keepers(process: int) -> list[int]:
    """The keepers of a process, which are named after it."""
    found = []
    for one in processes():
        with suppress(OSError):
            words = Path(f"/proc/{one}/cmdline").read_text().split("\0")[:-1]
            if words[-1:] == [str(process)] and words[-3].endswith("log_limit.py"):
                found.append(one)
    return found


def largest_while_it_floods(process: int, size: Callable[[], int], much: int = 200_000_000) -> int:
    """The largest size of a log that is seen until a process wrote much more to it."""
    sizes, start = [], written(process)
    until = time.monotonic() + 60
    while written(process) < start + much and time.monotonic() < until:
        sizes.append(size())
        time.sleep(0.01)
    assert written(process) >= start + much
    return max(sizes)


def test_the_log_of_a_process_that_floods_it_after_its_tile_is_cut(
    tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    """A child that goes on printing 100 MB a second keeps its life, and its log its limit."""
    path = tmp_path / "log"
    with captured(path):
        children += [python(FLOODS), python(QUIET)]
        assert comes(lambda: path.stat().st_size > 0)
    # A hundred limits: on a busy machine nobody may look for a second.
    assert largest_while_it_floods(children[0].pid, lambda: path.stat().st_size) < 100 * FLOOD
    assert [one.poll() for one in children] == [None, None]
    children[0].kill()
    children[0].wait()
    # It is cut to its end when nobody can write to it.
    children[1].kill()
    children[1].wait()
    assert comes(lambda: path.stat().st_size < 1.1 * MOST)


def test_a_log_is_cut_for_as_long_as_a_process_prints(
    tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    """A child that prints 1 MB a second after its tile has the file of its own try cut, named or not."""
    with captured(tmp_path / "log"):
        children.append(python(SLOWLY))
        log = os.dup(1)
    try:
        with captured(tmp_path / "log"):
            os.write(1, b"again")
        assert largest_while_it_floods(children[0].pid, lambda: os.fstat(log).st_size, 5 * FLOOD) < 4 * FLOOD
        assert (tmp_path / "log").read_bytes() == b"again"
        assert children[0].poll() is None
        children[0].kill()
        children[0].wait()
    finally:
        reader = os.open(f"/proc/self/fd/{log}", os.O_RDONLY)
        os.close(log)
    assert comes(lambda: not writers(reader))
    assert os.fstat(reader).st_size < 1.1 * MOST
    os.close(reader)


@pytest.mark.parametrize("inside", [True, False], ids=["in the tile", "after it"])
def test_the_limit_outlives_a_killed_worker(tmp_path: Path, inside: bool) -> None:
    """Where the process that trains is killed, the log of its children is cut until they end."""
    log = tmp_path / "log"
    kill = "os.kill(os.getpid(), 9)"
    code = (
        "import os, subprocess, sys; from pathlib import Path; from study.run.tile_log import captured\n"
        "log = Path(sys.argv[1])\n"
        "with captured(log):\n"
        "    print('a tile without prints leaves no log', flush=True)\n"
        "    child = subprocess.Popen([sys.executable, '-c', sys.argv[2]])\n"
        "    log.with_name('pids').write_text(f'{os.getpid()} {child.pid}')\n"
        f"    {kill if inside else 'pass'}\n"
        f"{kill}"
    )
    command = [sys.executable, "-c", code, str(log), FLOODS]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, timeout=60, check=False)
    worker, child = map(int, (tmp_path / "pids").read_text().split())
    try:
        assert done.returncode == -9
        assert largest_while_it_floods(child, lambda: log.stat().st_size) < 100 * FLOOD
        assert len(keepers(worker)) == 1
    finally:
        os.kill(child, signal.SIGKILL)
    assert comes(lambda: not keepers(worker))
    assert log.stat().st_size < 1.1 * MOST


def test_a_later_try_may_flood_its_log(tmp_path: Path, children: list[subprocess.Popen[bytes]]) -> None:
    """A worker that trains a tile again is left alone, while a quiet child of the first try lives."""
    code = (
        "import os, subprocess, sys, time; from pathlib import Path\n"
        "from study.run.tile_log import captured\n"
        "with captured(Path(sys.argv[1])):\n"
        "    child = subprocess.Popen([sys.executable, '-c', sys.argv[2]]); print('first', flush=True)\n"
        "until = time.monotonic() + 2\n"
        "with captured(Path(sys.argv[1])):\n"
        "    while time.monotonic() < until: os.write(1, b'x' * 65536)\n"
        "child.kill()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log"), QUIET]
    children.append(subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}))
    assert children[0].wait(60) == 0
    assert comes(lambda: not keepers(children[0].pid))


def test_nobody_watches_a_log_that_nobody_can_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tiles of a process have one keeper, and a tile whose processes have all ended none."""
    with captured(tmp_path / "log"):
        print("the first tile")
    with monkeypatch.context() as patched, captured(tmp_path / "log"):
        os.system("echo a program")
        patched.setattr("study.run.log_keeper.subprocess.run", lambda *_, **__: pytest.fail("started"))
    assert len(keepers(os.getpid())) == 1
    with (tmp_path / "log").open("rb") as log:
        assert comes(lambda: not writers(log.fileno()))


def test_a_keeper_that_was_killed_is_replaced(
    tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    """The limit of a tile is kept by a new keeper, even if the tile began with the one that was killed."""
    path = tmp_path / "log"
    with captured(path):
        children.append(python(FLOODS))
        (before,) = keepers(os.getpid())
        os.kill(before, signal.SIGKILL)
        assert comes(lambda: not keepers(os.getpid()))
        # The log of a tile that printed nothing goes.
        assert comes(lambda: written(children[0].pid) > 0)
    (after,) = keepers(os.getpid())
    assert after != before
    assert largest_while_it_floods(children[0].pid, lambda: path.stat().st_size) < 100 * FLOOD
