"""What a ledger notes of its home, of studies and of settings, beside their cells."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

from tracking.ledger_file import LedgerFile
from tracking.record import FAILED


class Notes(LedgerFile):
    """Notes that spare a launch work, or tell it what an earlier one meant."""

    @property
    def identity(self) -> str:
        """What tells this home from every other; made when it is first asked for."""
        with self._transaction() as connection:
            found = connection.execute("SELECT home FROM identity").fetchone()
            if found is None:
                found = (uuid.uuid4().hex,)
                connection.execute("INSERT INTO identity VALUES (?)", found)
        return str(found[0])

    def note_study(self, name: str, spec: str, meanings: Mapping[str, str]) -> None:
        """Remember the spec of a study's last launch, and in words what each of its settings means."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?)", (name, spec, time.time()))
            connection.execute("DELETE FROM meanings WHERE study = ?", (name,))
            connection.executemany(
                "INSERT INTO meanings VALUES (?, ?, ?)",
                [(name, setting, meaning) for setting, meaning in meanings.items()],
            )

    def studies(self) -> dict[str, str]:
        """The spec that each study was last launched with, by name."""
        return dict(self._rows("SELECT name, spec FROM studies ORDER BY launched_at"))

    def meanings(self, study: str) -> dict[str, str]:
        """What the settings of a study meant at its last launch, of those settings that have cells."""
        trained = f"SELECT 1 FROM cells WHERE cells.setting = meanings.setting AND outcome != '{FAILED}'"
        statement = f"SELECT setting, meaning FROM meanings WHERE study = ? AND EXISTS ({trained})"
        return dict(self._rows(statement, (study,)))

    def note_fingerprints(self, study: str, fingerprints: Mapping[str, str]) -> None:
        """Remember fingerprints of a study's workloads, so that keys can be computed without loading data."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO prints VALUES (?, ?, ?, ?)",
                [(study, *pair, time.time()) for pair in fingerprints.items()],
            )

    def fingerprints(self, study: str) -> dict[str, str]:
        """Fingerprints by workload: the study's own, else what another study noted last."""
        return dict(
            self._rows("SELECT workload, fingerprint FROM prints ORDER BY study = ?, noted_at", (study,))
        )

    def note_width(self, setting: str, machine: str, width: int, most: int) -> None:
        """Remember how many cells of a setting a machine best trains together, of at most so many."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO widths VALUES (?, ?, ?, ?)", (setting, machine, width, most)
            )

    def width(self, setting: str, machine: str, most: int) -> int | None:
        """The remembered width, or None.

        A width that was the most at its measurement might have been larger, so it does not count where more
        cells can be trained together now.
        """
        found = self._rows(
            "SELECT width, most FROM widths WHERE setting = ? AND machine = ?", (setting, machine)
        )
        if not found:
            return None
        ((width, most_then),) = found
        return None if width == most_then < most else int(width)

    def note_look(self, study: str, seeds: int) -> None:
        """Remember that somebody saw the verdicts of a study after so many seeds."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO looks VALUES (?, ?, ?)", (study, seeds, time.time()))

    def looks(self, study: str) -> tuple[int, ...]:
        """The numbers of seeds after which somebody saw the verdicts of a study, in that order."""
        if "looks" not in self._tables():  # a ledger of an older version, which is only read
            return ()
        found = self._rows("SELECT seeds FROM looks WHERE study = ? ORDER BY noted_at, seeds", (study,))
        return tuple(int(seeds) for (seeds,) in found)

    def note_verdict_rules(self, study: str, rules: str, seeds: int) -> None:
        """Remember by which rules verdicts are given from now on, and after how many seeds that was said."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO verdict_rules VALUES (?, ?, ?, ?)", (study, rules, seeds, time.time())
            )

    def verdict_rules(self, study: str) -> tuple[tuple[str, int], ...]:
        """The rules by which a study's verdicts were to be given, in the order in which they were said.

        With each of them the number of complete seeds at that moment.
        """
        if "verdict_rules" not in self._tables():
            return ()
        statement = "SELECT rules, seeds FROM verdict_rules WHERE study = ? ORDER BY noted_at, rowid"
        return tuple((str(rules), int(seeds)) for rules, seeds in self._rows(statement, (study,)))
