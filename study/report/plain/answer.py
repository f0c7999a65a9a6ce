"""Standard output under `--json`: one JSON document and nothing else, whatever code or a library prints."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tracking import redacted


class Answer:
    """The one JSON document of a command.

    Args:
        stream: where standard output was when the command began.
        descriptor: the file descriptor behind it; None for a stream without one, such as a test's.
    """

    def __init__(self, stream: TextIO, descriptor: int | None) -> None:
        self._stream, self._descriptor = stream, descriptor
        self.given = False

    def give(self, value: Any) -> None:
        """Write the document.

        Raises:
            ValueError: JSON cannot hold the value; nothing is written.
        """
        text = f"{redacted(json.dumps(value, indent=1, allow_nan=False))}\n"
        self.given = True
        if self._descriptor is None:
            self._stream.write(text)
            return
        rest = text.encode()
        # Not through a stream: what it could not write to a closed pipe, it would try again when Python ends.
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def give_error(self, kind: str, message: str, code: int) -> None:
        """Write what went wrong, unless the document is written already."""
        if not self.given:
            self.give({"error": {"kind": kind, "message": message}, "exit_code": code})


@contextmanager
def kept_for_json() -> Iterator[Answer]:
    """Keep standard output for a JSON document: whatever else is printed goes to standard error."""
    stream = sys.stdout
    stream.flush()
    # Of a process of its own, the descriptor too: libraries in C and child processes know no `sys.stdout`. It
    # stays so to the end, because code of the user's may print when Python ends.
    descriptor = None
    if stream is sys.__stdout__ and stream.fileno() == 1:  # type: ignore[union-attr]
        descriptor = os.dup(1)
        os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield Answer(stream, descriptor)
    finally:
        sys.stdout = stream
        if descriptor is not None:
            os.close(descriptor)
