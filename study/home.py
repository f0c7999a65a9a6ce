"""Where a study's things are kept, and who may write there."""

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
        """Tiles that are being trained; empty when a study is done."""
        return self.root / "checkpoints" / study

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            UserError: it cannot be made or written.
        """
        if set("?#%") & set(str(self.root.resolve())):
            raise UserError(
                f"home {self.root}: database addresses cannot hold ?, # or %; choose another with --home"
            )
        try:
            for folder in (self.root, self.root / "optuna", self.root / "locks"):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / "locks" / f"probe-{os.getpid()}"
            probe.write_bytes(bytes(65_536))  # a disk may be full, too
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"home {self.root}: cannot be written ({error.strerror}); choose another with --home"
            ) from None

    def open_ledger(self) -> Ledger:
        """The ledger, made if there is none; two first launches at once make it one after the other."""
        with FileLock(self.root / "locks" / "ledger.lock"):
            return Ledger(self.ledger)

    @contextmanager
    def hold(self, study: str) -> Iterator[None]:
        """Be the only one who launches this study; the lock of a dead process is free.

        Raises:
            UserError: another process holds it.
        """
        owner = self.root / "locks" / f"{study}.pid"
        lock = FileLock(self.root / "locks" / f"{study}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            try:
                pid = owner.read_text()
            except OSError:
                pid = "unknown"
            raise UserError(
                f"study {study!r} is being launched by process {pid}; wait for it, or stop it first"
            ) from None
        except OSError as error:
            raise UserError(
                f"home {self.root}: cannot be written ({error.strerror}); choose another with --home"
            ) from None
        try:
            with suppress(OSError):  # only told to others
                owner.write_text(str(os.getpid()))
            yield
        finally:
            with suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()
