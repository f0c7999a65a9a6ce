"""The file of MLflow's own database: seen whole or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from sqlalchemy import Engine

Replaced = Callable[[str], None]
"""Called with a message for the user, once a file that could not be opened was set aside."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
SIDECARS = ("", "-wal", "-shm", "-journal")
"""What sqlite keeps of a database, by the end of a name. The log of another would damage a new one."""
WAIT = 20.0
"""How long a statement waits for another process's [s]."""
MAKING = 120.0
"""How long to wait for a process that makes the database, which takes it about two seconds [s]."""
_known: dict[Path, tuple[int, int]] = {}
"""Device and inode of the files that this process found whole: looking takes MLflow a fifth of a second."""


class MlflowFileError(Exception):
    """MLflow's own database cannot be opened or made; the message says what was found and what to do."""


def make_whole(path: Path, replaced: Replaced | None = None) -> None:
    """Leave a database there that MLflow can open.

    MLflow makes its tables by sixty migrations, which cannot be repeated. A process that died between them
    left a file that no other could open. So they are made in a file beside it, which then gets the name.

    Args:
        path: of the file, without symbolic links.
        replaced: permits to set aside what cannot be opened. Without it that is an error.

    Raises:
        MlflowFileError: it cannot be opened or made.
    """
    if _whole(path):
        return
    with _alone(path):
        found = fault(path) if path.exists() else None
        if found is None and path.exists():
            return  # another process made it meanwhile
        if found and replaced is None:
            raise MlflowFileError(f"{path} {found}; move it away, or name another --tracking-uri")
        aside = _replace(path)
    if found and replaced is not None:
        replaced(_told(path, found, aside))


def replace_if_damaged(path: Path, replaced: Replaced | None) -> bool:
    """After a fault of any kind, read all of the file; whether it was damaged, and was replaced."""
    if replaced is None:
        return False
    # The fault that led here is reported anyway.
    with suppress(MlflowFileError), _alone(path):
        if found := fault(path, thorough=True):
            aside = _replace(path)
            replaced(_told(path, found, aside))
            return True
    return False


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process that makes this database."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=MAKING, mode=0o600):
            yield
    except OSError as error:  # a lock that is never free is a TimeoutError
        raise MlflowFileError(
            f"{path} cannot be made ({error.strerror or error}); "
            "make room on its disk, or its folder writable"
        ) from error


def _replace(path: Path) -> str | None:
    """Put a whole database there; the name of what was there before."""
    made = _make(path)
    aside = _set_aside(path)
    os.replace(made, path)
    _force_to_disk(path.parent)
    return aside


def _told(path: Path, found: str, aside: str | None) -> str:
    return f"{path} {found}. It was set aside as {aside}, and is written again from the ledger"


def _whole(path: Path) -> bool:
    """Whether MLflow can open the file. A file that was whole is looked at again when it is another one."""
    try:
        at = path.stat()
    except FileNotFoundError:
        return False
    identity = (at.st_dev, at.st_ino)
    if _known.get(path) == identity:
        return True
    if path in _known:  # another process replaced it
        _let_go(path)
    if fault(path) is not None:
        return False
    _known[path] = identity
    return True


def fault(path: Path, *, thorough: bool = False, at: str | None = None) -> str | None:
    """Why MLflow could not open the file, in words that follow its name; None where it can.

    Args:
        thorough: read every page of it.
        at: the address of a snapshot (`tracking.snapshot`) that is read in place of the file.

    Raises:
        MlflowFileError: there may be nothing wrong with it, but it cannot be read.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils
    from sqlalchemy import text
    from sqlalchemy.exc import DatabaseError

    if not path.is_file():
        return "is a folder" if path.is_dir() else "is no file"
    try:
        with _engine(path, at) as engine:
            if not utils._all_tables_exist(engine):
                return "is half made, with tables missing"
            utils._verify_schema(engine)
            if thorough:
                with engine.connect() as connection:
                    (said,) = connection.execute(text("PRAGMA quick_check(1)")).one()
                return None if said == "ok" else f"is damaged ({said})"
    except MlflowException:
        return f"is half made, or of another version of MLflow than {_version()}"
    except DatabaseError as error:
        if (getattr(error.orig, "sqlite_errorcode", 0) & 0xFF) in DAMAGED:
            return f"is damaged ({error.orig})"
        raise MlflowFileError(
            f"{path} cannot be read ({error.orig}); make it and its folder writable"
        ) from error
    return None


def _make(path: Path) -> Path:
    """Make a whole database beside the path; what an older version of MLflow left there is kept in it."""
    from sqlalchemy.exc import SQLAlchemyError

    new = path.with_name(f".{path.name}.new")
    if path.is_file() and path.stat().st_size:
        # Half made, of an older version, or damaged: only the second can be migrated, and only trying tells.
        with suppress(Exception):
            _remove(new)
            with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(new)) as copy:
                old.backup(copy)
            migrate(new)
            if fault(new, thorough=True) is None:
                shutil.copymode(path, new)
                return new
    try:
        _remove(new)
        migrate(new)
        if path.is_file():
            shutil.copymode(path, new)
    except SQLAlchemyError as error:
        _remove(new)
        raise OSError(str(getattr(error, "orig", None) or error)) from error
    return new


def migrate(path: Path) -> None:
    """Bring a database to the tables of this version of MLflow, or make an empty one; safe on the disk."""
    from mlflow.store.db import utils

    with _engine(path) as engine:
        utils._initialize_tables(engine)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _engine(path: Path, at: str | None = None) -> Iterator[Engine]:
    """A database opened for this block alone: MLflow would keep it open, and try for minutes to open it."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    given: dict[str, Any] = {"connect_args": {"timeout": WAIT}}
    if at:
        given = {"creator": partial(sqlite3.connect, at, uri=True, timeout=WAIT)}
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, **given)
    try:
        yield engine
    finally:
        engine.dispose()


def _set_aside(path: Path) -> str | None:
    """Rename the file with all that belongs to it; the new name, or None where nothing was there."""
    _let_go(path)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    name, n = f"{path.name}.set-aside-{stamp}", 1
    while path.with_name(name).exists():
        name, n = f"{path.name}.set-aside-{stamp}-{n}", n + 1
    moved = None
    for end in reversed(SIDECARS):  # the database last: where this is cut short, its log is not left behind
        if (one := path.with_name(path.name + end)).exists():
            os.rename(one, path.with_name(name + end))
            moved = name
    return moved


def _let_go(path: Path) -> None:
    """Close what MLflow keeps open in this process, which would go on reading and writing the old file."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if engine := getattr(SqlAlchemyStore, "_engine_map", {}).get(f"sqlite:///{path}"):
        engine.dispose()
    _known.pop(path, None)


def _remove(path: Path) -> None:
    for end in SIDECARS:
        path.with_name(path.name + end).unlink(missing_ok=True)


def _force_to_disk(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _version() -> str:
    from importlib.metadata import version

    return version("mlflow")
