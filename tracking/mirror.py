"""Stored cells shown in the tracker, in the background: it may be slow or away, training does not wait for it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from tracking.ledger import Ledger
from tracking.record import CellRecord

BATCH = 100
"""Runs written between two notes in the ledger."""
PATIENCE = 10.0
"""Pause after a failed attempt [s]."""


class RunStore(Protocol):
    """What the mirror needs of a tracker."""

    def complete_runs(self) -> dict[str, str]: ...
    def write(self, record: CellRecord) -> str: ...


class Mirror:
    """A thread that writes cells to a tracker once each, and says in the ledger which ones it wrote.

    Args:
        open_store: opens the tracker; called in the thread, again after a failure.
        ledger: path of the ledger; the thread opens its own connection.
        study: whose runs these are. tracker: which tracker it is, for the ledger.
    """

    def __init__(self, open_store: Callable[[], RunStore], ledger: Path, study: str, tracker: str) -> None:
        self._open_store, self._ledger, self._whose = open_store, ledger, (study, tracker)
        self._queue: queue.SimpleQueue[CellRecord | None] = queue.SimpleQueue()
        self._current: CellRecord | None = None
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def add(self, records: Iterable[CellRecord]) -> None:
        """Show these cells when there is time."""
        for record in records:
            self._queue.put(record)

    @property
    def waiting(self) -> int:
        """Cells not yet shown."""
        return self._queue.qsize()

    def finish(self, refresh: Callable[[], None] | None = None, *, give_up: bool = False) -> None:
        """Write what is waiting and stop; what a tracker that is away did not get stays for the next time.

        Args:
            refresh: called a few times per second meanwhile.
            give_up: stop after the run in hand.
        """
        if give_up:
            self._giving_up.set()
        self._closing.set()
        self._queue.put(None)
        while self._thread.is_alive():
            self._thread.join(0.25)
            if refresh is not None:
                refresh()

    def _work(self) -> None:
        while True:
            try:
                with closing(Ledger(self._ledger)) as ledger:
                    return self._write_all(ledger)
            except Exception as error:  # any fault of a tracker, ours or the network's, must leave training alone
                first = next(iter(str(error).splitlines()), "")
                self.trouble = f"{type(error).__name__}: {first[:200]}"
                if self._closing.wait(PATIENCE):
                    return None

    def _write_all(self, ledger: Ledger) -> None:
        store = self._open_store()
        done, known = store.complete_runs(), ledger.runs(*self._whose)
        ledger.note_runs(*self._whose, {key: run_id for key, run_id in done.items() if known.get(key) != run_id})
        lost = [key for key in known if key not in done]
        ledger.forget_runs(*self._whose, lost)
        backlog = deque(ledger.get(lost).values())
        self.trouble = None
        fresh: dict[str, str] = {}
        try:
            while not self._giving_up.is_set():
                self._current = self._current or (backlog.popleft() if backlog else self._queue.get())
                if self._current is None:
                    return
                if self._current.key not in done:
                    done[self._current.key] = fresh[self._current.key] = store.write(self._current)
                self._current = None
                if len(fresh) >= BATCH:
                    ledger.note_runs(*self._whose, fresh)
                    fresh = {}
        finally:
            ledger.note_runs(*self._whose, fresh)
