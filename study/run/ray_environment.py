"""What Ray reads from the environment when it is imported, and what it cannot work with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from study.errors import UserError

SOCKET = "ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
"""The longest path that Ray makes in its temporary folder for a socket."""
LONGEST = 103 if sys.platform == "darwin" else 107
"""Bytes that an operating system allows in the path of a socket."""


def set_environment(*, alone: bool) -> None:
    """Set what Ray reads from the environment when it is imported; what the user has set stays.

    Args:
        alone: Ray is started on this machine only.
    """
    settings = {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # one record per cell is enough
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C reaches us
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of data begin where the launch began
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    if alone:
        # Wherever clusters are enabled, Ray replaces the loopback address by the machine's own. It then
        # listens on every interface, where an open port lets anybody run code.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    else:
        # A wrong address is to be said in seconds. Ray's own are 20 tries of 30 s.
        settings["RAY_NUM_REDIS_GET_RETRIES"] = "3"
        settings["RAY_py_gcs_connect_timeout_s"] = "10"
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def temporary_folder() -> tuple[str, Path]:
    """Where Ray keeps its sockets and logs on this machine, and which variable says so."""
    names = ("RAY_TMPDIR", "TMPDIR") if sys.platform.startswith("linux") else ("RAY_TMPDIR",)
    for name in names:
        if name in os.environ:
            return name, Path(os.environ[name])
    return "RAY_TMPDIR", Path("/tmp")  # noqa: S108  # as Ray does


def check_temporary_folder() -> None:
    """Refuse a temporary folder in which Ray cannot start.

    Raises:
        UserError: its path is too long for a socket's, or is not ASCII.
    """
    name, folder = temporary_folder()
    do = "set RAY_TMPDIR to a short path such as /tmp, or train with --here"
    if not str(folder).isascii():
        raise UserError(f"{name}={folder} is not ASCII, which Ray cannot use; {do}")
    longest = len(os.fsencode(folder / SOCKET.format(pid=os.getpid())))
    if longest > LONGEST:
        most = LONGEST - (longest - len(os.fsencode(folder)))
        raise UserError(
            f"{name}={folder} has {len(os.fsencode(folder))} characters; "
            f"wanted at most {most}, because Ray makes sockets in it; {do}"
        )
