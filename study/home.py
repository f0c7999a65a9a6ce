"""The folder that keeps everything of a user's studies, and the lock of a study that is being launched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from study.errors import UserError
from tracking import Ledger

DEFAULT_HOME = Path("stability-study-home")


@dataclass(frozen=True)
class Home:
    """One folder: ledger, MLflow database and artifacts, Optuna storage, exports."""

    root: Path

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def mlflow_database(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        return f"sqlite:///{self.mlflow_database.resolve()}"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "mlflow-artifacts"

    def optuna(self, study: str) -> Path:
        return self.root / "optuna" / f"{study}.sqlite"

    def exports(self, study: str) -> Path:
        return self.root / "exports" / study

    def checkpoints(self, study: str) -> Path:
        """Checkpoints of the tiles that are being trained; empty when a study is done."""
        return self.root / "checkpoints" / study

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            UserError: it cannot be made or written.
        """
        if set("?#%") & set(str(self.root.resolve())):
            do = "choose another with --home"
            raise UserError(f"home {self.root}: database addresses cannot contain ?, # or %; {do}")
        try:
            for folder in (self.root, self.root / "optuna", self.root / "locks"):
                folder.mkdir(parents=True, exist_ok=True)
            # The disk may be full, which a file of some size shows.
            probe = self.root / "locks" / f"probe-{os.getpid()}"
            probe.write_bytes(bytes(65_536))
            probe.unlink()
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"home {self.root}: cannot be written ({error.strerror}); choose another with --home"
        )

    def open_ledger(self) -> Ledger:
        """The ledger, made if there is none."""
        # Two first launches at once would both make the tables.
        with FileLock(self.root / "locks" / "ledger.lock"):
            return Ledger(self.ledger)

    @contextmanager
    def hold(self, study: str) -> Iterator[None]:
        """Be the only process that launches this study.

        Raises:
            UserError: another process launches it.
        """
        # A lock of the operating system is free when its process dies; a file with a process id would stay.
        owner = self.root / "locks" / f"{study}.pid"
        lock = FileLock(self.root / "locks" / f"{study}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            try:
                pid = owner.read_text()
            except OSError:
                pid = "unknown"
            do = "wait for it, or stop it first"
            raise UserError(f"study {study!r} is being launched by process {pid}; {do}") from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            # The id is only shown to others, so a launch goes on without it.
            with suppress(OSError):
                owner.write_text(str(os.getpid()))
            yield
        finally:
            with suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()
