"""Stored cells shown in a tracker, in the background: training never waits for a slow or unreachable one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Protocol

from tracking.address import words_of
from tracking.ledger import Ledger
from tracking.record import CellRecord

BATCH = 100
"""Cells read from the ledger, shown, and noted as shown together."""
RETRY_SECONDS = 10.0
"""Pause after a failed attempt [s]."""
REPLACEMENTS = 3
"""A tracker that was replaced is opened again at once, so many times."""


class ReplacedError(Exception):
    """The tracker was damaged and an empty one is in its place: what it had must be written again."""


class RunStore(Protocol):
    """What the mirror needs of a tracker; `tests/tracking/test_run_stores.py` holds each kind to it."""

    def complete_runs(self) -> dict[str, str]:
        """Run ids of all complete cells, by cell key; what a crash left half written is gone afterwards."""
        ...

    def write(
        self, records: Sequence[CellRecord], stop: Callable[[], bool]
    ) -> Iterator[tuple[str, str | BaseException]]:
        """Write complete runs.

        Yields:
            Each cell's key, with the id of its run once that is complete, or with why this cell is refused.

        Raises:
            Exception: nothing more can be written.
        """
        ...


class Mirror:
    """A thread that shows stored cells in a tracker, each once, and notes in the ledger which ones it showed.

    It opens the tracker for the first cell, or at the end.

    It promises:

    - Nothing is shown that is not durable. The mirror gets keys and reads the records from the ledger, so a
      tracker that is hours behind costs no memory either.
    - Each cell has one run. What a crash left unclear (a run that was written but not noted, noted but lost
      by the tracker, or half written) is settled whenever the tracker is opened.
    - No fault of a tracker reaches training. The mirror tries again after a pause, and names the fault.
    - A cell that the tracker refuses goes behind the others, and stops none of them.

    Args:
        open_store: opens the tracker; called in the thread, again after a failure.
        ledger: path of the ledger; the thread opens its own connection.
        study: whose runs these are.
        tracker: which tracker it is, for the ledger.

    Attributes:
        trouble: the last fault in words; None when there is none.
    """

    def __init__(self, open_store: Callable[[], RunStore], ledger: Path, study: str, tracker: str) -> None:
        self._open_store, self._ledger, self._whose = open_store, ledger, (study, tracker)
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._news = threading.Condition()
        self._closing = self._giving_up = False
        self._written = 0
        self._refused: set[str] = set()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def add(self, keys: Iterable[str]) -> None:
        """Show these cells, which must be in the ledger, as soon as the tracker allows."""
        with self._news:
            self._keys.update(dict.fromkeys(keys))
            self._news.notify_all()

    @property
    def waiting(self) -> int:
        """Cells not yet shown."""
        return len(self._keys)

    def finish(self, refresh: Callable[[], None] | None = None, *, give_up: bool = False) -> None:
        """Write what is waiting and stop; what an unreachable tracker did not get stays for the next time.

        Args:
            refresh: called a few times per second meanwhile.
            give_up: stop after the runs in hand.
        """
        with self._news:
            self._closing, self._giving_up = True, self._giving_up or give_up
            # A refusal counts as progress once more, so that the cells behind a refused one get their turn.
            self._refused.clear()
            self._news.notify_all()
        while self._thread.is_alive():
            self._thread.join(0.25)
            if refresh is not None:
                refresh()

    def _work(self) -> None:
        replaced = 0
        # Opened for the first cell: loading a tracker's library takes seconds, in which workers start.
        if not self._next() and self._giving_up:
            return
        while True:
            last, before = self._closing, (self._written, len(self._refused))
            try:
                with closing(Ledger(self._ledger)) as ledger:
                    return self._write_all(ledger)
            # Everything is caught: no fault of a tracker, ours or the network's, may reach training.
            except Exception as error:
                self.trouble = words_of(error)
                stuck = (self._written, len(self._refused)) == before
                if isinstance(error, ReplacedError) and (replaced := replaced + 1) <= REPLACEMENTS:
                    continue
                with self._news:
                    if self._giving_up or (last and stuck):
                        return None
                    self._news.wait_for(lambda: self._closing, RETRY_SECONDS)

    def _write_all(self, ledger: Ledger) -> None:
        store = self._open_store()
        done, known = store.complete_runs(), ledger.runs(*self._whose)
        ledger.note_runs(
            *self._whose, {key: run_id for key, run_id in done.items() if known.get(key) != run_id}
        )
        lost = [key for key in known if key not in done]
        ledger.forget_runs(*self._whose, lost)
        with self._news:
            for key in lost:
                self._keys[key] = None
                self._keys.move_to_end(key, last=False)
        self.trouble = None
        while batch := self._next():
            self._show(ledger, store, done, batch)

    def _next(self) -> list[str]:
        """The keys at the head of the queue, as soon as there are any; none at the end."""
        with self._news:
            self._news.wait_for(lambda: bool(self._keys) or self._closing)
            return [] if self._giving_up else list(islice(self._keys, BATCH))

    def _show(self, ledger: Ledger, store: RunStore, done: dict[str, str], batch: list[str]) -> None:
        found, fresh = ledger.get(key for key in batch if key not in done), dict[str, str]()
        refusal: BaseException | None = None
        self._forget(key for key in batch if key not in found)
        try:
            for key, run in store.write(
                [found[key] for key in batch if key in found], lambda: self._giving_up
            ):
                if isinstance(run, BaseException):
                    refusal = run
                    self._refused.add(key)
                    with self._news:
                        self._keys.move_to_end(key)
                else:
                    fresh[key] = run
                    self._forget([key])
        finally:
            self._written += len(fresh)
            done.update(fresh)
            ledger.note_runs(*self._whose, fresh)
        if refusal is not None:
            raise refusal

    def _forget(self, keys: Iterable[str]) -> None:
        with self._news:
            for key in keys:
                del self._keys[key]
