"""Small programs in C, compiled once for a machine and kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

FLAGS = (
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
)
"""No two operations may become one, because that would round otherwise than torch does."""
LEAST_SAVED_SECONDS = 0.4
"""What a program has to save before it is compiled [s]. Compiling takes 0.2 s on a machine at rest."""
COMPILE_SECONDS = 60
"""When a compiler is given up [s]."""

log = logging.getLogger(__name__)


def folder() -> Path:
    """Where programs are kept: in `$STABILITY_STUDY_CACHE`, or in the user's folder for such things."""
    asked = os.environ.get("STABILITY_STUDY_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(asked or Path(caches, "stability-study"))


@cache
def compiler() -> str | None:
    """The path of `$CC`, `cc`, `gcc` or `clang`; None where there is no compiler, which is said once."""
    names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        log.warning("no C compiler was found: steps take up to a third longer, with the same numbers")
    return found


@cache
def machine() -> str:
    """What a compiled program depends on besides its text: processor, system and compiler."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        processor = f"{platform.processor()} {platform.node()}"
    path = compiler()
    version = subprocess.run([path, "--version"], capture_output=True, check=False).stdout if path else b""
    return f"{platform.platform()} {processor} {version!r} {FLAGS}"


def name_of(source: str) -> str:
    """The name of a program's file."""
    return hashlib.sha256(f"{machine()}\n{source}".encode()).hexdigest()[:32] + ".so"


@cache
def trusted(where: Path) -> bool:
    """Whether a folder is there, or can be made, and nobody else can write to it: what lies in it is run."""
    try:
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
        found, me = where.stat(), os.getuid()
    except (OSError, AttributeError):  # not every system has users in numbers
        return False
    mine = found.st_uid == me and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return mine and os.access(where, os.W_OK)


_loaded: dict[str, ctypes.CDLL | None] = {}


def loaded(source: str, *, saves: float) -> ctypes.CDLL | None:
    """The program, from memory or the cache, or compiled if that pays; None if it is not to be had.

    Args:
        saves: how much time it will save [s].
    """
    if source not in _loaded:
        found = kept(source)
        if found is None and (saves < LEAST_SAVED_SECONDS or compiler() is None):
            return None
        _loaded[source] = found or fresh(source)
    return _loaded[source]


def kept(source: str) -> ctypes.CDLL | None:
    """The program from the cache."""
    path = folder() / name_of(source)
    if not trusted(folder()) or not path.exists():
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # half of a file, say: it is compiled again
        return None


def fresh(source: str) -> ctypes.CDLL | None:
    """The program, compiled, and kept if there is a place for it; None where that fails, which is said."""
    path = compiler()
    assert path is not None
    try:
        with tempfile.TemporaryDirectory(prefix="stability-study-") as made:
            text, program = Path(made, "chain.c"), Path(made, "chain.so")
            text.write_text(source)
            command = [path, *FLAGS, str(text), "-o", str(program), "-lm"]
            subprocess.run(
                command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=COMPILE_SECONDS
            )
            if trusted(folder()):
                # Another process, of another machine maybe, may keep the same program at this moment.
                handle, beside = tempfile.mkstemp(dir=folder())
                with os.fdopen(handle, "wb") as file:
                    file.write(program.read_bytes())
                os.replace(beside, folder() / name_of(source))
            return ctypes.CDLL(str(program))
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("steps were not compiled (%s): they take longer, with the same numbers", error)
        return None
