"""The mirror: whatever is wrong with a tracker, training goes on and the ledger knows what was shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.making import records
from tracking import CellRecord, Ledger, Mirror
from tracking.mlflow_database import DatabaseRuns
from tracking.mlflow_runs import ClientRuns, Written
from tracking.mlflow_store import MlflowStore


def test_an_unreachable_tracker_stops_nothing(ledger: Ledger) -> None:
    """The mirror says what is wrong and ends; the ledger remembers no run."""

    def unreachable() -> MlflowStore:
        raise ConnectionError("nobody there")

    mirror = Mirror(unreachable, ledger.path, "s", "t")
    ledger.add(records(2))
    mirror.add(["k0", "k1"])
    mirror.finish()
    assert mirror.trouble == "ConnectionError: nobody there"
    assert ledger.runs("s", "t") == {}


def test_a_cell_that_is_refused_stops_no_other(ledger: Ledger) -> None:
    """It goes behind the others, is tried again, and is named at the end."""
    written: list[str] = []

    class Strict:
        def complete_runs(self) -> dict[str, str]:
            return {key: f"run of {key}" for key in written}

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            for record in records:
                if record.key in ("k0", "k2"):
                    yield record.key, ValueError(f"{record.key} is not to my taste")
                else:
                    written.append(record.key)
                    yield record.key, f"run of {record.key}"

    ledger.add(records(5))
    mirror = Mirror(Strict, ledger.path, "s", "t")
    mirror.add([f"k{k}" for k in range(5)])
    mirror.finish()
    assert written == ["k1", "k3", "k4"]
    assert ledger.runs("s", "t") == {key: f"run of {key}" for key in written}
    assert (mirror.waiting, mirror.trouble) == (2, "ValueError: k2 is not to my taste")


def test_a_refused_cell_alone_ends_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that are stored while the mirror pauses after it are written at the end."""
    monkeypatch.setattr("tracking.mirror.RETRY_SECONDS", 0.05)
    tries, twice, written = list[str](), threading.Event(), list[str]()

    class Strict:
        def complete_runs(self) -> dict[str, str]:
            return {key: f"run of {key}" for key in written}

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            for record in records:
                if record.key == "k0":
                    tries.append(record.key)
                    if len(tries) == 2:
                        monkeypatch.setattr("tracking.mirror.RETRY_SECONDS", 60.0)
                        twice.set()
                    yield record.key, ValueError("k0 is not to my taste")
                else:
                    written.append(record.key)
                    yield record.key, f"run of {record.key}"

    ledger.add(records(4))
    mirror = Mirror(Strict, ledger.path, "s", "t")
    mirror.add(["k0"])
    assert twice.wait(20)
    mirror.add(["k1", "k2", "k3"])
    mirror.finish()
    assert written == ["k1", "k2", "k3"]
    assert mirror.waiting == 1


def test_a_record_that_cannot_be_shown_stops_no_other(tmp_path: Path, ledger: Ledger) -> None:
    """One that another version wrote, say, waits behind the others, and its fault is named."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    cells = records(5)
    ledger.add([*cells[:2], replace(cells[2], dynamics='{"step": [0]}'), *cells[3:]])
    mirror = Mirror(lambda: MlflowStore(uri, "s"), ledger.path, "s", "t")
    mirror.add(f"k{k}" for k in range(5))
    mirror.finish()
    assert (mirror.waiting, mirror.trouble) == (1, "KeyError: 'grad_std'")
    assert (
        set(ledger.runs("s", "t")) == set(MlflowStore(uri, "s").complete_runs()) == {"k0", "k1", "k3", "k4"}
    )


def test_a_tracker_that_takes_nothing_is_not_asked_cell_by_cell(ledger: Ledger) -> None:
    """A database that stays locked, or a full disk of the tracker's, ends the last attempt at once."""
    asked: list[int] = []

    class Full:
        def complete_runs(self) -> dict[str, str]:
            return {}

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            asked.append(len(records))
            raise OSError("no space")
            yield

    ledger.add(records(20))
    mirror = Mirror(Full, ledger.path, "s", "t")
    mirror.add(f"k{k}" for k in range(20))
    mirror.finish()
    assert asked == [20] * len(asked)
    assert len(asked) <= 2
    assert (mirror.waiting, mirror.trouble) == (20, "OSError: no space")


@pytest.mark.parametrize("kind", [DatabaseRuns, ClientRuns])
def test_giving_up_notes_what_was_written(tmp_path: Path, ledger: Ledger, kind: type) -> None:
    """Told to give up, the mirror finishes the runs in hand, and the ledger knows of every run there is."""
    store = MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", "s")
    store._runs = (
        store._runs if kind is DatabaseRuns else ClientRuns(store.client, store.experiment_id, threads=2)
    )
    begun = threading.Event()

    class Watched:
        complete_runs = store.complete_runs

        def write(self, records: Sequence[CellRecord], stop: Callable[[], bool]) -> Written:
            for written in store.write(records, stop):
                begun.set()
                yield written

    ledger.add(records(400))
    mirror = Mirror(Watched, ledger.path, "s", "t")
    mirror.add(f"k{k}" for k in range(400))
    assert begun.wait(60)
    mirror.finish(give_up=True)
    assert ledger.runs("s", "t") == store.complete_runs()
    assert 400 - mirror.waiting == len(store.complete_runs()) < 400
