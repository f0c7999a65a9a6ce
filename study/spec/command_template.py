"""The command of a user's own training: its words, what is filled in, and the files that decide it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import string
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from study.spec.problem import wrong
from study.spec.user_modules import OwnCode
from trainers.budget import Budget
from trainers.naming import nearest, short

CELL = ("lr", "weight_decay", "seed", "transform", "model", "optimizer", "device", "directory")
"""What a cell has beside its budget and the constants of its transform."""
LONGEST = 200
"""Characters of a word that may be the name of a file."""
EXAMPLE = '["python", "train.py", "--lr={lr}"]'
INTERPRETERS = ("python", "python3", "bash", "sh", "julia", "Rscript", "node", "torchrun", "env")
"""Programs that a study is not called by: the file that they run says more."""


def title_of(command: Any) -> str:
    """What a study calls a command: the file that it runs, or its program.

    Raises:
        FieldError: it is no list of texts.
    """
    if not isinstance(command, list) or not command or not all(isinstance(one, str) for one in command):
        found = f"found {short(command)}; wanted a list of words, as {EXAMPLE}"
        raise wrong(found, "command", shows_value=True)
    if not command[0] or any("\0" in one for one in command):
        raise wrong(
            f"found {short(command)}; wanted the name of a program first", "command", shows_value=True
        )
    # A program may stand in a word itself, as in `python -c`.
    words = [
        word
        for word in command
        if not word.startswith("-") and "{" not in word and len(word) <= LONGEST and word.isprintable()
    ]
    named = [word for word in words if Path(word).name not in INTERPRETERS]
    return Path((named or words or [short(command[0])])[0]).name or short(command[0])


def placeholders(command: Iterable[str]) -> set[str]:
    """The names in braces of a command.

    Raises:
        FieldError: a brace is not closed, or holds something else than a name.
    """
    found = set()
    for word in command:
        try:
            parts = list(string.Formatter().parse(word))
        except ValueError as error:
            raise _unclear(word, str(error)) from None
        for _, name, form, conversion in parts:
            if name is None:
                continue
            # `{lr.__class__}` and `{lr:>1000000}` would be programs of a kind.
            if not name.isidentifier() or form or conversion:
                raise _unclear(word, "a placeholder is a name in braces")
            found.add(name)
    return found


def _unclear(word: str, why: str) -> Exception:
    text = f"found {short(word)}: {why}; wanted placeholders as {{lr}}, and {{{{ and }}}} for braces"
    return wrong(text, "command", shows_value=True)


def known_names(constants: Iterable[str]) -> list[str]:
    """The placeholders that a command may have, beside constants of the spec's transforms."""
    return [*CELL, *(field.name for field in dataclasses.fields(Budget)), *constants]


def check_placeholders(command: Sequence[str], constants: Iterable[str]) -> None:
    """Refuse placeholders that nothing is filled in for.

    Raises:
        FieldError: found, known, nearest.
    """
    known = known_names(sorted(set(constants)))
    for name in sorted(placeholders(command)):
        if name not in known:
            raise wrong(
                f"unknown placeholder {{{name}}}; known: {', '.join(known)}{nearest(name, known)}",
                "command",
                shows_value=True,
            )


def filled(command: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The words of a command for one cell. A constant that its transform does not have is empty."""
    given = dict.fromkeys(placeholders(command), "") | {key: word(value) for key, value in values.items()}
    return [one.format_map(given) for one in command]


def word(value: Any) -> str:
    """A value as a command gets it; a float with all of its digits."""
    return "" if value is None else str(value)


def search_path() -> str:
    """Where programs are looked for: first beside this Python, so that `python` is this one."""
    here = str(Path(sys.executable).parent)
    return os.pathsep.join([here, os.environ.get("PATH", os.defpath)])


def files_of_command(command: Sequence[str], inputs: Sequence[str], folder: str) -> dict[str, Path]:
    """The files that decide what a command does: its inputs, and words that name files beside the spec.

    A file may stand behind the equals sign of an option, as in `--config=small.toml`.
    """
    root = Path(folder or ".")
    found = {one: root / one for one in inputs}
    for one in command[1:]:
        for name in (one, one.partition("=")[2] if one.startswith("-") else ""):
            if name and "{" not in name and len(name) <= LONGEST and (root / name).is_file():
                found[name] = root / name
    if (root / command[0]).is_file() and os.sep in command[0]:
        found[command[0]] = root / command[0]
    return found


def hash_of_files(files: Mapping[str, Path]) -> str:
    """Sixteen hexadecimal digits of a hash of the content of files.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name}\n{content}\n".encode())
    return digest.hexdigest()[:16]


def source_of_command(name: str, command: Sequence[str], inputs: Sequence[str], code: OwnCode) -> str:
    """The hash of a command's files, or what a launch noted of them.

    Raises:
        FieldError: there is no such program or file.
    """
    placeholders(command)
    if not code.trusted and name in code.remembered:
        return code.remembered[name]
    try:
        if code.runs:
            check_program(command[0], code.folder)
        for one in inputs:
            if not (Path(code.folder or ".") / one).is_file():
                text = f"there is no file {short(one)} beside the spec, in {code.folder or Path.cwd()}"
                raise wrong(text, "inputs", shows_value=True)
        return hash_of_files(files_of_command(command, inputs, code.folder))
    except (ValueError, OSError) as error:
        if not code.runs and name in code.remembered:
            return code.remembered[name]
        if isinstance(error, OSError):
            raise wrong(f"cannot be read ({error})", "inputs", shows_value=True) from None
        raise


def check_program(program: str, folder: str) -> None:
    """Refuse a program that is not there.

    Raises:
        FieldError: found, wanted.
    """
    if os.sep in program:
        path = Path(folder or ".") / program
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise wrong(f"{path} is no program that can be run", "command", shows_value=True)
    elif shutil.which(program, path=search_path()) is None:
        raise wrong(
            f"there is no program {short(program)} on PATH; give its path, or install it",
            "command",
            shows_value=True,
        )
