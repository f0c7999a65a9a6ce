"""What is wrong with a ledger, in words that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

MOVE = "move it away, or choose another home with --home"
PERMIT = "Wanted a file that you can read, in a folder that you can write"
"""Of the folder, too: sqlite keeps its log there, and may have to make it even to read."""
ADVICE = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "make it and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "make it and its folder writable",
    sqlite3.SQLITE_BUSY: "wait for the process that writes it",
}
"""What helps after a failed write."""


class LedgerError(ValueError):
    """The ledger cannot be opened, read or written; the message says what was found and what to do."""


def not_opened(path: Path, error: sqlite3.Error) -> LedgerError:
    """The error of a ledger that SQLite cannot open."""
    return LedgerError(
        f"{path} cannot be opened ({error}). {PERMIT}; make it so, or choose another home with --home"
    )


def not_read(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    """The error of a ledger that SQLite cannot read, with what is known of the cause."""
    return _unusable(path, error) or LedgerError(
        f"{path} cannot be read ({error}). {PERMIT}; make it so, and run the same command again"
    )


def not_written(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    """The error of a ledger that SQLite cannot write, with what is known of the cause."""
    if known := _unusable(path, error):
        return known
    if advice := ADVICE.get(code(error)):
        return LedgerError(
            f"{path} cannot be written ({error}), and what it holds is whole; "
            f"{advice}, and run the same command again"
        )
    # A disk that fails, say. Whether anything suffered is not known here.
    return LedgerError(
        f"{path} cannot be written ({error}). Look at its disk, then at the home with: study check"
    )


def _unusable(path: Path, error: sqlite3.DatabaseError) -> LedgerError | None:
    """What is wrong with a file that neither permission nor room would mend; None for any other."""
    if code(error) == sqlite3.SQLITE_NOTADB:
        return LedgerError(f"{path} is not a ledger ({error}); {MOVE}")
    if code(error) == sqlite3.SQLITE_CORRUPT:
        return LedgerError(
            f"{path} is damaged ({error}), and cannot be read as a whole. "
            "Put a copy of it in its place, which trains what the copy lacks; or move it away, "
            "which trains everything"
        )
    return None


def code(error: sqlite3.Error) -> int:
    """sqlite's primary result code; 0 where Python's driver itself complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
