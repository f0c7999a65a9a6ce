"""Stored cells shown in the tracker, in the background: it may be slow or away, training does not wait for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Protocol

from tracking.ledger import Ledger
from tracking.record import CellRecord

BATCH = 100
"""Cells read from the ledger, shown, and noted as shown together."""
PATIENCE = 10.0
"""Pause after a failed attempt [s]."""


class RunStore(Protocol):
    """What the mirror needs of a tracker."""

    def complete_runs(self) -> dict[str, str]: ...
    def write(self, record: CellRecord) -> str: ...


class Mirror:
    """A thread that writes stored cells to a tracker once each, and notes in the ledger which ones it wrote.

    It is told keys and reads the records from the ledger, so that nothing can be shown that is not durable, and a tracker that is
    hours behind costs no memory. Whatever a crash left unclear (a run written but not noted, noted but lost by the tracker, half
    written) is settled when the tracker is opened. A cell that the tracker refuses goes behind the others.

    Args:
        open_store: opens the tracker; called in the thread, again after a failure.
        ledger: path of the ledger; the thread opens its own connection.
        study: whose runs these are. tracker: which tracker it is, for the ledger.
    """

    def __init__(self, open_store: Callable[[], RunStore], ledger: Path, study: str, tracker: str) -> None:
        self._open_store, self._ledger, self._whose = open_store, ledger, (study, tracker)
        self._keys: deque[str] = deque()
        self._news = threading.Condition()
        self._closing = self._giving_up = False
        self._written = 0
        self._refused: set[str] = set()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def add(self, keys: Iterable[str]) -> None:
        """Show these cells, which are in the ledger, when there is time."""
        with self._news:
            self._keys.extend(keys)
            self._news.notify_all()

    @property
    def waiting(self) -> int:
        """Cells not yet shown."""
        return len(self._keys)

    def finish(self, refresh: Callable[[], None] | None = None, *, give_up: bool = False) -> None:
        """Write what is waiting and stop; what a tracker that is away did not get stays for the next time.

        Args:
            refresh: called a few times per second meanwhile.
            give_up: stop after the run in hand.
        """
        with self._news:
            self._closing, self._giving_up = True, self._giving_up or give_up
            self._refused.clear()
            self._news.notify_all()
        while self._thread.is_alive():
            self._thread.join(0.25)
            if refresh is not None:
                refresh()

    def _work(self) -> None:
        while True:
            last, before = self._closing, (self._written, len(self._refused))
            try:
                with closing(Ledger(self._ledger)) as ledger:
                    return self._write_all(ledger)
            except Exception as error:  # any fault of a tracker, ours or the network's, must leave training alone
                first = next(iter(str(error).splitlines()), "")
                self.trouble = f"{type(error).__name__}: {first[:200]}"
                stuck = (self._written, len(self._refused)) == before
                with self._news:
                    if self._giving_up or (last and stuck):
                        return None
                    self._news.wait_for(lambda: self._closing, PATIENCE)

    def _write_all(self, ledger: Ledger) -> None:
        store = self._open_store()
        done, known = store.complete_runs(), ledger.runs(*self._whose)
        ledger.note_runs(*self._whose, {key: run_id for key, run_id in done.items() if known.get(key) != run_id})
        lost = [key for key in known if key not in done]
        ledger.forget_runs(*self._whose, lost)
        with self._news:
            self._keys.extendleft(lost)
        self.trouble = None
        while batch := self._next():
            self._show(ledger, store, done, batch)

    def _next(self) -> list[str]:
        """The keys at the head of the queue, once there are any; none at the end."""
        with self._news:
            self._news.wait_for(lambda: bool(self._keys) or self._closing)
            return [] if self._giving_up else list(islice(self._keys, BATCH))

    def _show(self, ledger: Ledger, store: RunStore, done: dict[str, str], batch: list[str]) -> None:
        fresh: dict[str, str] = {}
        found = ledger.get(key for key in batch if key not in done)
        try:
            for key in batch:
                if self._giving_up:
                    break
                self._keys.popleft()
                if key in found and key not in done:
                    self._write(store, found[key], fresh)
                    done[key] = fresh[key]
        finally:
            ledger.note_runs(*self._whose, fresh)

    def _write(self, store: RunStore, record: CellRecord, fresh: dict[str, str]) -> None:
        try:
            fresh[record.key] = store.write(record)
        except Exception:
            self._keys.append(record.key)
            self._refused.add(record.key)
            raise
        self._written += 1
