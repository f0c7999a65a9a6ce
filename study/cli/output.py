"""What verbs print: lines or tables for people, or one JSON document, and the exit code they end with."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from study.report.plain.answer import Answer, kept_for_json
from study.report.terminal.words import tell
from tracking import redacted

WRONG_INPUT, INCOMPLETE, INTERRUPTED = 2, 3, 130


# In a pipe rich would take 80 columns, where the tables wrap.
out = Console(width=None if sys.stdout.isatty() else 120, emoji=False)

_answer: Answer | None = None
"""Where the JSON of this command goes; None without `--json`."""


@contextmanager
def left_by_reader() -> Iterator[None]:
    """Let the block raise one error where the reader of its output leaves early, as `| head` does.

    Raises:
        BrokenPipeError: the reader left.
    """
    try:
        yield
    except SystemExit as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        # rich ends Python there, in every console: ours, those of progress, and typer's for `--help`.
        # That is nothing that a study's own code did.
        if trace is not None and trace.tb_frame.f_code is Console.on_broken_pipe.__code__:
            raise BrokenPipeError from None
        raise


@contextmanager
def answering() -> Iterator[Answer]:
    """Let what `emit` prints meanwhile be the command's one JSON document."""
    global _answer
    with kept_for_json() as _answer:
        try:
            yield _answer
        finally:
            _answer = None


def say(lines: Iterable[str], where: Console = out) -> None:
    """Print lines as they are, without passwords."""
    tell(where, redacted("\n".join(lines)))


def emit(value: Any) -> None:
    """Print JSON on standard output."""
    if _answer is not None:
        _answer.give(value)


def complain(error: Exception) -> None:
    """Print an error; what a terminal cannot show, or would obey, is shown as its code."""
    text = escape(visible(redacted(str(error))))
    Console(stderr=True, emoji=False).print(f"[bold red]error[/] {text}", highlight=False, soft_wrap=True)


def visible(text: str) -> str:
    """A text in which all that a terminal would obey is shown as its code; lines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def progress_console(*, as_json: bool) -> Console:
    """Where progress is shown: beside the JSON and not in it."""
    return Console(stderr=True, emoji=False) if as_json else out


def end(*, complete: bool) -> None:
    """Leave with the exit code of a complete or an incomplete study."""
    raise typer.Exit(0 if complete else INCOMPLETE)
