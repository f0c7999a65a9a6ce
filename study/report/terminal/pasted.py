"""Commands that are suggested, as they can be pasted into the terminal that shows them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from study.home import DEFAULT_HOME
from tracking import redacted


def same_again() -> str:
    """The command that this process was started with, every option included but for passwords."""
    return " ".join([program(), *(shlex.quote(redacted(word)) for word in sys.argv[1:])])


def suggested(verb: str, *words: str, home: Path = DEFAULT_HOME, allow: Iterable[str] = ()) -> str:
    """Another command of `study`, about the same home.

    Args:
        allow: packages that its spec may name.
    """
    where = [] if home == DEFAULT_HOME else ["--home", str(home)]
    for package in allow:
        where += ["--allow", package]
    return " ".join([program(), *map(shlex.quote, (verb, *words, *where))])


def program() -> str:
    """How `study` was called: `study` where the shell finds it, else by its path."""
    started = Path(sys.argv[0])
    # `python -m study.cli` names the file of the module, which a shell cannot run.
    if started.suffix == ".py":
        return f"{reachable(Path(sys.executable))} -m study.cli"
    return reachable(started)


def beside(tool: str) -> str:
    """A tool that is installed where `study` is."""
    return reachable(Path(sys.executable).with_name(tool))


def reachable(file: Path) -> str:
    """The shortest words by which a shell in the current folder runs a file."""
    if len(file.parts) == 1:
        return shlex.quote(str(file))
    # Not resolved: an environment's python is a link to one that has other packages.
    whole = Path(os.path.abspath(file))
    if shutil.which(file.name) == str(whole):
        return shlex.quote(file.name)
    if whole.is_relative_to(Path.cwd()):
        inside = whole.relative_to(Path.cwd())
        return shlex.quote(str(inside) if len(inside.parts) > 1 else f"./{inside}")
    return shlex.quote(str(whole))
