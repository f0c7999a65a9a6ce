"""Peer: Optuna, one process per core on one study in sqlite, values reported as it shows. `FILE OUT CELL…`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import optuna

from tests.tools.benchmarks.peers.plain import load, trained

NAME = "peers"


def work(file: str, storage: str, cells: list[int]) -> None:
    """Trials of one process: the search space is the cells, each once over all processes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = load(file)
    study = optuna.load_study(
        study_name=NAME, storage=storage, sampler=optuna.samplers.GridSampler({"cell": cells}, seed=0)
    )

    def objective(trial: optuna.Trial) -> float:
        cell = trial.suggest_categorical("cell", cells)
        return trained(data, cell, lambda step, loss, accuracy: trial.report(accuracy, step))

    study.optimize(objective, n_trials=len(cells))


def main() -> None:
    file, out, *cells = sys.argv[1:]
    if out == "work":
        storage, *numbers = cells
        work(file, storage, [int(one) for one in numbers])
        return
    storage = f"sqlite:///{Path(out).with_suffix('.db')}"
    study = optuna.create_study(study_name=NAME, storage=storage)
    command = [sys.executable, "-m", "tests.tools.benchmarks.peers.optuna_loops", file, "work", storage]
    for process in [subprocess.Popen([*command, *cells]) for _ in range(os.cpu_count() or 1)]:
        if process.wait():
            raise SystemExit(f"a process ended with {process.returncode}")
    found = {
        str(one.params["cell"]): one.value
        for one in study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    }
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
