"""The peer: Ray Tune as its documentation shows it, one function per trial, with or without MLflow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import sys, time
from pathlib import Path
import ray
from ray import tune

folder, trials, with_mlflow = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"


def train(config):
    loss = {"loss_initial": 0.7, "loss_final": 0.6}
    tune.report({**loss, "accuracy_initial": 0.5, "accuracy_final": 0.5, "accuracy_best": 0.5})


ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
callbacks = []
if with_mlflow:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    callbacks = [MLflowLoggerCallback(tracking_uri=uri, experiment_name="tune")]
started = time.monotonic()
results = tune.Tuner(
    train,
    param_space={
        "lr": tune.grid_search([10 ** (-5 + k * 0.1) for k in range(trials // 6)]),
        "weight_decay": tune.grid_search([0.01, 0.1, 1.0]),
        "seed": tune.grid_search([0, 1]),
    },
    run_config=tune.RunConfig(storage_path=str(folder), callbacks=callbacks, verbose=0),
).fit()
assert len(results) == trials // 6 * 6 and not results.errors
print("seconds", time.monotonic() - started)
ray.shutdown()
"""


def measure(folder: Path, trials: int, *, with_mlflow: bool) -> tuple[int, float]:
    """Trials and seconds, in a process of its own; starting Ray is not counted."""
    folder.mkdir(parents=True)
    settings = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(trials), str(with_mlflow)],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        timeout=900,
    )
    line = next((line for line in ended.stdout.splitlines() if line.startswith("seconds ")), None)
    if ended.returncode != 0 or line is None:
        raise RuntimeError(f"Ray Tune ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return trials // 6 * 6, float(line.split()[1])


if __name__ == "__main__":
    started = time.monotonic()
    found = measure(Path(sys.argv[1]), int(sys.argv[2]), with_mlflow=sys.argv[3] == "True")
    print(found, time.monotonic() - started)
