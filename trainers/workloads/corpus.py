"""Texts that are there without a download: a synthetic language, and the library of the running Python."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable
from pathlib import Path

from trainers.workloads.language import language

LEFT_OUT = ("site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__")
"""Folders of the library that are left out: packages of others, tests, and what distributions lack."""


def library(length: int, seed: int) -> bytes:
    """Source and documentation of the running Python's library: its `.py` files, in the order of their names.

    Another patch release of Python has other files, so its text and fingerprint are other ones.

    Args:
        length: so many bytes at most.
        seed: not used; there is one such text.
    """
    root = sysconfig.get_path("stdlib")
    paths: list[Path] = []
    for folder, inside, names in os.walk(root):
        # In place, so that other packages, which may be many, are not even listed.
        inside[:] = [name for name in inside if name not in LEFT_OUT]
        paths += [Path(folder, name) for name in names if name.endswith(".py")]
    parts: list[bytes] = []
    size = 0
    # By their own names first: in the order of folders the last tenth, which is for validation, would be one
    # package.
    for path in sorted(paths, key=lambda path: (path.name, path.relative_to(root).as_posix())):
        if size >= length:
            break
        parts.append(path.read_bytes() + b"\n")
        size += len(parts[-1])
    return b"".join(parts)[:length]


CORPORA: dict[str, Callable[[int, int], bytes]] = {"synthetic": language, "python": library}
"""Texts `(length, seed) -> bytes` by name."""
