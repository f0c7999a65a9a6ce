"""A long run kept on disk while it trains, so that it goes on where its process died."""

from __future__ import annotations

import io
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import torch

from trainers.progress import Progress

EVERY = 60.0
"""Seconds of training that a lost process costs at most."""


class Checkpoint:
    """One file with the progress of a run: replaced now and then, whole or not at all.

    Args:
        path: the file; its folder is made when it is first needed.
        every: seconds of training between two of them [s].

    Attributes:
        used: something was kept, or loaded. The file then stays when the run has ended, so that the results
            can be loaded again until they are safe elsewhere; whoever keeps the results clears it.
    """

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path, self.every = path, every
        self.used = False
        self._last, self._took = time.monotonic(), 0.0

    def part(self, number: int) -> Checkpoint:
        """The checkpoint of a part of the run, where memory made it train in parts."""
        return Checkpoint(self.path.with_name(f"{self.path.name}.{number}"), self.every)

    @property
    def due(self) -> bool:
        """Whether to save now: seldom enough that saving takes at most a tenth of the time."""
        return time.monotonic() - self._last >= max(self.every, 10 * self._took)

    def save(self, identity: str, progress: Progress) -> None:
        """Replace what is kept; a full or unreachable disk costs the checkpoint, never the run.

        Args:
            identity: says which run this is; another one does not go on from it.
        """
        started = time.monotonic()
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        try:
            content = io.BytesIO()
            torch.save({"identity": identity, **progress.plain()}, content)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                # Without it a machine that loses power may keep the new name and not yet the new content.
                os.fsync(file.fileno())
            os.replace(partial, self.path)
            self.used = True
        except (OSError, RuntimeError, MemoryError):
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        self._last = time.monotonic()
        self._took = self._last - started

    def load(self, identity: str) -> Progress | None:
        """The progress of this very run.

        Returns:
            None if nothing is kept, or it cannot be read, or it is of another run or version.
        """
        try:
            kept = torch.load(self.path, weights_only=True)
        except Exception:  # a damaged file raises whatever its bytes happen to mean
            return None
        if not isinstance(kept, dict) or kept.pop("identity", None) != identity:
            return None
        try:
            progress = Progress.from_plain(kept)
        except (KeyError, TypeError):  # written by another version
            return None
        self.used = True
        return progress

    def clear(self) -> None:
        """Remove the file, those of its parts, and half written ones: the results are safe elsewhere."""
        # Only names that this class gives: what else begins so, as `train.py` beside `train`, is the user's.
        name = re.escape(self.path.name)
        ours = re.compile(rf"{name}(\.\d+)*|\.{name}(\.\d+)+\.partial")
        with suppress(OSError):
            for file in [one for one in self.path.parent.iterdir() if ours.fullmatch(one.name)]:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
