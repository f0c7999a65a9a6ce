"""What the files of a study were made from, noted beside them, so that they need not be drawn twice."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import distributions, version
from pathlib import Path

from study.analysis import Analysis
from study.spec.user_source import ROOMS

NAME = ".drawn.json"
SUFFIXES = (".py", ".html", ".css", ".js", ".json")
"""Of the source files that decide what is exported.

The page has a template, a style and a script, and schemas are copied into every export.
"""


@dataclass(frozen=True)
class Stamp:
    """What the files of a folder were made from.

    Attributes:
        made_from: the `digest_of` the analysis.
        files: the sha256 of each file, by its path in the folder, in the order in which they were written.
        run: the run of the home's MLflow that got them and all that belongs to them; empty where none did.
    """

    made_from: str
    files: Mapping[str, str]
    run: str = ""

    def note(self, folder: Path) -> None:
        """Write it beside the files. Where that cannot be done, the next launch draws them again."""
        partial = folder / f"{NAME}.partial"
        with suppress(OSError):
            partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
            os.replace(partial, folder / NAME)

    def holds(self, folder: Path) -> bool:
        """Whether every file is in this folder, to the byte."""
        return bool(self.files) and all(sha256(folder / name) == noted for name, noted in self.files.items())


def stamped(made_from: str, folder: Path, written: Iterable[Path]) -> Stamp:
    """The stamp of files that were just written to a folder."""
    return Stamp(made_from, {path.relative_to(folder).as_posix(): sha256(path) for path in written})


def noted(folder: Path) -> Stamp | None:
    """The stamp that a folder has; None where there is none that can be read."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        files = {str(name): str(found) for name, found in content["files"].items()}
        return Stamp(str(content["made_from"]), files, str(content["run"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


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


def sha256(path: Path) -> str:
    """The hash of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
