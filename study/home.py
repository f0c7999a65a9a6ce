"""The folder that keeps everything of a user's studies, and the lock of a study that is being launched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from study.errors import UserError
from study.home_files import FOLDERS, make_folder, make_private, private, refuse_links
from tracking import Ledger
from trainers.naming import short

DEFAULT_HOME = Path("stability-study-home")
LONGEST_PATH = 504
"""Bytes of a database's path: sqlite takes 512, and adds the endings of its own files."""
LONGEST_NAME = 255
"""Bytes of a folder's name in the usual file systems."""


@dataclass(frozen=True)
class Home:
    """One folder: ledger, MLflow database and artifacts, Optuna storage, exports."""

    root: Path

    def __post_init__(self) -> None:
        """Refuse a folder that cannot hold databases, before anything looks for it.

        Raises:
            UserError: its path is too long.
        """
        longest = max((len(os.fsencode(part)) for part in self.root.parts), default=0)
        if longest > LONGEST_NAME:
            raise self._too_long(f"a name in its path has {longest} bytes; wanted at most {LONGEST_NAME}")
        self._check_database(self.ledger)

    def _check_database(self, path: Path) -> None:
        length = len(os.fsencode(os.path.realpath(path)))
        if length > LONGEST_PATH:
            raise self._too_long(
                f"the path of its {path.name} has {length} bytes; wanted at most {LONGEST_PATH}, "
                "as databases take no longer ones"
            )

    def _too_long(self, why: str) -> UserError:
        return UserError(f"home {short(str(self.root))}: {why}; choose a shorter one with --home")

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
        """Optuna's storage of a study."""
        return self.root / "optuna" / f"{study}.sqlite"

    def exports(self, study: str) -> Path:
        """The folder of a study's files."""
        return self.root / "exports" / study

    def checkpoints(self, study: str) -> Path:
        """Checkpoints of the tiles that are being trained; empty when a study is done."""
        return self.root / "checkpoints" / study

    def logs(self, study: str) -> Path:
        """What was printed while tiles were trained."""
        return self.root / "logs" / study

    def prepare(self) -> None:
        """Make the folder. One that is there keeps its mode; what is made in it is its owner's alone.

        Raises:
            UserError: it cannot be made or written, or leads out of itself.
        """
        if set("?#%") & set(str(self.root.resolve())):
            do = "choose another with --home"
            raise UserError(f"home {self.root}: database addresses cannot contain ?, # or %; {do}")
        refuse_links(self.root, (self.root / "locks",))
        try:
            make_folder(self.root)
            for name in FOLDERS:
                make_folder(self.root / name)
            # The disk may be full, which a file of some size shows.
            probe = self.root / "locks" / f"probe-{os.getpid()}"
            probe.write_bytes(bytes(65_536))
            probe.unlink()
        except OSError as error:
            raise self._unwritable(error) from None

    def _trees(self, study: str) -> tuple[Path, ...]:
        """The folders of which a launch or a sync of this study may write everything."""
        own = (self.exports(study), self.logs(study), self.checkpoints(study))
        return (*own, self.root / "optuna", self.root / "locks", self.mlflow_artifacts)

    @contextmanager
    def writing(self, study: str) -> Iterator[None]:
        """Write a study's files: into the home alone, and for its owner alone.

        Raises:
            UserError: something that would be written leads out of the home.
        """
        with private(self.root, self._trees(study)):
            yield

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"home {self.root}: cannot be written ({error.strerror}); choose another with --home"
        )

    def open_ledger(self) -> Ledger:
        """The ledger, made if there is none."""
        refuse_links(self.root, ())
        make_folder(self.root / "locks")
        # Two first launches at once would both make the tables.
        # No study's name begins so. The lock of one that is called "ledger" was taken for this one.
        with FileLock(self.root / "locks" / "_ledger.lock", mode=0o600):
            if not self.ledger.exists():
                with suppress(OSError):  # the ledger itself says what hinders it
                    self.ledger.touch(mode=0o600)
                make_private(self.ledger)
            return Ledger(self.ledger)

    def require_ledger(self) -> None:
        """Refuse a home in which nothing was launched yet.

        Raises:
            UserError: there is no ledger.
        """
        if not self.ledger.exists():
            raise UserError(
                f"home {self.root}: there is no ledger; launch a study first, or name another with --home"
            )

    @contextmanager
    def training(self, study: str) -> Iterator[None]:
        """Be seen to train cells of this study."""
        lock = self._training(study)
        # Whoever asks whether this study trains holds the lock for a moment.
        lock.acquire(timeout=60)
        try:
            yield
        finally:
            lock.release()

    def trains(self, study: str) -> bool:
        """Whether a process that lives trains cells of this study."""
        try:
            with self._training(study).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def _training(self, study: str) -> FileLock:
        folder = self.root / "locks" / "training"
        make_folder(folder)
        return FileLock(folder / f"{study}.lock", mode=0o600)

    @contextmanager
    def hold(self, study: str) -> Iterator[None]:
        """Be the only process that launches this study, and write its files.

        Raises:
            UserError: as `lock` and `writing`.
        """
        with self.lock(study), self.writing(study):
            yield

    def refuse_busy(self, study: str) -> None:
        """Refuse a study that another process launches now, before anything slow begins. Makes nothing.

        Raises:
            UserError: as `lock`.
        """
        # Whoever holds it has made the file.
        if (self.root / "locks" / f"{study}.lock").exists():
            with self.lock(study):
                pass

    @contextmanager
    def lock(self, study: str) -> Iterator[None]:
        """Be the only process that launches this study.

        Raises:
            UserError: another process launches it, its path is too long for a database, or its lock leads
                out of the home.
        """
        self._check_database(self.optuna(study))
        refuse_links(self.root, (self.root / "locks",))
        # A lock of the operating system is free when its process dies; a file with a process id would stay.
        owner = self.root / "locks" / f"{study}.pid"
        lock = FileLock(self.root / "locks" / f"{study}.lock", mode=0o600)
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
