"""What the files of a study are made from, as one hash, so that they need not be drawn twice."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions, version
from pathlib import Path

from study.analysis import Analysis
from study.drawn import Stamp, sha256
from study.spec.user_source import ROOMS

SUFFIXES = (".py", ".html", ".css", ".js", ".json")
"""Of the source files that decide what is exported.

The page has a template, a style and a script, and schemas are copied into every export.
"""


def stamped(made_from: str, folder: Path, written: Iterable[Path]) -> Stamp:
    """The stamp of files that were just written to a folder."""
    return Stamp(made_from, {path.relative_to(folder).as_posix(): sha256(path) for path in written})


def digest_of(analysis: Analysis) -> str | None:
    """A hash of everything that decides what the files of an analysis hold.

    These are the spec, each cell's record with its run in MLflow, the source of this package, and the
    versions of Python and of everything that is installed.

    Returns:
        None where it cannot be told: a claim of the user's own may read anything, and damage is mended.
    """
    spec = analysis.plan.spec
    if spec.claims or analysis.damaged:
        return None
    found = hashlib.sha256(spec.remembered().encode())
    found.update(f"{analysis.looks} {analysis.verdict_rules}\n".encode())
    for key in analysis.plan.keys:
        found.update(f"{key} {analysis.runs.get(key)} {analysis.stored.get(key)!r}\n".encode())
    for line in (*_source(), *_versions()):
        found.update(line)
    return found.hexdigest()


def _source() -> Iterator[bytes]:
    root = Path(__file__).resolve().parents[2]
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in SUFFIXES:
                yield path.relative_to(root).as_posix().encode()
                yield path.read_bytes()


def _versions() -> Iterator[bytes]:
    from study.report.export import PACKAGES

    yield sys.version.encode()
    yield from (f"{name} {version(name)}\n".encode() for name in PACKAGES)
    # A picture depends on what matplotlib itself builds on, too. Not all of `sys.path`: Ray puts folders of
    # its own there, and a launch that starts no Ray must know the files of one that did.
    where = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    yield from sorted(f"{one.name} {one.version}\n".encode() for one in distributions(path=sorted(where)))
