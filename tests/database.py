"""MLflow's own database, migrated once for all tests of a session."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock

from tracking import mlflow_file

template: Path | None = None
"""Set by `conftest.py`; the long drills (`make faults`) have none and let MLflow migrate every time."""


def begin(path: Path) -> None:
    """Put an empty, migrated database there, unless one is there already.

    The migrations of a new one take MLflow one to two seconds of a processor, and the tests need dozens.
    """
    if template is None or path.exists():
        return
    with FileLock(f"{template}.lock"):
        if not template.exists():
            partial = template.with_suffix(".partial")
            migrate(partial)
            os.replace(partial, template)
    shutil.copyfile(template, path)


migrate = mlflow_file.migrate
"""Makes an empty database with MLflow's own migrations; kept here because tests replace it there."""
