"""Peer: Ray Tune as documented, a trial per cell, with its MLflow callback. `FILE OUT CELL…`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

from tests.tools.benchmarks.peers.plain import load, steps


def train(config: dict[str, object]) -> None:
    losses = []
    for _, loss, accuracy in steps(load(str(config["file"])), int(str(config["cell"]))):
        losses.append(loss)
        if accuracy is not None:
            tail = losses[-max(1, len(losses) // 10) :]
            tune.report({"loss": sum(tail) / len(tail), "accuracy": accuracy})


def main() -> None:
    file, out, *cells = sys.argv[1:]
    folder = Path(out).parent.resolve()
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    callback = MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'tune.db'}", experiment_name="tune")
    results = tune.Tuner(
        train,
        param_space={"file": file, "cell": tune.grid_search([int(one) for one in cells])},
        run_config=tune.RunConfig(storage_path=str(folder), callbacks=[callback], verbose=0),
    ).fit()
    Path(out).write_text(json.dumps({str(one.config["cell"]): one.metrics["loss"] for one in results}))
    ray.shutdown()


if __name__ == "__main__":
    main()
