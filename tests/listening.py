"""Where processes listen."""

from __future__ import annotations

from contextlib import suppress

import psutil


def addresses(pid: int) -> set[str]:
    """Interfaces on which a process or one of its children listens."""
    found: set[str] = set()
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return found
    for process in family:
        with suppress(psutil.Error):
            found |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    return found
