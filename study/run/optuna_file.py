"""The SQLite file of a study that optuna-dashboard opens: one study of Optuna's per landscape.

Optuna takes milliseconds for each point of a grid. A process of its own writes the file, while pictures are
drawn. It runs this file alone, so it loads nothing else of this project.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WORTH_IT = 100
"""Points from which a process pays: it takes a second to start, and a point 7 ms (two cores, AMD EPYC)."""


class OptunaFile:
    """The file while it is written, as a context: a process that still writes ends with the block."""

    def __init__(self, path: Path, studies: Sequence[Mapping[str, Any]]) -> None:
        """Begin to write.

        Args:
            studies: as of `study.measures.importance.kept`.
        """
        self._path, self._studies = path, studies
        self._process: subprocess.Popen[str] | None = None
        if sum(len(kept["points"]) for kept in studies) >= WORTH_IT:
            # Where none can be started, this process writes.
            with suppress(OSError):
                self._process = _begun(path)
        if self._process is not None and self._process.stdin is not None:
            # Where it has ended already, its exit says so.
            with suppress(BrokenPipeError), self._process.stdin as stream:
                json.dump(studies, stream)
            self._process.stdin = None

    def trouble(self) -> str | None:
        """Wait until it is written, and say what went wrong, in a word; None where nothing did."""
        if self._process is None:
            return attempted(self._path, self._studies)
        said = self._process.communicate()[0].strip()
        return (said or f"exit {self._process.returncode}") if self._process.returncode else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        with self._process:
            pass


def _begun(path: Path) -> subprocess.Popen[str]:
    # `-P`: a file beside this one would else replace one of Python's with its name.
    return subprocess.Popen(
        [sys.executable, "-P", __file__, str(path.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


def attempted(path: Path, studies: Sequence[Mapping[str, Any]]) -> str | None:
    """Write studies to the file, and say what went wrong, in a word; None where nothing did."""
    try:
        write(path, studies)
    # A lock, or an unreadable file of another version of Optuna: everything in it is derived from the cells,
    # so it must not cost the study its result.
    except Exception as error:
        return type(error).__name__
    return None


def write(path: Path, studies: Sequence[Mapping[str, Any]]) -> None:
    """Write studies to the file. One that is up to date stays as it is.

    Args:
        studies: as of `study.measures.importance.kept`.
    """
    import optuna
    from optuna.distributions import FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
    there = {summary.study_name: summary for summary in optuna.get_all_study_summaries(storage)}
    for kept in studies:
        name = kept["name"]
        if name in there and there[name].user_attrs.get("content") == kept["content"]:
            continue
        if name in there:
            optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        axes = {axis: FloatDistribution(low, high, log=True) for axis, (low, high) in kept["axes"].items()}
        study.add_trials(
            optuna.trial.create_trial(
                value=point["score"],
                params=point["params"],
                distributions=axes,
                user_attrs=point["attributes"],
            )
            for point in kept["points"]
        )
        study.set_user_attr("value is", kept["value is"])
        # Last: a study that was cut short has no content, and is made again.
        study.set_user_attr("content", kept["content"])
    storage.engine.dispose()


def main() -> int:
    """Write what standard input has."""
    trouble = attempted(Path(sys.argv[1]), json.load(sys.stdin))
    print(trouble or "")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
