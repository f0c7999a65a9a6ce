"""The tracker that a command writes to, from what the user gave."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from study.errors import UserError
from study.home import Home
from tracking import conceal, doubtful, shown
from tracking.address import secrets

FILE = "@"
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def address_of(given: str | None, home: Home) -> str:
    """The address of an MLflow server or database; passwords in it are hidden in errors from now on.

    Args:
        given: an address, `@` and the path of a file that holds one, or None for the home's own database.

    Raises:
        UserError: there is no such file, or nothing in it, or others may read the password in it. Or it
            cannot be told where the password in the address ends, so that a part of it would be shown.
    """
    if not given:
        return home.mlflow_uri
    address, others = given, False
    if given.startswith(FILE):
        path = Path(given.removeprefix(FILE)).expanduser()
        try:
            with path.open(encoding="utf-8") as file:
                address, found = file.read().strip(), os.fstat(file.fileno())
                # As ssh does with keys. A file of somebody else's is theirs to close.
                closable = found.st_uid == os.getuid() and not _read_only(file.fileno())
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise UserError(
                f"--tracking-uri {given}: {path} cannot be read ({why}); wanted a file with an address in it"
            ) from None
        others = bool(found.st_mode & OTHERS) and closable
    conceal(address)
    if doubtful(address) and "://" not in address:
        raise UserError(
            f"--tracking-uri {shown(address)}: found an @ and no ://, so that a path cannot be told from a "
            "password; wanted a path that begins with / or ./, or an address that begins with http:// or "
            "another scheme; write it so"
        )
    if doubtful(address):
        raise UserError(
            f"--tracking-uri {shown(address)}: found an address in which the end of the password cannot be "
            "told; wanted http:// or another scheme, and in a name, a password or a path each character that "
            "is no letter, digit or one of -._~ as an escape (/ as %2F, # as %23, @ as %40, a blank as %20); "
            "write it so, or give the password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if given.startswith(FILE) and len(address.split()) != 1:
        raise UserError(
            f"--tracking-uri {given}: {path} has {len(address.split())} words; "
            "wanted one, the address of an MLflow server"
        )
    if others and secrets(address):
        raise UserError(
            f"--tracking-uri {given}: {path} holds a password, and others may read it; wanted a file that "
            f"only you can read; close it with: chmod 600 {shlex.quote(str(path))}"
        )
    return address


def _read_only(file: int) -> bool:
    """Whether nobody can change the mode of an open file, because its file system is read-only.

    Docker and Kubernetes mount secrets so, readable to all and owned by root, which a container often runs
    as. Who sees them is up to the container then, and not to modes.
    """
    return bool(os.fstatvfs(file).f_flag & os.ST_RDONLY)
