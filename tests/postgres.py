"""A PostgreSQL of the tests' own, reached through a socket that only this machine's users can try."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

USER = "study"
PATIENCE = 60.0
"""How long it may take to answer [s]."""


def programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian keeps them off the path."""
    found = shutil.which("initdb")
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    known += [Path(found).resolve().parent] if found else []
    needed = ("initdb", "postgres", "createdb", "pg_isready")
    return next((one for one in reversed(known) if all((one / name).exists() for name in needed)), None)


@dataclass
class Postgres:
    """A running server."""

    folder: Path
    bin: Path
    owner: dict[str, Any]
    made: set[str] = field(default_factory=set)

    def address(self, database: str, driver: str) -> str:
        """Where a database is, which is made when it is asked for first."""
        name = f"{database}_{driver}"
        if name not in self.made:
            told = ["--host", str(self.folder), "--username", USER, name]
            subprocess.run([self.bin / "createdb", *told], check=True, capture_output=True, **self.owner)
            self.made.add(name)
        return f"postgresql+{driver}://{USER}@/{name}?host={self.folder}"


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server that ends with the block; the test is skipped where there is no PostgreSQL."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed here")
    owner: dict[str, Any] = {}
    if os.getuid() == 0:  # which PostgreSQL refuses to run as
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}
    # Short, for the path of a socket, and not below pytest's folder, into which another user cannot look.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    data = folder / "data"
    process = None
    try:
        make = ["-D", data, "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run([found / "initdb", *make], check=True, capture_output=True, **owner)
        quick = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [found / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", *quick],
                stdout=log,
                stderr=log,
                **owner,
            )
        ready = [found / "pg_isready", "--host", folder, "--username", USER, "--dbname", "postgres"]
        end = time.monotonic() + PATIENCE
        while subprocess.run(ready, capture_output=True).returncode != 0:
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.1)
        yield Postgres(folder, found, owner)
    finally:
        if process is not None:
            # SIGTERM would wait for connections that a test left open.
            process.send_signal(signal.SIGINT)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
