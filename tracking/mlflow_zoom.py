"""A zoom in MLflow: one run beside those of its study's cells, with its numbers and its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tracking.mlflow_runs import HOME, STUDY
from tracking.mlflow_store import MlflowStore, storable

ZOOM = "stability_study_zoom"
"""The tag that names a zoom."""


def show_zoom(
    store: MlflowStore,
    name: str,
    params: Mapping[str, object],
    metrics: Mapping[str, float],
    files: Iterable[Path],
    home: str | None = None,
) -> str:
    """Write the run of a zoom, or bring the one that is there up to date; its id.

    Its cells have no runs of their own: 65,536 of them would bury those of the study.

    Args:
        home: whose zoom it is, in a tracker that several homes may share.

    Raises:
        Exception: MLflow is unreachable, or writes nothing.
    """
    client, experiment = store.client, store.experiment_id
    # Names hold no quotes: `study.file_names` allows none.
    found = client.search_runs([experiment], f"tags.{ZOOM} = '{name}'")
    same = [run for run in found if run.data.tags.get(HOME) == home]
    if same:
        run_id, known = str(same[0].info.run_id), same[0].data.params
    else:
        tags = {STUDY: "zoom", ZOOM: name, "mlflow.parentRunId": store.parent_id}
        tags |= {HOME: home} if home else {}
        run_id = str(client.create_run(experiment, run_name=f"zoom {name}", tags=tags).info.run_id)
        known = {}
    for key, value in params.items():
        # A crash may have left a run without them.
        if key not in known:
            client.log_param(run_id, key, storable(str(value)))
    for key, number in metrics.items():
        client.log_metric(run_id, key, number)
    store.put(files, run_id)
    client.set_terminated(run_id)
    return run_id
