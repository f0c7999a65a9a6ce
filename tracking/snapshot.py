"""A database as it is now, read without changing anything, not even beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

LOGS = ("-wal", "-journal")
"""What sqlite has beside a database that is not in it yet, by the end of a name."""


@contextmanager
def untouched(path: Path) -> Iterator[str]:
    """The `file:` address by which sqlite reads a database and leaves no trace.

    Even a connection that only reads makes files beside a database, or changes those that are there. Where
    everything is in the database, it is read as one that nobody changes. Else it is copied with its logs.
    What another process writes meanwhile may make both wrong: compare `state_of` before and after.

    Args:
        path: of the database, without symbolic links.

    Raises:
        OSError: it cannot be copied.
    """
    logs = [log for end in LOGS if _size(log := path.with_name(path.name + end))]
    if not logs:
        yield f"{path.as_uri()}?mode=ro&immutable=1"
        return
    with TemporaryDirectory(prefix="study-check-") as folder:
        for file in (path, *logs):
            shutil.copyfile(file, Path(folder, file.name))
        yield f"{Path(folder, path.name).as_uri()}?mode=rw"


def state_of(path: Path) -> list[tuple[int, int, int]]:
    """What changes when a process writes a database or its logs."""
    found = []
    for file in (path, *(path.with_name(path.name + end) for end in LOGS)):
        try:
            at = file.stat()
        except OSError:
            continue
        found.append((at.st_ino, at.st_size, at.st_mtime_ns))
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
