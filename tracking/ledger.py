"""The durable local record: sqlite, written before a cell is shown anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tracking.ledger_cells import Cells
from tracking.ledger_notes import Notes
from tracking.ledger_runs import Runs


class Ledger(Cells, Notes, Runs):
    """The record of all cells of a home, one sqlite file.

    It promises:

    - A method that writes is one transaction. It stores everything or nothing, even if the process is killed.
    - What it stored survives a power cut: a transaction is forced to disk before the method returns.
    - A cell that finished or diverged never changes. Only a failed one is replaced.
    - A record that is no longer what was stored is left out and named (`damaged`). No other suffers for it.
    - Processes and threads may use the file together, each with its own `Ledger`. Writers take turns.

    Args:
        path: of the file.
        create: make the file and tables that are not there; without it the file is only read.
        at: the address of a snapshot (`tracking.snapshot`) that is read in place of the file.

    Attributes:
        damaged: why each record that was read and left out is damaged, by key.

    Raises:
        LedgerError: the file cannot be opened, read or written, or is no ledger; from any method.
    """

    def claim(self, study: str, keys: Sequence[str], alive: Callable[[str], bool]) -> set[str]:
        """Note that a study trains these cells now, but for those that another one trains.

        Args:
            alive: whether a study that claimed cells still trains.

        Returns:
            The cells that are the study's.
        """
        with self._transaction() as connection:
            owners = dict(connection.execute("SELECT key, study FROM in_flight").fetchall())
            others = {owner for owner in owners.values() if owner != study and alive(owner)}
            # A cell that was stored since the caller looked is nobody's to train.
            stored = self.evidence(keys)
            taken = {key for key in keys if owners.get(key) not in others and key not in stored}
            connection.executemany(
                "INSERT OR REPLACE INTO in_flight VALUES (?, ?)", [(key, study) for key in taken]
            )
        return taken

    def release(self, study: str) -> None:
        """Forget which cells a study trains."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM in_flight WHERE study = ?", (study,))

    def claimants(self, keys: Iterable[str]) -> list[str]:
        """The studies that claimed some of these cells."""
        owners = dict(self._rows("SELECT key, study FROM in_flight"))
        return sorted({owners[key] for key in keys if key in owners})
