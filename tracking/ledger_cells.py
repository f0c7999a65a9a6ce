"""The cells of a ledger: stored once, read with their checksums, and taken out where they are damaged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tracking.ledger_errors import LedgerError
from tracking.ledger_file import LedgerFile
from tracking.ledger_schema import INSERT, values_of
from tracking.record import FAILED, CellRecord
from tracking.rows import DamagedRowError, from_row

CHUNK = 500
"""Keys per SELECT: below 999, sqlite's limit on variables before version 3.32."""


class Cells(LedgerFile):
    """The records of cells.

    Attributes:
        damaged: why each record that was read and left out is damaged, by key.
    """

    def __init__(self, path: Path, *, create: bool = True, at: str | None = None) -> None:
        self.damaged: dict[str, str] = {}
        super().__init__(path, create=create, at=at)

    def add(self, records: Iterable[CellRecord]) -> int:
        """Store cells and return how many were new; a failed cell is replaced, any other stays as it is.

        Raises:
            LedgerError: the file cannot be written; nothing of the batch is stored.
            sqlite3.IntegrityError: a record breaks the schema; nothing of the batch is stored.
        """
        before = self._connection.total_changes
        with self._transaction() as connection:
            connection.executemany(INSERT, map(values_of, records))
        return self._connection.total_changes - before

    def get(self, keys: Iterable[str]) -> dict[str, CellRecord]:
        """The stored cells among these keys, without those whose records are damaged."""
        return {record.key: record for record in self._records(self._select(self._wanted, keys))}

    def _records(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[CellRecord]:
        for *row, expected in rows:
            try:
                yield from_row(row, expected)
            except DamagedRowError as error:
                self.damaged[str(row[0])] = str(error)

    def look_at(self, keys: Iterable[str] | None = None) -> tuple[int, int]:
        """Read records, so that `damaged` names those that are.

        Args:
            keys: of the cells; None reads every record of the ledger.

        Returns:
            How many are whole, and how many of these have no checksum that would show a changed digit.

        Raises:
            LedgerError: sqlite cannot read the file.
        """
        # Not from the index: where a bit has flipped, it and the rows tell different keys.
        every = f"SELECT {self._wanted} FROM cells NOT INDEXED"
        whole = unchecked = 0
        for row in self._rows(every) if keys is None else self._select(self._wanted, keys):
            for _ in self._records([row]):
                whole += 1
                unchecked += row[-1] is None
        return whole, unchecked

    def set_aside_damaged(self, keys: Iterable[str]) -> dict[str, str]:
        """Take the damaged records among these cells out, so that they are trained again; why, by key.

        A record whose damaged key no index knows belongs to them, too. Others stay, and stay in `damaged`.
        What was found in their place is kept in the table `damaged`.
        """
        asked, before = set(keys), dict(self.damaged)
        self.damaged.clear()
        whole, _ = self.look_at(asked)
        others = set[str]()
        strange = whole + len(self.damaged) < len(asked)
        if strange:  # the index has keys that no row has, and a row a key that was never stored
            others = self.outcomes().keys() - asked
            self.look_at()
        found = {key: why for key, why in self.damaged.items() if key not in others}
        if found or strange:
            # A row that its index does not know cannot be deleted: sqlite calls the whole file malformed.
            with self._transaction() as connection:
                connection.execute("REINDEX cells_by_setting")
        if found:
            rows = list(self._select("*", found))
            with self._transaction() as connection:
                connection.executemany(
                    "INSERT INTO damaged VALUES (?, ?, ?, ?)",
                    [(row[0], found[row[0]], json.dumps(row, default=repr), time.time()) for row in rows],
                )
                connection.executemany("DELETE FROM cells WHERE key = ?", [(key,) for key in found])
        self.damaged = {key: why for key, why in before.items() if key not in found}
        return found

    def problems(self) -> list[str]:
        """What sqlite's own check of the whole file finds wrong."""
        try:
            found = [str(line) for (line,) in self._rows("PRAGMA integrity_check(20)")]
        except LedgerError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def outcomes(self, settings: Iterable[str] | None = None) -> dict[str, str]:
        """The outcome of every stored cell of these settings, or of all.

        It is read from an index alone, by setting: a hundred thousand cells take a fraction of a second.
        """
        if settings is None:
            return dict(self._rows("SELECT key, outcome FROM cells"))
        wanted = list(settings)
        marks = ", ".join("?" for _ in wanted)
        return dict(self._rows(f"SELECT key, outcome FROM cells WHERE setting IN ({marks})", wanted))

    def reasons(self, keys: Iterable[str]) -> dict[str, str]:
        """Why each failed cell among these keys failed."""
        return {
            key: reason
            for key, outcome, reason in self._select("key, outcome, reason", keys)
            if outcome == FAILED
        }

    def _select(self, columns: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        wanted = list(keys)
        for at in range(0, len(wanted), CHUNK):
            part = wanted[at : at + CHUNK]
            marks = ", ".join("?" for _ in part)
            yield from self._rows(f"SELECT {columns} FROM cells WHERE key IN ({marks})", part)

    def evidence(self, keys: Iterable[str]) -> set[str]:
        """Those of the cells that finished or diverged."""
        return {key for key, outcome in self._select("key, outcome", keys) if outcome != FAILED}

    def seconds_per_cell(self, setting: str) -> float | None:
        """Mean seconds of the stored cells of a setting, or None."""
        ((mean,),) = self._rows(
            f"SELECT AVG(seconds) FROM cells WHERE setting = ? AND outcome != '{FAILED}'", (setting,)
        )
        return None if mean is None else float(mean)
