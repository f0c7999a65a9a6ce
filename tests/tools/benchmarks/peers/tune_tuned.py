"""Peer: Ray Tune as somebody would write it who knows it well. `FILE OUT CELL…`

Workers are reused and keep the data. A trial reports once, Tune's own loggers are off, and each trial's whole
curve goes to MLflow in one call.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}

import ray
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from ray import tune

from tests.tools.benchmarks.peers.plain import load, trained


class Loop(tune.Trainable):  # type: ignore[misc]  # Ray is not typed
    def setup(self, config: dict[str, Any], data: Any = None) -> None:
        self.cell, self.data = int(config["cell"]), data

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cell = int(new_config["cell"])
        return True

    def step(self) -> dict[str, Any]:
        curve: list[tuple[int, float, float]] = []
        loss = trained(self.data, self.cell, lambda *values: curve.append(values))
        return {"loss": loss, "curve": curve, "done": True}


class ToMlflow(tune.Callback):  # type: ignore[misc]  # Ray is not typed
    def __init__(self, uri: str) -> None:
        self.uri, self.client, self.experiment = uri, None, ""

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        if self.client is None:
            self.client = MlflowClient(self.uri)
            self.experiment = self.client.create_experiment("tuned")
        run, now = self.client.create_run(self.experiment), int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, step)
            for step, loss, accuracy in result["curve"]
            for name, value in (("loss", loss), ("accuracy", accuracy))
        ]
        self.client.log_batch(run.info.run_id, metrics, [Param("cell", str(trial.config["cell"]))])
        self.client.set_terminated(run.info.run_id)


def main() -> None:
    file, out, *cells = sys.argv[1:]
    folder = Path(out).parent.resolve()
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    results = tune.Tuner(
        tune.with_resources(tune.with_parameters(Loop, data=load(file)), {"cpu": 1}),
        param_space={"cell": tune.grid_search([int(one) for one in cells])},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tuned"),
            callbacks=[ToMlflow(f"sqlite:///{folder / 'tuned.db'}")],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()
    Path(out).write_text(json.dumps({str(one.config["cell"]): one.metrics["loss"] for one in results}))
    ray.shutdown()


if __name__ == "__main__":
    main()
