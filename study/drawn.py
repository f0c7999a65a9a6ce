"""The files that a launch or a sync wrote of a study, noted beside them with their hashes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
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
        redrawn: the sha256 of those that a user had drawn over them since, in another look say.
    """

    made_from: str
    files: Mapping[str, str]
    run: str = ""
    redrawn: Mapping[str, str] = field(default_factory=dict)

    def note(self, folder: Path) -> None:
        """Write it beside the files. Where that cannot be done, the next launch draws them again."""
        partial = folder / f"{NAME}.partial"
        with suppress(OSError):
            partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
            os.replace(partial, folder / NAME)

    def changed(self, folder: Path) -> Iterator[str]:
        """The files that are in this folder neither to the byte nor as a user redrew them, by their paths."""
        for name, noted in self.files.items():
            if sha256(folder / name) not in (noted, self.redrawn.get(name, noted)):
                yield name

    def holds(self, folder: Path) -> bool:
        """Whether every file is in this folder, to the byte."""
        return bool(self.files) and not self.redrawn and not any(self.changed(folder))


def noted(folder: Path) -> Stamp | None:
    """The stamp that a folder has; None where there is none that can be read."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        files = {str(name): str(found) for name, found in content["files"].items()}
        redrawn = {str(name): str(found) for name, found in content.get("redrawn", {}).items()}
        return Stamp(str(content["made_from"]), files, str(content["run"]), redrawn)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def note_redrawn(folder: Path, written: Iterable[Path]) -> None:
    """Note files that a user had drawn over those of a launch: they are no damage.

    The next launch draws its own again.
    """
    stamp = noted(folder)
    if stamp is None:
        return
    found = {path.relative_to(folder).as_posix(): sha256(path) for path in written}
    redrawn = {name: one for name, one in found.items() if stamp.files.get(name, one) != one}
    if redrawn:
        replace(stamp, redrawn={**stamp.redrawn, **redrawn}).note(folder)


def sha256(path: Path) -> str:
    """The hash of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
