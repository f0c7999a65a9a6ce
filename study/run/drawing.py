"""The files of a study and its storage of Optuna, written when its cells or what they mean have changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from study.analysis import Analysis
from study.drawn import UNTOLD, Stamp, noted
from study.home import Home
from study.report.amounts import amount
from study.report.terminal.words import tell
from study.run.optuna_file import OptunaFile
from study.run.stamp import digest_of, stamped
from tracking import LedgerError


class Drawing:
    """The files that show an analysis, in the home's exports.

    Attributes:
        files: their paths, as they were written.
        kept: nothing was drawn, because they were there.
    """

    def __init__(self, analysis: Analysis, home: Home, console: Console) -> None:
        self._analysis, self._home, self._console = analysis, home, console
        self._folder = home.exports(analysis.plan.spec.name)
        self._stamp: Stamp | None = None
        self.files: list[Path] = []
        self.kept = False

    def write(self, *, again: bool) -> None:
        """Write the files, to the exports and to Optuna's storage.

        Args:
            again: although they are there, and made from the same cells by the same code.

        Raises:
            LedgerError: the home cannot be written.
        """
        with self._optuna_file() as written:
            made_from, stamp = digest_of(self._analysis), noted(self._folder)
            self.kept = not again and stamp is not None and stamp.made_from == made_from
            if stamp and self.kept and stamp.holds(self._folder):
                self._stamp, self.files = stamp, [self._folder / name for name in stamp.files]
                cells = amount(len(self._analysis.stored), "cell")
                self._tell(f"the files and pictures of {cells} are there, and are not drawn again")
            else:
                self.kept = False
                self._export(made_from)
            self._ended(written)

    def _export(self, made_from: str | None) -> None:
        from study.report.export import export

        cells = amount(len(self._analysis.stored), "cell")
        self._tell(f"analysing {cells}, drawing and writing files")
        try:
            self.files = export(self._analysis, self._folder)
        except OSError as error:
            raise LedgerError(
                f"{self._folder} cannot be written ({error.strerror or error}); every cell is stored: "
                "make room, and run the same command again"
            ) from error
        self._stamp = stamped(made_from or UNTOLD, self._folder, self.files)
        self._stamp.note(self._folder)

    def _optuna_file(self) -> OptunaFile:
        from study.measures.importance import kept

        landscapes = [one for piece in self._analysis.evidence for one in piece.landscapes.values()]
        path = self._home.optuna(self._analysis.plan.spec.name)
        return OptunaFile(path, [kept(landscape) for landscape in landscapes if landscape.seeds])

    def _ended(self, written: OptunaFile) -> None:
        if trouble := written.trouble():
            path = self._home.optuna(self._analysis.plan.spec.name)
            self._tell(
                f"{path} could not be written ({trouble}); move it away and run the same command again"
            )

    def shown(self) -> bool:
        """Whether the home's own MLflow has the kept files, to the byte, and all that belongs to them."""
        from tracking.mlflow_listing import parents

        if self._stamp is None or not self.kept or not self._stamp.run:
            return False
        artifacts = self._home.mlflow_artifacts.resolve() / self._stamp.run / "artifacts"
        name, file = self._analysis.plan.spec.name, self._home.mlflow_database.resolve()
        try:
            listed = (name, self._stamp.run, artifacts.as_uri()) in parents(f"{file.as_uri()}?mode=ro")
        # Whatever hinders a look hinders no launch: then everything is written again.
        except Exception:
            return False
        return listed and self._stamp.holds(artifacts)

    def note_shown(self, run: str) -> None:
        """Note that a run of the home's own MLflow has them now."""
        if self._stamp is not None:
            replace(self._stamp, run=run).note(self._folder)

    def _tell(self, words: str) -> None:
        tell(self._console, words)
