"""What is printed while a tile is trained, kept in a file of the home and away from the terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import F_SETFL, fcntl
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TextIO

from rich.console import Console

from search_spaces import Tile
from study.run import log_keeper
from study.run.log_limit import MOST, Limit, cut

SHOWN = 10
"""Lines of a log that are shown with a failure."""
_capturing = threading.Lock()
_terminal = [2]
"""Last, the descriptor of what standard error is without the log."""


@dataclass(frozen=True)
class TileLogs:
    """The logs of a study's tiles. A tile that prints nothing leaves none."""

    folder: Path

    @contextmanager
    def of(self, tile: Tile) -> Iterator[None]:
        """Let what is printed meanwhile, by Python, C or other programs, go to the log of a tile."""
        with captured(self._path(tile)):
            yield

    def tail(self, tile: Tile) -> str:
        """The last lines of a tile's log and where it is; empty where there is none."""
        path = self._path(tile)
        try:
            return last_lines(path.read_bytes(), f" ({path})")
        except OSError:
            return ""

    def place(self, tile: Tile) -> Path | None:
        """The file of a tile's log; None where there is none."""
        path = self._path(tile)
        return path if path.is_file() else None

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile.key}.log"


def last_lines(output: bytes, where: str = "") -> str:
    """The end of what was printed, for people; empty where nothing was."""
    lines = output.decode("utf-8", errors="replace").splitlines()[-SHOWN:]
    return "\n".join(
        [f"its output ended with{where}:", *(f"  {line[-200:]}" for line in lines)] if lines else []
    )


@dataclass
class Captured:
    """What was printed in a block.

    Attributes:
        end: its last bytes; known when the block has ended.
    """

    end: bytes = b""

    def save(self, path: Path) -> None:
        """Write it to a file, if there is anything."""
        if self.end:
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.end)


@contextmanager
def captured(path: Path | None = None) -> Iterator[Captured]:
    """Send standard output and standard error to a file; an empty file is removed, a long one is cut.

    A file that cannot be written costs nobody a tile: what is printed then goes where it went before.

    Args:
        path: of the file; None keeps what is printed in memory alone.
    """
    found = Captured()
    # Descriptors belong to the process. Of two threads that train at once, one captures both.
    if not _capturing.acquire(blocking=False):
        yield found
        return
    try:
        try:
            log = _opened(path)
        except OSError:
            yield found
            return
        done = threading.Event()
        watch = threading.Thread(target=_cut_often, args=(log, done), name="tile log", daemon=True)
        log_keeper.begin(log)
        try:
            watch.start()
            with _redirected(log):
                yield found
        finally:
            done.set()
            watch.join()
            with suppress(OSError):
                found.end = os.pread(log, 2 * MOST, 0)
                # Not that of a later try, which a worker that was given up for lost may find there.
                if path is not None and not found.end and os.path.samestat(path.lstat(), os.fstat(log)):
                    path.unlink()
            log_keeper.end(log)
            os.close(log)
    finally:
        _capturing.release()


def _opened(path: Path | None) -> int:
    if path is None:
        with TemporaryFile() as file:
            log = os.dup(file.fileno())
        # As for a log: what is cut from its beginning must not leave a hole there.
        fcntl(log, F_SETFL, os.O_APPEND)
        return log
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file of its own for each try: processes of an earlier one may go on writing to theirs.
    path.unlink(missing_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND, 0o600)


@contextmanager
def _redirected(log: int) -> Iterator[None]:
    streams = sys.stdout, sys.stderr
    _flush()
    before = [os.dup(1), os.dup(2)]
    _terminal.append(before[1])
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = _on_descriptor(sys.stdout, 1), _on_descriptor(sys.stderr, 2)
    try:
        yield
    finally:
        _flush()
        sys.stdout, sys.stderr = streams
        _terminal.pop()
        for number, descriptor in zip(before, (1, 2), strict=True):
            os.dup2(number, descriptor)
            os.close(number)


def say_past_logs(words: str) -> None:
    """Write a line to the terminal, or whatever standard error is, even while it leads to a log."""
    with suppress(OSError):
        os.write(_terminal[-1], f"{words}\n".encode(errors="backslashreplace"))


def _on_descriptor(stream: TextIO, descriptor: int) -> TextIO:
    """The stream itself where it writes to descriptor 1 or 2; else, as for a notebook's, one that does."""
    # The live display of a launch puts a stream of its own in front, which prints above its bar.
    plain: TextIO = getattr(stream, "rich_proxied_file", stream)
    return plain if descriptor_of(plain) in (1, 2) else _stream_on(descriptor)


@cache
def _stream_on(descriptor: int) -> TextIO:
    # One for all tiles: a logger of the user's that takes `sys.stderr` in one tile uses it in the next.
    return open(descriptor, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)


def descriptor_of(stream: IO[str]) -> int | None:
    """The file descriptor behind a stream; None for a notebook's, or a test's."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _cut_often(log: int, done: threading.Event) -> None:
    limit = Limit(log)
    while not done.wait(limit.due - time.monotonic()):
        limit.look()
    cut(log, MOST)


@contextmanager
def apart(console: Console) -> Iterator[None]:
    """Let a console print where it prints now, whatever standard output and standard error become."""
    before = console._file
    console.file = lasting(console.file)
    try:
        yield
    finally:
        console.file = before  # type: ignore[assignment]  # None: whatever `sys.stdout` is then


def lasting(stream: IO[str]) -> IO[str]:
    """A stream that goes on to where descriptor 1 or 2 leads now, while these lead to a log."""
    descriptor = descriptor_of(stream)
    if descriptor not in (1, 2):
        return stream
    stream.flush()
    # What a terminal's encoding lacks is shown as its code: progress must not end a launch.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return open(os.dup(descriptor), "w", encoding=encoding, errors="backslashreplace", buffering=1)
