"""Looks at a study while another process trains it. Nothing of it is written, and no launch is locked out.

SQLite itself may leave two empty files beside a ledger that nobody has open.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, field, replace

from study.home import Home
from study.live_map import LiveStudy, live_study
from study.plan.cells import Plan, make_plan
from study.plan.changes import refuse_other_meaning
from study.spec.model import StudySpec
from tracking import CellRecord, Ledger, LedgerError

YOUNG = 60.0
"""Seconds after its last change in which a ledger may be one whose tables are still being made."""

TRIES = 5
"""Looks in a row at which a ledger that could be read may be unreadable: a writer may hold it for long."""


@dataclass
class Watcher:
    """One look after the other, each of which reads only the cells that are new.

    Attributes:
        home: where the study is kept. Neither it nor its ledger need be there yet.
    """

    spec: StudySpec
    home: Home
    _plan: Plan | None = None
    _known: dict[str, CellRecord] = field(default_factory=dict)
    _outcomes: dict[str, str] = field(default_factory=dict)
    _damaged: set[str] = field(default_factory=set)
    _last: LiveStudy | None = None
    _failures: int = 0

    def look(self, *, patient: bool = False) -> LiveStudy:
        """What is stored now.

        Args:
            patient: take a ledger that a first launch is just making for one that is not there yet, and
                give the last look again where it cannot be read for a moment.

        Raises:
            LedgerError: the ledger cannot be read.
            UserError: stored cells of the study have another meaning, as a launch would say.
        """
        # First the process: one that ends meanwhile has stored everything that is read below.
        process = launching(self.home, self.spec.name)
        try:
            plan = self._read()
        except LedgerError:
            self._failures += 1
            being_made = not self._outcomes and self._is_young()
            if not patient or not (being_made or (self._last and self._failures <= TRIES)):
                raise
            last = self._last or live_study(make_plan(self.spec, {}), {}, process, 0)
            return replace(last, process=process)
        self._failures = 0
        self._last = live_study(plan, self._known, process, len(self._damaged))
        return self._last

    def _is_young(self) -> bool:
        try:
            return time.time() - self.home.ledger.stat().st_mtime < YOUNG
        except OSError:
            return True

    def _read(self) -> Plan:
        """Bring what is known up to the ledger."""
        if not self.home.ledger.exists():
            self._plan = self._plan or make_plan(self.spec, {})
            return self._plan
        name = self.spec.name
        # Opened for each look. A reader that stays would keep the writer's log from being folded in, and
        # would read on in a file that somebody has moved away.
        with closing(Ledger(self.home.ledger, create=False)) as ledger:
            prints = ledger.fingerprints(name)
            # A first launch notes them when it begins. Until then no cell has its key.
            if self._plan is None or dict(self._plan.fingerprints) != prints:
                self._plan = make_plan(self.spec, prints)
                refuse_other_meaning(self._plan, ledger.meanings(name))
            found = self._plan.own(ledger.outcomes(self._plan.settings))
            # A failed cell is replaced by its next try.
            changed = [key for key, outcome in found.items() if self._outcomes.get(key) != outcome]
            self._known = {key: record for key, record in self._known.items() if key in found}
            self._known |= ledger.get(changed)
            self._damaged = {key for key in found if key not in self._known}
            self._outcomes = found
        return self._plan


def launching(home: Home, study: str) -> int | None:
    """The process that launches a study on this machine; None where none is known to.

    It is read from the file that a launch keeps beside its lock. Trying the lock itself could refuse a launch
    that begins at that moment.
    """
    try:
        process = int((home.root / "locks" / f"{study}.pid").read_text())
        os.kill(process, 0)  # signal 0 only asks whether it is there
    except PermissionError:
        return process  # another user's
    except (OSError, ValueError, OverflowError):
        return None
    return process
