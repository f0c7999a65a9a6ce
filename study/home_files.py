"""The files and folders of a home: none leads out of it, and what is made in it is its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study.errors import UserError

FOLDERS = ("exports", "optuna", "locks", "logs", "checkpoints", "mlflow-artifacts")
DATABASES = ("ledger.sqlite", "mlflow.db", ".mlflow.db")
"""How the names of databases begin, and of what belongs to them."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(database: Path) -> None:
    """Let nobody but its owner read a database that was just made, whatever the umask."""
    # sqlite gives the files beside a database the mode that the database has then.
    for path in (database, *database.parent.glob(f"{database.name}-*")):
        with suppress(OSError):
            path.chmod(0o600)


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may look into; one that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        # Another launch may be as fast.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # whatever the umask took away


def refuse_links(root: Path, trees: Iterable[Path]) -> None:
    """Refuse a home that writes into another place, as a stranger's may; nothing is changed.

    The home itself may be a link.

    Args:
        trees: folders in it of which everything may be written.

    Raises:
        UserError: a folder or a database of it, or something in these trees, is a link that leads out of it.
    """
    for path in (*_first(root), *(path for tree in trees for path in _walk(tree))):
        if path.is_symlink():
            _refuse_outside(root, path)


@contextmanager
def private(root: Path, trees: Iterable[Path]) -> Iterator[None]:
    """Let nobody but its owner see what the block makes in these trees of a home.

    What was there has at the end the mode that it had at the beginning: also a file that was replaced, or
    written over by a library that copies modes. So whoever opens a folder to others goes on doing so, what is
    closed stays closed, and the umask of the process stays as the user's own code may need it.

    Raises:
        UserError: as `refuse_links`, of which it is the look at these trees; nothing was changed.
    """
    wanted = tuple(trees)
    refuse_links(root, ())
    before = {path: found for path in _all(wanted) if (found := _looked_at(path))}
    for path, found in before.items():
        # The folders that the trees stand in are those above, and the home itself, which may be a link.
        if stat.S_ISLNK(found.st_mode) and path != root:
            _refuse_outside(root, path)
    try:
        yield
    finally:
        for path in _all(wanted):
            found, old = _looked_at(path), before.get(path)
            if found is None or stat.S_ISLNK(found.st_mode):
                continue
            # Not by inode: a new file may get that of the one before.
            mode = stat.S_IMODE(found.st_mode) & ~OTHERS if old is None else stat.S_IMODE(old.st_mode)
            if mode != stat.S_IMODE(found.st_mode):
                # Another user's, or removed by another launch at this moment.
                with suppress(OSError):
                    path.chmod(mode)


def _refuse_outside(root: Path, link: Path) -> None:
    # Not `Path.resolve`, which raises where links lead in a circle.
    there = os.path.realpath(link)
    if Path(there).is_relative_to(os.path.realpath(root)):
        return
    do = "remove the link"
    if os.path.isdir(there):
        do = "put that folder itself in the link's place, or mount it there to keep it on its disk"
    elif os.path.exists(there):
        do = "put that file itself in the link's place"
    raise UserError(
        f"home {root}: {link.relative_to(root)} is a link to {link.readlink()}, and would be written there; "
        f"wanted everything of a home inside of it; {do}, or move the whole home and name its place with "
        "--home"
    )


def _first(root: Path) -> list[Path]:
    """The folders and databases of a home."""
    try:
        found = sorted(root.iterdir())
    except OSError:
        return []
    return [path for path in found if path.name in FOLDERS or path.name.startswith(DATABASES)]


def _all(trees: Iterable[Path]) -> Iterator[Path]:
    """Everything in these trees, and the folders that they stand in."""
    for tree in trees:
        yield tree.parent
        yield from _walk(tree)


def _walk(tree: Path) -> Iterator[Path]:
    """A folder and everything in it; where a link leads is not looked at."""
    yield tree
    if not tree.is_symlink():
        for folder, folders, files in os.walk(tree):
            yield from (Path(folder, name) for name in (*folders, *files))


def _looked_at(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
