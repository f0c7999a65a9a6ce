"""A study's own run in MLflow and its experiment: figures, verdicts, words; written where they differ."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from tracking.mlflow_page import NOTE, Page, Place
from tracking.mlflow_runs import STUDY

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VERDICT = "claim."
"""How the tags begin of which the run has the present ones and no others."""
METRICS, TAGS = 1000, 100
"""Most of one request."""
Item = TypeVar("Item")


class Parent:
    """The run of a study as a whole, beside the runs of its cells.

    Everything is compared with what is there. So telling the same again writes nothing, and a study of ten
    thousand cells costs a handful of requests.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, run_id: str) -> None:
        self._client, self._experiment, self._run = client, experiment_id, run_id

    def tell(self, summary: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Show these figures and tags.

        What of them is no longer there (a verdict of a claim that is not asked any more, a width of a region
        that is empty now) goes: a tag is deleted. A metric cannot be, so that its last value becomes NaN.

        Args:
            summary: by name. Whatever the run has with a slash in its name (`width/none`) came from here.
        """
        from mlflow.entities import Metric, RunTag

        data = self._client.get_run(self._run).data
        gone = [name for name in data.metrics if "/" in name and name not in summary]
        now = round(1000 * time.time())
        wanted = {**summary, **dict.fromkeys(gone, math.nan)}
        metrics = [
            Metric(name, value, now, 0)
            for name, value in wanted.items()
            if not _same(data.metrics.get(name), value)
        ]
        differing = [RunTag(name, text) for name, text in tags.items() if data.tags.get(name) != text]
        for some in _in_parts(metrics, METRICS):
            self._client.log_batch(self._run, metrics=some)
        for few in _in_parts(differing, TAGS):
            self._client.log_batch(self._run, tags=few)
        for name in data.tags:
            if name.startswith(VERDICT) and name not in tags:
                self._client.delete_tag(self._run, name)

    def describe(self, page: Callable[[Place], Page]) -> None:
        """Show this description on the run and on its experiment, and there the views of the table."""
        experiment = self._client.get_experiment(self._experiment)
        others = self._client.search_runs([self._experiment], f"tags.{STUDY} = 'parent'", max_results=2)
        found = page(Place(self._experiment, self._run, alone=len(others) < 2))
        self.tell_note(found.note)
        for name, text in found.of_experiment(experiment.creation_time or 0).items():
            if experiment.tags.get(name) != text:
                self._client.set_experiment_tag(self._experiment, name, text)

    def tell_note(self, note: str) -> None:
        """Show this description on the run."""
        if self._client.get_run(self._run).data.tags.get(NOTE) != note:
            self._client.set_tag(self._run, NOTE, note)


def _same(there: float | None, wanted: float) -> bool:
    return there is not None and (there == wanted or (math.isnan(there) and math.isnan(wanted)))


def _in_parts(all_of_them: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    for begin in range(0, len(all_of_them), most):
        yield all_of_them[begin : begin + most]
