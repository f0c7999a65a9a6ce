"""Commands in a terminal of a given size, and what they draw there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
HOME = "\x1b[H"


class Terminal:
    """A command of `study` that believes to be at a terminal.

    Attributes:
        text: everything that it has written.
    """

    def __init__(self, words: list[str], width: int, height: int, env: Mapping[str, str] = {}) -> None:
        self._end, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        own = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"}
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "study.cli", *words],
            stdin=there,
            stdout=there,
            stderr=there,
            env={**clean, **own, **env},
            start_new_session=True,
        )
        os.close(there)
        self.text = ""

    def until(self, seen: Callable[[str], bool], seconds: float = 60.0) -> bool:
        """Read until the words say so, the command ends, or the time is over; whether they said so."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and not seen(self.text):
            if not select.select([self._end], [], [], 0.1)[0]:
                continue
            try:
                found = os.read(self._end, 65_536)
            except OSError:  # the command closed its side
                found = b""
            if not found:
                break
            self.text += found.decode("utf-8", "replace")
        return seen(self.text)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def ended(self, seconds: float = 60.0) -> int:
        """The exit code, once it has ended."""
        self.until(lambda _: False, seconds)
        return self._process.wait(seconds)

    def close(self) -> None:
        """End it, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._end)

    @property
    def screens(self) -> list[list[str]]:
        """What was drawn in the alternate screen, each time anew, as lines without codes."""
        drawn = self.text.partition("\x1b[?1049h")[2].partition("\x1b[?1049l")[0]
        return [plain(one).splitlines() for one in drawn.split(HOME) if plain(one).strip()]

    @property
    def left(self) -> str:
        """What stands in the terminal after the alternate screen was left."""
        return plain(self.text.partition("\x1b[?1049l")[2])


def plain(text: str) -> str:
    """A text without what moves the cursor and colours it."""
    return CODE.sub("", text).replace("\r", "")
