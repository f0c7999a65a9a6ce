"""How a launch ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from study.analysis import Analysis


@dataclass(frozen=True)
class Launch:
    """How a launch ended.

    Attributes:
        trained: cells that this launch trained.
        failures: why tiles could not be trained, one reason each.
        interrupted: Ctrl-C or SIGTERM ended it; what finished is kept.
        exports: the folder of the study's files.
        seconds: from the command to the end [s].
        mlflow_runs: cells that the tracker has. trouble: what was wrong with it.
        own_tracker: the tracker is the home's own database.
    """

    analysis: Analysis
    trained: int
    failures: tuple[str, ...]
    interrupted: bool
    exports: Path
    seconds: float
    mlflow_runs: int
    trouble: str | None
    own_tracker: bool
