"""Which run of which tracker shows a cell, as a ledger remembers it; never with a tracker's password."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tracking.address import identity
from tracking.ledger_errors import LedgerError
from tracking.ledger_file import LedgerFile


class Runs(LedgerFile):
    """The runs of cells, by study and tracker."""

    def __init__(self, path: Path, *, create: bool = True, at: str | None = None) -> None:
        super().__init__(path, create=create, at=at)
        if create:
            try:
                self._forget_passwords()
            except LedgerError:
                self.close()
                raise

    def note_runs(self, study: str, tracker: str, run_ids: dict[str, str]) -> None:
        """Remember which run of a tracker shows which cell of a study, once the run is complete."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
                [(study, self._places(tracker)[0], key, run_id) for key, run_id in run_ids.items()],
            )

    def forget_runs(self, study: str, tracker: str, keys: Iterable[str]) -> None:
        """Forget runs that the tracker lost."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM runs WHERE study = ? AND tracker IN (?, ?) AND key = ?",
                [(study, *self._places(tracker), key) for key in keys],
            )

    def forget_tracker(self, tracker: str, *, keep: str | None = None) -> None:
        """Forget all runs of a tracker, but for those of a study that is to be kept."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM runs WHERE tracker IN (?, ?) AND study IS NOT ?", (*self._places(tracker), keep)
            )

    def runs(self, study: str, tracker: str) -> dict[str, str]:
        """Complete runs of a study in a tracker, by cell key."""
        own, absolute = self._places(tracker)
        return dict(
            self._rows(
                "SELECT key, run_id FROM runs WHERE study = ? AND tracker IN (?, ?) ORDER BY tracker = ?",
                (study, own, absolute, own),
            )
        )

    def shown_elsewhere(self, tracker: str) -> set[str]:
        """Keys of the cells that have a run in another tracker.

        A file of the same name that is no more counts as this one: the home was there before it was moved.
        """
        known = [other for (other,) in self._rows("SELECT DISTINCT tracker FROM runs")]
        own = {*self._places(tracker), *(other for other in known if self._was_here(other, tracker))}
        return {key for key, other in self._rows("SELECT key, tracker FROM runs") if other not in own}

    def _was_here(self, other: str, tracker: str) -> bool:
        """Whether a tracker is a file of the same name that is no more."""
        head, name = "sqlite:///", tracker.rpartition("/")[2]
        same = other.startswith(head) and other.rpartition("/")[2] == name
        return same and not (self.path.parent / other.removeprefix(head)).exists()

    def _places(self, tracker: str) -> tuple[str, str]:
        """A tracker as it is stored, and as it was stored before homes could be moved.

        A tracker inside of the ledger's own folder is stored without that folder, which may be moved.
        """
        tracker = identity(tracker)
        return tracker.replace(f"{self.path.resolve().parent}/", "./"), tracker

    def _forget_passwords(self) -> None:
        """Rename trackers that an older version noted with their passwords, and leave no trace of these."""
        trackers = [name for (name,) in self._rows("SELECT DISTINCT tracker FROM runs")]
        names = [(identity(tracker), tracker) for tracker in trackers if identity(tracker) != tracker]
        if not names:
            return
        with self._transaction() as connection:
            connection.executemany("UPDATE OR IGNORE runs SET tracker = ? WHERE tracker = ?", names)
            connection.executemany("DELETE FROM runs WHERE tracker = ?", [(old,) for _, old in names])
        self.path.chmod(0o600)
        # What was deleted stays in the file and its log until both are written afresh. Another process that
        # reads may hinder that for now; it has what it needs at the next change.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("VACUUM")
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
