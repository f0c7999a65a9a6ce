"""A long run kept on disk while it trains, so that it goes on with the same numbers where its process died."""

from __future__ import annotations

import io
import os
import pickle
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

EVERY = 60.0
"""Seconds of training that a lost process costs at most."""


class Checkpoint:
    """One file with the state of a run: replaced now and then, whole or not at all.

    Args:
        path: the file; its folder is made when it is first needed.
        every: seconds of training between two of them [s].
    """

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path, self.every = path, every
        self._last = time.monotonic()

    def part(self, number: int) -> Checkpoint:
        """The checkpoint of a part of the run, where memory made it train in parts."""
        return Checkpoint(self.path.with_name(f"{self.path.name}.{number}"), self.every)

    @property
    def due(self) -> bool:
        return time.monotonic() - self._last >= self.every

    def save(self, identity: str, state: Mapping[str, Any]) -> None:
        """Replace what is kept; a disk that is full or away costs the checkpoint, never the run.

        Args:
            identity: says which run this is; another one does not go on from it.
        """
        content = io.BytesIO()
        torch.save({"identity": identity, **state}, content)
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        self._last = time.monotonic()

    def load(self, identity: str) -> dict[str, Any] | None:
        """What is kept of this very run; None where nothing is, or it cannot be read, or it is of another run."""
        try:
            state = torch.load(self.path, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            return None
        return state if isinstance(state, dict) and state.get("identity") == identity else None

    def clear(self) -> None:
        """The run has ended."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
