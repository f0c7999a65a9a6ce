"""The files that a launch or a sync wrote of a study, noted beside them with their hashes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = ".drawn.json"
UNTOLD = ""
"""The digest of what cannot be told, which equals no other: such files are drawn again."""


@dataclass(frozen=True)
class Stamp:
    """What the files of a folder were made from.

    Attributes:
        made_from: the `digest_of` the analysis, or `UNTOLD`.
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

    def changed(self, folder: Path) -> Iterator[str]:
        """The files that are not in this folder to the byte, by their paths in it."""
        return (name for name, noted in self.files.items() if sha256(folder / name) != noted)

    def holds(self, folder: Path) -> bool:
        """Whether every file is in this folder, to the byte."""
        return bool(self.files) and not any(self.changed(folder))


def noted(folder: Path) -> Stamp | None:
    """The stamp that a folder has; None where there is none that can be read."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        files = {str(name): str(found) for name, found in content["files"].items()}
        return Stamp(str(content["made_from"]), files, str(content["run"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def sha256(path: Path) -> str:
    """The hash of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
