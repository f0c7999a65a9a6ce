"""Cells that a study of this home is training now, so that no other trains them too."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from search_spaces import Cell
from study.home import Home
from tracking import Ledger, LedgerError

log = logging.getLogger(__name__)


class Reservations:
    """The cells that one launch has taken for itself.

    The ledger says which study trains a cell. A lock of the operating system says whether that study still
    trains: it is free when its process dies, however that dies.
    """

    def __init__(self, home: Home, ledger: Ledger, study: str) -> None:
        self._home, self._ledger, self._study = home, ledger, study
        self._training = home.training(study)

    def __enter__(self) -> Reservations:
        self._training.__enter__()
        self._ledger.release(self._study)  # what an earlier launch left, whose process died
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Without room on the disk they stay, and are free all the same once the lock is.
        with suppress(LedgerError):
            self._ledger.release(self._study)
        self._training.__exit__(kind, error, trace)

    def take(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of the cells that no other study is training; they are this study's until `release`."""
        taken = self._ledger.claim(self._study, [cell.key for cell in cells], self._home.trains)
        log.info("%s takes %d of %d cells", self._study, len(taken), len(cells))
        return [cell for cell in cells if cell.key in taken]

    def release(self) -> None:
        """Give back what was not stored: others may try it."""
        self._ledger.release(self._study)

    def others(self, cells: Sequence[Cell]) -> list[str]:
        """The studies that are training some of these cells."""
        return self._ledger.claimants([cell.key for cell in cells])
