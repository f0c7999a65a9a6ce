"""Addresses in MLflow's own database, which follow the home that it lies in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

WAIT = 20.0
"""How long a statement waits for another process's [s]."""
STRAY = (
    "experiment_id = 0 AND artifact_location != ? AND NOT EXISTS (SELECT 1 FROM runs WHERE experiment_id = 0)"
)
"""MLflow's own experiment, placed elsewhere, and not in use."""
OURS = "EXISTS (SELECT 1 FROM tags WHERE tags.run_uuid = runs.run_uuid AND tags.key = 'stability_study')"
OUTSIDE = f"artifact_uri IS NOT ? || '/' || run_uuid || '/artifacts' AND {OURS}"
"""A run of a study whose files would be written somewhere else, as a stranger's database may say."""


def relocate(path: Path, artifacts: Path) -> None:
    """Let every address of the database that leads into a former place of its artifacts lead to this one.

    MLflow stores absolute addresses. In a home that was copied or moved they lead out of it, into the
    original. All are changed in one transaction.

    Args:
        artifacts: the folder beside the database that has this name in every place.
    """
    here = artifacts.resolve().as_uri()
    with closing(sqlite3.connect(path, timeout=WAIT, isolation_level=None)) as connection:
        addresses = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        roots = [_root(address, artifacts.name) for (address,) in addresses if address]
        former = {root for root in roots if root and root != here}
        # MLflow's own experiment was placed in the folder where the first launch happened to run.
        (strays,) = connection.execute(
            f"SELECT COUNT(*) FROM experiments WHERE {STRAY}", (f"{here}/0",)
        ).fetchone()
        (outside,) = connection.execute(f"SELECT COUNT(*) FROM runs WHERE {OUTSIDE}", (here,)).fetchone()
        if not former and not strays and not outside:
            return
        connection.execute("BEGIN IMMEDIATE")
        for old in former:
            for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (here, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
        connection.execute(
            f"UPDATE experiments SET artifact_location = ? WHERE {STRAY}", (f"{here}/0", f"{here}/0")
        )
        if outside:
            studies = f"SELECT experiment_id FROM runs WHERE {OURS}"
            connection.execute(
                f"UPDATE experiments SET artifact_location = ? WHERE experiment_id IN ({studies})", (here,)
            )
            place = "? || '/' || run_uuid || '/artifacts'"
            connection.execute(f"UPDATE runs SET artifact_uri = {place} WHERE {OUTSIDE}", (here, here))
        connection.execute("COMMIT")


def _root(address: str, name: str) -> str | None:
    """The folder of artifacts of that name in an address of a file; None where it leads into none."""
    head, found, tail = address.rpartition(f"/{name}")
    return f"{head}{found}" if found and address.startswith("file:") and tail[:1] in ("", "/") else None
