"""Commands that are suggested, as they can be pasted into the terminal that shows them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from study.home import DEFAULT_HOME, Home
from tracking import redacted, shown

TRACKER = "--tracking-uri"
ASKED = "STABILITY_STUDY_ASKED"
"""On the head of a cluster: the spec and the cluster as whoever asked from elsewhere named them."""
FROM_ELSEWHERE = ("launch", "status", "export")
"""Verbs that have a cluster do something."""
IN_FILE = "@FILE"
"""A tracker's address that is not shown, because it holds a password."""
FILE_MEANS = (
    f"in {IN_FILE}, FILE is the path of a file that holds the address; only you may read it: chmod 600 FILE"
)


def same_again() -> str:
    """The command that this process was started with, every option included but for passwords."""
    if asked := os.environ.get(ASKED):
        return f"study launch {asked}" + (" --until-decided" if "--until-decided" in sys.argv else "")
    words, before = [], ""
    for word in sys.argv[1:]:
        option, mark, value = word.partition("=")
        if before == TRACKER:
            word = pasted_address(word)
        elif mark and option == TRACKER:
            word = f"{TRACKER}={pasted_address(value)}"
        words.append(shlex.quote(redacted(word)))
        before = word
    return " ".join([program(), *words])


def pasted_address(address: str) -> str:
    """A tracker's address as a command can name it without showing a password."""
    return address if shown(address) == address else IN_FILE


def suggested(verb: str, *words: str, home: Path = DEFAULT_HOME, allow: Iterable[str] = ()) -> str:
    """Another command of `study`, about the same home.

    Args:
        allow: packages that its spec may name.
    """
    where = [] if home == DEFAULT_HOME else ["--home", str(home)]
    for package in allow:
        where += ["--allow", package]
    if verb in FROM_ELSEWHERE and (asked := os.environ.get(ASKED)):
        return f"study {verb} {asked}"
    return " ".join([program(), *map(shlex.quote, (verb, *words, *where))])


def nothing_stored(study: str, spec: str, home: Path, allow: Iterable[str] = ()) -> str:
    """What is said where a home has no cell of a study, or is not there.

    Args:
        spec: as the user named it.
        allow: packages that it may name.
    """
    start = f"start with: {suggested('launch', spec, home=home, allow=allow)}"
    if Home(home).ledger.exists():
        return f"nothing is stored of {study}; {start}"
    return (
        f"home {home}: there is no ledger, so that nothing is stored of {study}; "
        f"name another home with --home, or {start}"
    )


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
