"""How a launch ended, for whoever asked for it: the command line, a script or a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from study.analysis import Analysis
from tracking import EVIDENCE


# A file of its own, before the rooms report and run: the one prints what the other returns.
@dataclass(frozen=True)
class Launch:
    """How a launch ended.

    Attributes:
        analysis: everything that is concluded from the cells that are now stored.
        trained: cells that this launch trained.
        failures: why tiles could not be trained, one reason each.
        interrupted: Ctrl-C or SIGTERM ended it; what finished is kept.
        exports: the folder of the study's files.
        seconds: from the command to the end [s].
        mlflow_runs: cells that the tracker has.
        trouble: what was wrong with the tracker; None where nothing was.
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

    @property
    def complete(self) -> bool:
        """Whether no cell failed or is pending, and the home shows them all.

        A server that was unreachable takes nothing from a study. The home's own database is part of the home.
        """
        whole = not self.own_tracker or self.mlflow_runs == self.shown
        return self.analysis.complete and not self.interrupted and whole

    @property
    def shown(self) -> int:
        """Cells that a tracker is to have."""
        return sum(record.outcome in EVIDENCE for record in self.analysis.stored.values())
